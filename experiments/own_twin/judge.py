"""Fits the first half of every cell's cycles, predicts the second, and prints how well.

python experiments/own_twin/judge.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

HOME = Path(__file__).resolve().parent
sys.path.insert(0, str(HOME))

from fade import CapacityFade  # noqa: E402

import twinml as tw  # noqa: E402
from twinml.calibrate.bands import bands  # noqa: E402

FILE = "nasa_battery/capacity_by_cycle_B0005_06_07_18.csv"


def main() -> None:
    """One line a cell: error on both halves, share of the second half inside the 90 % band."""
    data = Path(os.environ.get("TWINML_DATA", HOME.parents[2] / "shared/data"))
    record = tw.Record.read(
        data / FILE,
        time="Cycle",
        time_unit="1",
        columns={"measured": "Capacity(Ah)"},
        units={"measured": "A*h"},
        experiments="SampleId",
    )
    print("cell   loss [mA*h/cycle]   RMSE first half  second half [A*h]   inside the 90 % band")
    for name in record.experiments:
        cell = record.experiment(name)
        half = len(cell) // 2
        found = tw.calibrate(
            CapacityFade(), cell.head(half), fit=["loss"], fit_initial=["capacity"], starts=4
        )
        band = bands(CapacityFade(), found, cell)["measured"]
        miss = cell["measured"] - band.best
        low, high = band.predictive
        inside = (cell["measured"] >= low) & (cell["measured"] <= high)
        loss, spread = float(found.values["loss"]), float(found.std["loss"])
        print(
            f"{name}  {loss:7.3f} +- {spread:.3f}  {rms(miss[:half]):16.3f}  "
            f"{rms(miss[half:]):11.3f}  {inside[half:].mean():28.0%}"
        )


def rms(values: np.ndarray) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


if __name__ == "__main__":
    main()
