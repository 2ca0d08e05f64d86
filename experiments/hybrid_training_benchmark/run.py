"""Time one training step of a hybrid, twinml's reverse kernel beside its peers. See README.md.

python experiments/hybrid_training_benchmark/run.py [--cores 1|2] [--rounds N] [--rows N]
                                                    [--only PART]... [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from importlib import metadata
from pathlib import Path
from typing import Any

# A contestant that takes longer than this a call has two rounds, whatever was asked for.
SLOW = 15.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time one training step of a hybrid.")
    parser.add_argument("--cores", type=int, default=2, choices=(1, 2))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int)
    parser.add_argument("--only", action="append", metavar="PART", help="part of a name")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def seconds() -> tuple[float, float]:
    """CPU seconds of this process and its children so far, and the clock."""
    used = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used), time.perf_counter()


def describe(cores: int) -> dict[str, Any]:
    """Processor and versions; no host name."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown")
    versions = {name: metadata.version(name) for name in ("torch", "torchdiffeq")}
    load = round(os.getloadavg()[0], 2)
    return {
        "processor": model, "cores used": cores, "cores": os.cpu_count(),
        "python": platform.python_version(), **versions, "load at start": load,
    }  # fmt: skip


def main() -> None:
    options = arguments()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-options.cores :])
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(options.cores)
    # Imported now: torch reads the thread counts once.
    import torch
    from contestants import everyone, loop
    from problem import ROWS, STEPS, Windows

    torch.set_num_threads(options.cores)
    rows = options.rows or ROWS
    exact = loop(Windows(rows, torch.float64), False)()
    machine = describe(options.cores)

    def error(found: list[Any]) -> float:
        """Largest difference of any tensor, in units of its largest entry."""
        pairs = zip(found, exact, strict=True)
        return max(float((f.double() - e).abs().max() / e.abs().max()) for f, e in pairs)

    entries: dict[str, dict[str, Any]] = {}
    calls = {}
    for name, call in everyone(Windows(rows)):
        if options.only and not any(part in name for part in options.only):
            continue
        begin = seconds()
        gradient = call()
        first = seconds()[1] - begin[1]
        entries[name] = {"error": error(gradient), "first_call": first, "cpu": [], "wall": []}
        calls[name] = call
        print(f"{name}: first call {first:.1f} s, error {entries[name]['error']:.1e}", flush=True)
    for number in range(options.rounds):
        turn = list(calls) if number % 2 == 0 else list(calls)[::-1]
        for name in turn:
            if number >= 2 and statistics.median(entries[name]["wall"]) > SLOW:
                continue
            begin = seconds()
            calls[name]()
            end = seconds()
            entries[name]["cpu"].append(end[0] - begin[0])
            entries[name]["wall"].append(end[1] - begin[1])
    own = entries.get("twinml, reverse kernel")
    print("\n| contestant | wall s | CPU s | x wall | x CPU | gradient error |")
    print("|---|---|---|---|---|---|")
    for name, entry in entries.items():
        wall, cpu = (statistics.median(entry[kind]) for kind in ("wall", "cpu"))
        entry["median_wall"], entry["median_cpu"] = wall, cpu
        if own is None:
            own = entry
        ratios = wall / own["median_wall"], cpu / own["median_cpu"]
        entry["times_wall"], entry["times_cpu"] = ratios
        print(
            f"| {name} | {wall:.3f} | {cpu:.3f} | {ratios[0]:.1f} | {ratios[1]:.1f} "
            f"| {entry['error']:.1e} |"
        )
    if options.json:
        result = {"machine": machine, "rows": rows, "steps": STEPS, "entries": entries}
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
