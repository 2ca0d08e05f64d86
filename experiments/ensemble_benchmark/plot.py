"""Rows a second of one core, every contestant of every problem, as one picture.

python experiments/ensemble_benchmark/plot.py RESULT.json PICTURE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from twinml.report.style import BLUE, INK, MUTED, ORANGE, figure, save


def chosen(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One entry a contestant, at equal error where there is one; the slowest first."""
    found: dict[str, dict[str, Any]] = {}
    for entry in entries:
        if entry["contestant"] not in found or entry["label"]:
            found[entry["contestant"]] = entry
    return sorted(found.values(), key=lambda entry: entry["rate"])


def colour(name: str) -> str:
    if name == "twinml":
        return ORANGE
    return BLUE if name.startswith("reference") else MUTED


def main(source: Path, target: Path) -> None:
    problems = json.loads(source.read_text(encoding="utf-8"))["problems"]
    heights = [len(chosen(found["entries"])) + 1.5 for found in problems.values()]
    with figure(9.0, 0.24 * sum(heights)) as made:
        axes = made.subplots(len(problems), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axis, found in zip(axes, problems.values(), strict=True):
            entries = chosen(found["entries"])
            rates = [entry["rate"] for entry in entries]
            axis.barh(
                range(len(entries)), rates, height=0.7,
                color=[colour(entry["contestant"]) for entry in entries],
            )  # fmt: skip
            for place, entry in enumerate(entries):
                text = f" {entry['rate']:.2g}, error {entry['error_median']:.0e}"
                axis.text(entry["rate"], place, text, va="center", fontsize=7, color=INK)
            names = [entry["contestant"] for entry in entries]
            axis.set_yticks(range(len(entries)), names, fontsize=7)
            axis.set_xscale("log")
            axis.set_xlim(min(rates) / 3, max(rates) * 12)
            axis.grid(axis="y", visible=False)
            axis.set_title(found["title"], fontsize=9)
        axes[-1].set_xlabel("rows per CPU second; median error beside")
        print("wrote", save(made, target))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python experiments/ensemble_benchmark/plot.py RESULT.json PICTURE.png")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
