"""``lint``: every problem at once, with its line; what ships has none."""

from __future__ import annotations

import pytest

from tests.cli.small import put
from twinml import resources
from twinml.cli.main import main

TWIN = """\
model: {_target_: twinml.library.Outbreak}
time: {column: day, unit: kg}
parameters: {bta: 1, gamma: "3 kg"}
data: {path: "package:influenza_1978.csv", lat: sort}
outputs: {in_bde: {column: in_bed}, in_bed: {column: in_bed, unit: kg, noise: -1}}
calibrate:
  fit: [beta, gama]
  fit_initial: [infectd]
calibration: nowhere
colour: red
"""
TWIN_LINES = [2, 3, 3, 4, 5, 5, 5, 7, 8, 9, 10]
SCENARIO = """\
horizon: {start: 0, stop: 30, unit: kg}
vary:
  beta: {distribution: uniform, low: -1, high: 2}
  gama: {distribution: uniform, low: 0.1, high: 0.5}
  day: {distribution: uniform, low: 10, high: 2}
changes:
  - {at: day, multiply: {beat: 0.5}}
  - {at: 3, set: {beta: 1}, add: {gamma: 1}}
quantities:
  peak: max(in_bde)
  over: time_above(in_bed, 250)
  now: in_bed
desgin: sobol
"""
SCENARIO_LINES = [1, 3, 4, 5, 7, 8, 10, 12, 13]


def lines(out: str, name: str) -> list[int]:
    found = (row.split(":")[1] for row in out.splitlines() if row.startswith(f"{name}:"))
    return [int(number) for number in found if number.isdigit()]


def test_every_file_that_ships_is_without_a_problem(folder, capsys):
    assert main(["lint", str(resources.configs())]) == 0
    out = capsys.readouterr().out
    assert "isolation.yaml: a scenario that fits outbreak, no problem found" in out


@pytest.mark.parametrize(
    ("name", "text", "words", "expected"),
    [
        ("t.yaml", TWIN, [], TWIN_LINES),
        ("s.yaml", SCENARIO, ["--twin", "outbreak"], SCENARIO_LINES),
    ],
)
def test_all_problems_of_a_file_are_told_with_their_lines(
    folder, capsys, name, text, words, expected
):
    put(folder / name, text)
    assert main(["lint", name, *words]) == 1
    assert lines(capsys.readouterr().out, name) == expected


def test_a_scenario_may_draw_only_what_its_twin_fits(folder, capsys):
    text = "horizon: {start: 0, stop: 3}\nvary:\n  population: {distribution: calibrated}\n"
    put(folder / "s.yaml", f"{text}quantities: {{peak: max(in_bed)}}\n")
    assert main(["lint", "s.yaml", "--twin", "outbreak"]) == 1
    assert "s.yaml:3: vary population" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("model: {\n", "a.yaml"),
        ("model: 1\nmodel: 2\n", "line 2: the key 'model' stands twice"),
        ("method: rk4\n", "neither a twin"),
        ("", "holds nothing"),
    ],
)
def test_a_file_that_cannot_be_read_is_exit_2(folder, capsys, text, fragment):
    put(folder / "a.yaml", text)
    assert main(["lint", "a.yaml"]) == 2
    assert fragment in capsys.readouterr().out


def test_a_class_that_fails_is_the_users_line(folder, capsys):
    put(folder / "oven.py", "x = 1\ny = undefined\n")
    put(folder / "configs/twin/oven.yaml", "model: {_target_: oven.Oven}\n")
    assert main(["lint", "configs"]) == 1
    out = capsys.readouterr().out
    assert "configs/twin/oven.yaml:1:" in out and "oven.py, line 2" in out


def test_equations_whose_units_do_not_fit_are_told_as_advice(folder, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(folder))
    put(
        folder / "lukewarm.py",
        """\
import twinml as tw


class Lukewarm(tw.Physics):
    time_unit = "h"
    room = tw.State("degC", initial=20.0)
    heat = tw.Parameter("W", default=500.0)
    capacity = tw.Parameter("MJ/K", default=2.0)

    def rhs(self, heat, capacity):
        return {"room": heat / capacity}
""",
    )
    put(folder / "configs/twin/lukewarm.yaml", "model: {_target_: lukewarm.Lukewarm}\n")
    assert main(["lint", "configs/twin/lukewarm.yaml"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith("a twin of Lukewarm, no problem found")
    assert "advice: Lukewarm.rhs: the derivative of 'room'" in second and "0.0036" in second
