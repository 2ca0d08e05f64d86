"""What a sweep costs beyond its kernel, and whether it stands what it promises. See README.md.

python experiments/sweep_scaling/run.py --part overhead|cheap|memory|kills|plan|ishigami|outbreak
    [--scale 1.0] [--repeats 3] [--scratch DIR] [--ray]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from watch import Killer, Memory, Watch

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results"
SECONDS = 24.0  # of kernel work on one core that the measure of overhead aims at
PARTS = ("overhead", "cheap", "memory", "kills", "plan", "ishigami", "outbreak")


def job(watch: Watch | None = None, **asked: Any) -> dict[str, Any]:
    """One job in a fresh process, watched from outside while it runs."""
    command = [sys.executable, str(FOLDER / "job.py"), json.dumps(asked)]
    with tempfile.TemporaryFile("w+") as errors:
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
        beside = threading.Thread(target=watch, args=(running,)) if watch else None
        if beside:
            beside.start()
        said, _ = running.communicate()
        if beside:
            beside.join()
        found = [line for line in said.splitlines() if line.startswith("RESULT ")]
        if not found:
            errors.seek(0)
            raise SystemExit(f"{asked} ended with {running.returncode}:\n{errors.read()[-4000:]}")
    return json.loads(found[-1].removeprefix("RESULT "))


def interleaved(contestants: dict[str, Any], repeats: int, scratch: Path) -> dict[str, Any]:
    """Every contestant in turn, ``repeats`` times round; medians and all that was seen."""
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, asked in contestants.items():
            out = scratch / name
            given: dict[str, Any] = {} if asked["job"] == "bare" else {"out": str(out)}
            seen[name].append(job(**asked, **given))
            shutil.rmtree(out, ignore_errors=True)
            shown = {k: round(v, 2) for k, v in seen[name][-1].items() if isinstance(v, float)}
            print(name, shown, flush=True)
    return {
        name: {
            key: statistics.median(run[key] for run in runs) if isinstance(value, float) else value
            for key, value in runs[0].items()
        }
        | {"same table": len({run.get("sha256") for run in runs}) == 1, "runs": runs}
        for name, runs in seen.items()
    }


def overhead(scale: float, repeats: int, scratch: Path, ray: bool) -> dict[str, Any]:
    """Tanks with 1,024 held steps: local, ray and the bare kernel."""
    pilot = job(job="bare", sweep="tanks", samples=8192, threads=1)
    samples = max(1024, int(scale * SECONDS / (pilot["wall"] / pilot["rows"])))
    each = {"sweep": "tanks", "samples": samples}
    contestants = {
        "bare, one thread": {"job": "bare", "threads": 1, **each},
        "local, one worker": {"job": "swept", "workers": 1, **each},
        "bare, two threads": {"job": "bare", "threads": 2, **each},
        "local, two workers": {"job": "swept", "workers": 2, **each},
    }
    if ray:
        contestants["ray, two workers"] = {
            "job": "swept", "workers": 2, "executor": "ray", **each,
        }  # fmt: skip
    found = interleaved(contestants, repeats, scratch)
    ratios = {
        "local to bare, one": found["local, one worker"]["computing"]
        / found["bare, one thread"]["wall"],
        "local to bare, two": found["local, two workers"]["computing"]
        / found["bare, two threads"]["wall"],
        "local to bare, one, cpu": found["local, one worker"]["cpu"]
        / found["bare, one thread"]["cpu"],
    }
    if ray:
        ratios["ray to local, two"] = (
            found["ray, two workers"]["computing"] / found["local, two workers"]["computing"]
        )
    tables = {run["sha256"] for name in found for run in found[name]["runs"] if "sha256" in run}
    return {"samples": samples, "ratios": ratios, "one table": len(tables) == 1, "found": found}


def cheap(scale: float, repeats: int, scratch: Path, **_: Any) -> dict[str, Any]:
    """Microseconds of a row and a core beyond the kernel, where the kernel is nearly nothing."""
    samples = max(20_000, int(4e6 * scale))
    each = {"sweep": "cheap", "samples": samples}
    found = interleaved(
        {
            "bare, one thread": {"job": "bare", "threads": 1, **each},
            "local, one worker": {"job": "swept", "workers": 1, **each},
            "local, two workers": {"job": "swept", "workers": 2, **each},
        },
        repeats,
        scratch,
    )
    kernel = found["bare, one thread"]["wall"]
    return {
        "samples": samples,
        "us per row and core": {
            name: 1e6 * (found[f"local, {name}"]["computing"] * workers - kernel) / samples
            for name, workers in (("one worker", 1), ("two workers", 2))
        },
        "kernel us per row": 1e6 * kernel / samples,
        "summary us per row": 1e6 * found["local, one worker"]["summing"] / samples,
        "found": found,
    }


def memory(scale: float, scratch: Path, **_: Any) -> dict[str, Any]:
    """The most that the process tree of a sweep of 10^7 rows held: at once, and in two halves."""
    samples, out = max(20_000, int(1e7 * scale)), scratch / "memory"
    result: dict[str, Any] = {"samples": samples}
    parts = {"at once": samples, "half": samples // 2, "resumed": samples, "read again": samples}
    for name, rows in parts.items():
        if name == "half":
            shutil.rmtree(out)
        watch = Memory()
        found = job(
            watch, job="swept", sweep="cheap", samples=rows, out=str(out), workers=2,
            resume=name in ("resumed", "read again"), digest=False,
        )  # fmt: skip
        result[name] = {"rows": rows, "peak_bytes": watch.peak, **found}
        print(name, f"{watch.peak / 2**20:.0f} MiB", f"{found['wall']:.1f} s", flush=True)
    result["under 1 GiB"] = all(result[name]["peak_bytes"] < 2**30 for name in parts)
    shutil.rmtree(out)
    return result


def kills(scale: float, scratch: Path, **_: Any) -> dict[str, Any]:
    """Workers killed at random: every shard once, none run again, and the table of a quiet run."""
    shards, count = max(40, int(1000 * scale)), max(4, int(50 * scale))
    pilot = job(job="bare", sweep="tanks", samples=8192, threads=1)
    rows = max(8, int(0.3 / (pilot["wall"] / pilot["rows"]) / 8) * 8)
    asked = {"job": "swept", "sweep": "tanks", "samples": rows * shards, "shard_size": rows}
    killer = Killer(count, mean=2.5)
    out = scratch / "kills"
    disturbed = job(killer, **asked, workers=2, out=str(out))
    ledger = [json.loads(line) for line in (out / "ledger.jsonl").read_text().splitlines()]
    log = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    quiet = job(**asked, workers=2, out=str(scratch / "quiet"))
    written = Counter(line["start"] for line in ledger)
    events = Counter(event["event"] for event in log)
    for folder in (out, scratch / "quiet"):
        shutil.rmtree(folder)
    return {
        "shards": disturbed["shards"], "rows": rows * shards, "killed": killer.done,
        "workers lost by the log": events["worker_lost"], "retries": events["retry"],
        "shards in the ledger": len(written),
        "shards finished twice": sum(n > 1 for n in written.values()),
        "same table": disturbed["sha256"] == quiet["sha256"], "sha256": quiet["sha256"],
        "disturbed": disturbed, "quiet": quiet,
    }  # fmt: skip


def plan(scale: float, scratch: Path, **_: Any) -> dict[str, Any]:
    """Plans against what came of them, then plans for machines that are not here."""
    from planned import elsewhere

    held_against: list[dict[str, Any]] = []
    for sweep, most in (("cheap", 1e7), ("outbreak", 1e6), ("tanks", 1e5)):
        for samples in (int(most * scale / 100), int(most * scale / 10), int(most * scale)):
            for workers in (1, 2):
                out, watch = scratch / "plan", Memory(interval=0.05)
                found = job(
                    watch, job="swept", sweep=sweep, samples=max(64, samples), workers=workers,
                    out=str(out), digest=False,
                )  # fmt: skip
                shutil.rmtree(out)
                taken = found["starting"] + found["computing"]
                held_against.append(
                    {
                        "sweep": sweep, "samples": max(64, samples),
                        "workers": found["planned"]["workers"],
                        "planned_s": found["planned"]["seconds"], "taken_s": taken,
                        "planned_bytes": found["planned"]["bytes"], "stored": found["stored"],
                        "planned_memory": found["planned"]["memory"] * found["planned"]["workers"],
                        "peak_bytes": watch.peak, "text": found["text"],
                    }
                )  # fmt: skip
                print({k: v for k, v in held_against[-1].items() if k != "text"}, flush=True)
    costs = {name: job(job="cost", sweep=name, samples=10_000_000) for name in
             ("cheap", "outbreak", "tanks")}  # fmt: skip
    return {"held against": held_against, "elsewhere": elsewhere(costs)}


def ishigami(scale: float, scratch: Path, **_: Any) -> dict[str, Any]:
    """Sobol indices at 2^14 base samples."""
    samples = 2**14 if scale >= 1 else 2**10
    found = job(job="indices", samples=samples, out=str(scratch / "ishigami"))
    return {"base_samples": samples, "within 0.02": found["largest_gap"] < 0.02, **found}


def outbreak(scale: float, repeats: int, scratch: Path, **_: Any) -> dict[str, Any]:
    """The outbreak's isolation scenario, a million samples on two cores, all that is told of it."""
    samples = max(10_000, int(1e6 * scale))
    asked = {"job": "swept", "sweep": "outbreak", "samples": samples, "workers": 2}
    found = interleaved({"outbreak": asked}, repeats, scratch)["outbreak"]
    return {"samples": samples, "under 30 s": found["wall"] < 30, **found}


def machine() -> dict[str, Any]:
    """Processor and load; no host name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return {
        "processor": next(x.split(":")[1].strip() for x in lines if x.startswith("model name")),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "load": [round(x, 2) for x in os.getloadavg()],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=PARTS, action="append")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes; 1 for the figures")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scratch", type=Path, help="where the sweeps are written")
    parser.add_argument("--ray", action="store_true", help="also the Ray executor (needs ray)")
    asked = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    for part in asked.part or PARTS:
        with tempfile.TemporaryDirectory(dir=asked.scratch, prefix="sweep-scaling-") as folder:
            before = machine()
            found = globals()[part](
                scale=asked.scale, repeats=asked.repeats, scratch=Path(folder), ray=asked.ray
            )
        content = {
            "part": part, "scale": asked.scale, "repeats": asked.repeats,
            "machine": before, "load after": machine()["load"], **found,
        }  # fmt: skip
        suffix = "" if asked.scale == 1.0 else "_small"
        path = RESULTS / f"{part}{suffix}.json"
        path.write_text(json.dumps(content, indent=1) + "\n")
        brief = {k: v for k, v in content.items() if k not in ("found", "runs", "held against")}
        print(part, json.dumps(brief, indent=1)[:3000], f"\n-> {path}", flush=True)


if __name__ == "__main__":
    main()
