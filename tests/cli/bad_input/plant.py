"""A kiln of one's own, as a newcomer would write it: every bad call starts from these files."""

from __future__ import annotations

KILN = '''\
import torch
import twinml as tw


class Kiln(tw.Physics):
    """A heated wall that loses heat to the room."""

    wall = tw.State("K", initial=290.0, low=200.0, high=2000.0)
    fuel = tw.Input("kW", default=2.0)
    loss = tw.Parameter("kW/K", default=0.02, low=0.001, high=0.1)
    capacity = tw.Parameter("kJ/K", default=5.0, low=0.5, high=50.0)
    reading = tw.Output("K")

    def rhs(self, wall, fuel, loss, capacity):
        return {"wall": (fuel - loss * (wall - 290.0)) / capacity}

    def outputs(self, wall):
        return {"reading": wall}
'''

TWIN = """\
model: {_target_: kiln.Kiln}
parameters: {capacity: 6.0}
time: {column: time, unit: s}
data: {path: kiln.csv}
outputs: {reading: {column: T_wall, unit: K}}
inputs: {fuel: {column: burner, unit: kW, kind: hold}}
calibrate: {fit: [loss]}
"""

SCENARIO = """\
horizon: {start: 0, stop: 60, unit: s}
vary:
  loss: {distribution: uniform, low: 0.01, high: 0.05}
quantities:
  hottest: max(reading)
"""

RECORD = """\
time,T_wall,burner
0,290.0,2.0
10,293.3,2.0
20,296.4,2.0
30,299.6,2.0
40,302.5,0.0
50,301.9,0.0
60,301.6,0.0
"""

FILES: dict[str, str | bytes | None] = {
    "kiln.py": KILN,
    "kiln.csv": RECORD,
    "configs/twin/kiln.yaml": TWIN,
    "configs/scenario/soak.yaml": SCENARIO,
}


def kiln(old: str, new: str) -> dict[str, str | bytes | None]:
    """The class with one piece of text changed."""
    return {"kiln.py": _changed(KILN, old, new)}


def twin(old: str, new: str) -> dict[str, str | bytes | None]:
    """The twin's file with one piece of text changed."""
    return {"configs/twin/kiln.yaml": _changed(TWIN, old, new)}


def scenario(old: str, new: str) -> dict[str, str | bytes | None]:
    """The scenario's file with one piece of text changed."""
    return {"configs/scenario/soak.yaml": _changed(SCENARIO, old, new)}


def record(old: str, new: str) -> dict[str, str | bytes | None]:
    """The record with one piece of text changed."""
    return {"kiln.csv": _changed(RECORD, old, new)}


def _changed(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in\n{text}"
    return text.replace(old, new)
