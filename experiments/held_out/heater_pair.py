"""How well does HeaterPair predict what it was not fitted to?

    TWINML_DATA=<folder> python experiments/held_out/heater_pair.py

Fitted to the first 360 rows (60 %) of tclab_mimo.csv; tested on the rest of that run, by going
on from the fit, and on tclab_2nd_order_mimo.csv, another session that starts from its first
reading. The test rows choose nothing.
"""

from __future__ import annotations

import os
from pathlib import Path

import torch

import twinml as tw

TRAIN = 360
SENSORS = ("temperature1", "temperature2")
MODELS = {
    "convection, gains": ["convection", "gain1", "gain2"],
    "+ lag": ["convection", "gain1", "gain2", "lag"],
    "+ exchange, ambient": ["convection", "gain1", "gain2", "lag", "exchange", "ambient"],
}


def read(name: str, columns: dict[str, str]) -> tw.Record:
    """A file of the temperature control lab."""
    folder = Path(os.environ.get("TWINML_DATA", "../shared/data")) / "tclab"
    units = {"power1": "percent", "power2": "percent", **dict.fromkeys(SENSORS, "degC")}
    return tw.Record.from_csv(folder / name, time="Time (sec)", columns=columns, units=units)


def error(model: tw.Physics, record: tw.Record, values: dict, start: dict) -> torch.Tensor:
    """Modelled minus measured, kelvin, (sensor, row)."""
    t = torch.as_tensor(record.time)
    inputs = {name: tw.Signal(t, torch.as_tensor(record[name])) for name in ("power1", "power2")}
    found = tw.simulate(model, t, parameters=values, initial=start, inputs=inputs)
    return torch.stack([found[name][0] - torch.as_tensor(record[name]) for name in SENSORS])


def rms(part: torch.Tensor) -> float:
    """Root mean square."""
    return float(part.square().mean().sqrt())


def main() -> None:
    """Fits three models of growing size and prints one line for each."""
    torch.set_num_threads(1)
    record = read(
        "tclab_mimo.csv",
        {
            "power1": "Heater 1 (%)",
            "power2": "Heater 2 (%)",
            "temperature1": "Temperature 1 (degC)",
            "temperature2": "Temperature 2 (degC)",
        },
    )
    other = read(
        "tclab_2nd_order_mimo.csv",
        {
            "power1": "Heater 1",
            "power2": "Heater 2",
            "temperature1": "Temperature 1",
            "temperature2": "Temperature 2",
        },
    )
    model = tw.library.HeaterPair()
    print(f"{'fitted':<22}{'train K':>9}{'test K':>9}{'other K':>9}")
    for name, fit in MODELS.items():
        cal = tw.calibrate(
            model, record.head(TRAIN), fit=fit, fit_initial=["heater1", "heater2"],
            starts=4, method="tsit5", rtol=1e-6, atol=1e-8,
        )  # fmt: skip
        found = dict(zip(cal.names, (float(v) for v in cal.values), strict=True))
        values = {key: value for key, value in found.items() if key in fit}
        start = {key[8:]: value for key, value in found.items() if key not in fit}
        gap = error(model, record, values, start)
        first = {f"heater{i}": float(other[f"temperature{i}"][0]) + 273.15 for i in (1, 2)}
        far = error(model, other, values, first)
        figures = (rms(gap[:, :TRAIN]), rms(gap[:, TRAIN:]), rms(far))
        print(f"{name:<22}" + "".join(f"{value:9.3f}" for value in figures), flush=True)
        for key, value, spread in zip(cal.names, cal.values, cal.std, strict=True):
            print(f"    {key:<18}{float(value):12.5g} +- {float(spread):.2g}", flush=True)


if __name__ == "__main__":
    main()
