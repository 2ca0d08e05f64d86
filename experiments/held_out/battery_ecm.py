"""How well does BatteryEcm predict pulses it was not fitted to?

    TWINML_DATA=<folder> python experiments/held_out/battery_ecm.py pulses

Cuts the 7.5 A pulses of lgm50_pulses.csv at 25 degC (10 s of discharge, 10 s of rest) into one
CSV file each in the folder ``pulses``, ready for

    twinml calibrate twin=battery_ecm data.path=pulses/25C_5_Cell1.csv

then fits the circuit to one pulse and predicts others: the same charge on another cell, and the
neighbouring charges on the same cell. A predicted pulse uses its first reading (at rest, for the
charge) and nothing else of its voltages.
"""

from __future__ import annotations

import csv
import itertools
import math
import os
import sys
from pathlib import Path

import numpy as np
import torch

import twinml as tw

FIT = ["r0", "r1", "c1", "r2", "c2"]
LEVELS = range(9, 0, -1)
CELLS = ("Cell1", "Cell2")


def cut(source: Path, folder: Path, temperature: str = "25") -> dict[tuple[int, str], Path]:
    """One file per charge level and cell: time s, discharge current A, voltage V.

    The cycler writes the first row of a step before current and voltage are both renewed, so
    that row takes the current of the next one, and its voltage, unless the cell is at rest from
    the start, is left out. Of rows that repeat a time the last stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with source.open() as file:
        rows = [row for row in csv.DictReader(file) if row["temp_C"] == temperature]
    found = {}
    for (level, cell), group in itertools.groupby(rows, lambda r: (r["soc_level"], r["cell"])):
        kept: dict[float, tuple[float, float]] = {}
        steps = [list(g) for _, g in itertools.groupby(group, lambda r: r["step"])]
        for number, step in enumerate(steps):
            for place, row in enumerate(step):
                first = place == 0 and number > 0
                current = -float(step[min(1, len(step) - 1)]["current_A"] if first else
                                 row["current_A"])  # fmt: skip
                kept[float(row["prog_time_s"])] = (
                    current,
                    math.nan if first else float(row["voltage_V"]),
                )
        path = folder / f"{temperature}C_{level}_{cell}.csv"
        with path.open("w") as file:
            file.write("time,current,voltage\n")
            for time, (current, voltage) in kept.items():
                file.write(f"{time},{current},{'' if math.isnan(voltage) else voltage}\n")
        found[int(level), cell] = path
    return found


def read(path: Path) -> tw.Record:
    """One pulse."""
    units = {"current": "A", "voltage": "V"}
    return tw.Record.from_csv(path, time="time", units=units)


def predict(model: tw.library.BatteryEcm, record: tw.Record, values: dict, soc: float) -> float:
    """Root mean square of modelled minus measured voltage, mV."""
    t = torch.as_tensor(record.time)
    inputs = {"current": tw.Signal(t, torch.as_tensor(record["current"]))}
    found = tw.simulate(model, t, parameters=values, initial={"soc": soc}, inputs=inputs)
    gap = found["voltage"][0].numpy() - record["voltage"]
    return 1e3 * float(np.sqrt(np.nanmean(gap**2)))


def charge(model: tw.library.BatteryEcm, voltage: float) -> float:
    """State of charge at which the open-circuit voltage is ``voltage``."""
    return float(np.interp(voltage, model.ocv_voltage.numpy(), model.ocv_soc.numpy()))


def main() -> None:
    """Prints one line per fitted pulse."""
    torch.set_num_threads(1)
    base = Path(os.environ.get("TWINML_DATA", "../shared/data")) / "lgm50_battery"
    files = cut(base / "lgm50_pulses.csv", Path(sys.argv[1] if len(sys.argv) > 1 else "pulses"))
    model = tw.library.BatteryEcm()
    records = {key: read(path) for key, path in files.items()}
    print("RMSE in mV; level = nominal charge in tenths")
    print(
        "level  fitted  other cell  level+1  level-1    r0 mohm  r1 mohm  tau1 s  r2 mohm  tau2 s"
    )
    for level in (8, 5, 3):
        record = records[level, CELLS[0]]
        cal = tw.calibrate(
            model, record, fit=FIT, fit_initial=["soc"], starts=4,
            method="tsit5", rtol=1e-6, atol=1e-9,
        )  # fmt: skip
        found = dict(zip(cal.names, (float(v) for v in cal.values), strict=True))
        values = {name: found[name] for name in FIT}
        tests = [
            records[level, CELLS[1]],
            records[level + 1, CELLS[0]],
            records[level - 1, CELLS[0]],
        ]
        figures = [predict(model, r, values, charge(model, r["voltage"][0])) for r in tests]
        print(
            f"{level:5d}{1e3 * cal.rmse['voltage']:8.2f}{figures[0]:12.2f}{figures[1]:9.2f}"
            f"{figures[2]:9.2f}{1e3 * values['r0']:11.2f}{1e3 * values['r1']:9.2f}"
            f"{values['r1'] * values['c1']:8.2f}{1e3 * values['r2']:9.2f}"
            f"{values['r2'] * values['c2']:8.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
