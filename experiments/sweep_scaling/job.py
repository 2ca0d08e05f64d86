"""One measured job in a process of its own: ``job.py JSON`` prints what it found as JSON.

A fresh process for each keeps CPU seconds and memory apart.
"""

from __future__ import annotations

import hashlib
import json
import os
import resource
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
FOLDER = Path(__file__).resolve().parent
for _place in (str(FOLDER), str(FOLDER.parents[1])):
    sys.path.insert(0, _place)
# workers import the models from here too
_PATHS = [str(FOLDER), str(FOLDER.parents[1]), os.environ.get("PYTHONPATH", "")]
os.environ["PYTHONPATH"] = os.pathsep.join(path for path in _PATHS if path)

import torch  # noqa: E402
from models import SWEEPS  # noqa: E402

import twinml as tw  # noqa: E402


def bare(sweep: str, samples: int, threads: int, **_: Any) -> dict[str, Any]:
    """``tw.simulate`` of the sweep's rows, drawn beforehand: the kernel's part of a sweep."""
    from twinml.engines.arithmetic import repeatable

    torch.set_num_threads(threads)
    task = tw.sweep(**SWEEPS[sweep](samples), out="/nonexistent", dry_run=True).task
    assert task is not None
    bound, settings = task.bound, task.settings
    wall = cpu = 0.0
    for first in range(-1, -(-samples // task.block)):  # one to warm up
        start = max(first, 0) * task.block
        values = bound.draw(start, min(start + task.block, samples), samples, task.seed)
        given = bound.arguments(values)
        given["inputs"] = {**task.inputs, **given["inputs"]}
        before = time.perf_counter(), time.process_time()
        with torch.no_grad(), repeatable(settings.engine):
            tw.simulate(
                task.model, [bound.start, bound.stop], keep=dict(bound.quantities),
                engine=settings.engine, method=settings.method, rtol=settings.rtol,
                atol=settings.atol, dt=settings.dt, **given,
            )  # fmt: skip
        if first >= 0:
            wall += time.perf_counter() - before[0]
            cpu += time.process_time() - before[1]
    return {"wall": wall, "cpu": cpu, "rows": samples}


def swept(
    sweep: str, samples: int, out: str, executor: str = "local", workers: int = 1,
    shard_size: int | None = None, resume: bool = False, digest: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """A sweep, its parts timed by its own log.

    Seconds: ``planning`` until work begins, ``starting`` until the first worker begins its first
    shard, ``computing`` until the last shard is stored, ``summing`` up after it.
    """
    torch.set_num_threads(1)
    begin = time.time()
    done = tw.sweep(
        **SWEEPS[sweep](samples), out=out, executor=executor, workers=workers,
        shard_size=shard_size, resume=resume,
    )  # fmt: skip
    end = time.time()
    events = [json.loads(line) for line in (Path(out) / "log.jsonl").read_text().splitlines()]
    started = [_time(e) for e in events if e["event"] == "started"][-1]
    shards = [(_time(e), e["seconds"]) for e in events if e["event"] == "shard"]
    shards = [shard for shard in shards if shard[0] >= begin] or [(started, 0.0)]
    finished = [_time(e) for e in events if e["event"] == "finished"][-1]
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    plan = done.plan
    assert plan is not None
    ready, last = min(t - seconds for t, seconds in shards), max(t for t, _ in shards)
    return {
        "wall": end - begin,
        "cpu": sum(u.ru_utime + u.ru_stime for u in used),
        "planning": started - begin,
        "starting": ready - started,
        "computing": last - ready,
        "summing": finished - last,
        "shards": len(done.reports),
        "failed": done.failed,
        "planned": {
            "seconds": plan.seconds,
            "memory": plan.memory,
            "bytes": plan.bytes,
            "workers": plan.workers,
        },
        "text": plan.text,
        "stored": sum(report.size for report in done.reports),
        "sha256": table_digest(done) if digest else None,
    }


def indices(samples: int, out: str, **_: Any) -> dict[str, Any]:
    """Sobol indices of Ishigami's function through a sweep, against their closed form."""
    done = tw.sweep(**SWEEPS["ishigami"](1024), out=out, workers=1)
    begin = time.perf_counter()
    found = done.sensitivity(samples)
    variance = 0.5 + 49 / 8 + 0.1 * torch.pi**4 / 5 + 0.01 * torch.pi**8 / 18
    a = 0.5 * (1 + 0.1 * torch.pi**4 / 5) ** 2
    ac = 0.01 * torch.pi**8 * (1 / 18 - 1 / 50)
    first = [a / variance, 49 / 8 / variance, 0.0]
    total = [(a + ac) / variance, 49 / 8 / variance, ac / variance]
    gaps = [abs(x - y) for x, y in zip(found.first[:, 0].tolist(), first, strict=True)]
    gaps += [abs(x - y) for x, y in zip(found.total[:, 0].tolist(), total, strict=True)]
    return {
        "first": found.first[:, 0].tolist(), "total": found.total[:, 0].tolist(),
        "exact_first": first, "exact_total": total, "largest_gap": max(gaps),
        "seconds": time.perf_counter() - begin,
    }  # fmt: skip


def measured_cost(sweep: str, samples: int, **_: Any) -> dict[str, Any]:
    """What the plan goes by: cost of a row, and what of a sweep decides its cut."""
    from twinml.sweep.prepare import prepare

    torch.set_num_threads(1)
    made = prepare(**SWEEPS[sweep](samples), out="/nonexistent", workers=1)
    return {"cost": vars(made.cost), "plan": made.plan.text, "columns": made.plan.columns,
            "block": made.plan.block, "kernel": made.plan.kernel}  # fmt: skip


def table_digest(done: tw.sweep.Sweep) -> str:  # pyright: ignore
    """sha256 of all columns, chunk by chunk in sample order."""
    total = hashlib.sha256()
    for chunk in done.chunks():
        for name in chunk.names:
            total.update(name.encode() + chunk[name].tobytes())
    return total.hexdigest()


def _time(event: dict[str, Any]) -> float:
    return datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    work = {"bare": bare, "swept": swept, "indices": indices, "cost": measured_cost}
    print("RESULT " + json.dumps(work[asked.pop("job")](**asked)))
