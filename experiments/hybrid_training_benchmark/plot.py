"""Seconds of a training step, every contestant, as one picture.

python experiments/hybrid_training_benchmark/plot.py RESULT.json PICTURE.png
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from twinml.report.style import INK, MUTED, ORANGE, figure, save


def main(source: Path, target: Path) -> None:
    result = json.loads(source.read_text(encoding="utf-8"))
    entries = sorted(result["entries"].items(), key=lambda item: -item[1]["median_cpu"])
    with figure(8.0, 0.4 * len(entries) + 1.0) as made:
        axis = made.subplots()
        values = [entry["median_cpu"] for _, entry in entries]
        colours = [ORANGE if "reverse kernel" in name else MUTED for name, _ in entries]
        axis.barh(range(len(entries)), values, height=0.7, color=colours)
        for place, (_, entry) in enumerate(entries):
            text = f" {entry['median_cpu']:.2g} s, gradient error {entry['error']:.0e}"
            axis.text(entry["median_cpu"], place, text, va="center", fontsize=7, color=INK)
        axis.set_yticks(range(len(entries)), [name for name, _ in entries], fontsize=7)
        axis.set_xscale("log")
        axis.set_xlim(min(values) / 2, max(values) * 8)
        axis.grid(axis="y", visible=False)
        axis.set_xlabel(f"CPU seconds of one step, {result['rows']} windows of {result['steps']}")
        print("wrote", save(made, target))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python experiments/hybrid_training_benchmark/plot.py RESULT.json OUT.png")
    main(Path(sys.argv[1]), Path(sys.argv[2]))
