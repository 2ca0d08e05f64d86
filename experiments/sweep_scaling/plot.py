"""Figures of the results: python experiments/sweep_scaling/plot.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

RESULTS = Path(__file__).resolve().parent / "results"


def overhead(found: dict[str, Any]) -> None:
    """Where the time of each contestant went."""
    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    names = list(found["found"])
    left = [0.0] * len(names)
    for part in ("planning", "starting", "computing", "summing"):
        width = [
            found["found"][n].get(part, found["found"][n]["wall"] if part == "computing" else 0.0)
            for n in names
        ]
        axes.barh(names, width, left=left, label=part)
        left = [a + b for a, b in zip(left, width, strict=True)]
    axes.invert_yaxis()
    axes.set(xlabel="seconds", title=f"{found['samples']:,} rows of tanks, 1,024 held steps")
    axes.legend(fontsize="small")
    figure.savefig(RESULTS / "overhead.png", dpi=150)


def plan(found: dict[str, Any]) -> None:
    """Planned against taken seconds."""
    figure, axes = plt.subplots(figsize=(4.5, 4), layout="constrained")
    for sweep in dict.fromkeys(row["sweep"] for row in found["held against"]):
        rows = [row for row in found["held against"] if row["sweep"] == sweep]
        axes.loglog([r["planned_s"] for r in rows], [r["taken_s"] for r in rows], "o", label=sweep)
    ends = [
        min(axes.get_xlim()[0], axes.get_ylim()[0]),
        max(axes.get_xlim()[1], axes.get_ylim()[1]),
    ]
    axes.plot(ends, ends, "k-", lw=0.8)
    axes.set(xlabel="planned, s", ylabel="taken, s")
    axes.legend(fontsize="small")
    figure.savefig(RESULTS / "plan.png", dpi=150)


if __name__ == "__main__":
    for draw in (overhead, plan):
        path = RESULTS / f"{draw.__name__}.json"
        if path.is_file():
            draw(json.loads(path.read_text()))
