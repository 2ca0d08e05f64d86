"""Time field kernels beside the same stencil by torch's operations. See README.md.

python experiments/field_benchmark/run.py [--quick] [--cores 1|2] [--rounds N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIZES = (100, 10_000, 1_000_000)
# A call is repeated until a turn holds so many cells, so that a clock can measure it.
TURN = 4_000_000
CALLS = 2_000


@dataclass
class Entry:
    """One contestant at one size, and what was measured."""

    case: str
    what: str
    contestant: str
    rows: int
    cells: int
    call: Callable[[], Any]
    error: float
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)

    def turn(self) -> None:
        count = max(1, min(CALLS, TURN // (self.rows * self.cells)))
        used, start = _cpu(), time.perf_counter()
        for _ in range(count):
            self.call()
        self.wall.append((time.perf_counter() - start) / count)
        self.cpu.append((_cpu() - used) / count)

    def told(self) -> dict[str, Any]:
        total = self.rows * self.cells
        cpu, wall = statistics.median(self.cpu), statistics.median(self.wall)
        return {
            "case": self.case, "what": self.what, "contestant": self.contestant,
            "rows": self.rows, "cells": self.cells, "error": self.error,
            "cpu seconds": cpu, "wall seconds": wall,
            "spread": (max(self.cpu) - min(self.cpu)) / cpu if cpu else None,
            "million cells a CPU second": total / cpu / 1e6 if cpu else None,
            "million cells a second": total / wall / 1e6,
        }  # fmt: skip


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def arguments(given: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time field kernels beside torch.")
    parser.add_argument("--quick", action="store_true", help="the smallest grids, two rounds")
    parser.add_argument("--cores", type=int, default=1, choices=(1, 2))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args(given)


def main(given: list[str]) -> dict[str, Any]:
    """Run the benchmark; returns what the JSON file holds."""
    options = arguments(given)
    free = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, free[-options.cores :])
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.cores)
    import torch
    from cases import entries

    torch.set_num_threads(options.cores)
    made = entries(SIZES[:1] if options.quick else SIZES)
    for number in range(2 if options.quick else options.rounds):
        for entry in made if number % 2 == 0 else reversed(made):
            entry.turn()
    result = {
        "machine": {
            "processor": _processor(), "cores used": options.cores, "torch": torch.__version__,
            "python": platform.python_version(), "load at start": round(os.getloadavg()[0], 2),
        },
        "entries": [entry.told() for entry in made],
    }  # fmt: skip
    print(markdown(result["entries"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), "")


def markdown(told: list[dict[str, Any]]) -> str:
    """One line for each size and task: millions of cells a CPU second, and how exact."""
    lines = [
        "| case | task | rows x cells | twinml | error | torch | error | ratio |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for ours in told:
        if ours["contestant"] != "twinml":
            continue
        key = ("case", "what", "rows", "cells")
        peer = next(
            t for t in told if t["contestant"] == "torch" and all(t[k] == ours[k] for k in key)
        )
        a, b = ours["million cells a CPU second"], peer["million cells a CPU second"]
        size = f"{ours['rows']:,} x {ours['cells']:,}"
        lines.append(
            f"| {ours['case']} | {ours['what']} | {size} | {a:.1f} | {ours['error']:.0e} | "
            f"{b:.1f} | {peer['error']:.0e} | {a / b:.1f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main(sys.argv[1:])
