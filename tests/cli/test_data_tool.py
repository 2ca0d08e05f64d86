"""``twinml data``: what is printed, drawn and returned for good and bad records."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.small import put
from twinml.cli.main import main

TANK = """
import twinml as tw


class Tank(tw.Physics):
    level = tw.State("m", initial=1.0, low=0.0, high=2.0)
    inflow = tw.Input("m/s", default=0.0)
    drain = tw.Parameter("1/s", default=0.1)
    gauge = tw.Output("m")
    twice = tw.Output("m")

    def rhs(self, level, inflow, drain):
        return {"level": inflow - drain * level}

    def outputs(self, level):
        return {"gauge": level, "twice": 2 * level}
"""

TWIN = """
model: {_target_: tank.Tank}
time: {column: when, zone: UTC}
data: {path: tank.csv, duplicates: last}
outputs: {gauge: {column: L}}
inputs: {inflow: {column: valve, unit: mm/s, missing: fill}}
calibrate: {fit: [drain], fit_initial: [level]}
"""


def rows(count: int = 40) -> str:
    lines = ["when;L [cm];valve;remark"]
    for i in range(count):
        level = 100 + 20 * np.sin(i / 5)
        lines.append(f"2026-03-01T12:00:{i:02d};{level:.3f};{i // 10};fine".replace(".", ","))
    return "\n".join(lines) + "\n"


@pytest.fixture
def tank(folder):
    put(folder / "tank.py", TANK)
    put(folder / "configs/twin/tank.yaml", TWIN)
    put(folder / "tank.csv", rows())
    return folder


def test_a_record_is_shown_with_its_columns_and_what_keeps_it_from_being_read(tank, capsys):
    assert main(["data", "tank.csv"]) == 1
    out = capsys.readouterr().out
    for fragment in (
        "40 rows, 3 columns", "delimiter semicolon", "decimal mark ','", "L [cm]", "cm", "varies",
        "held", "text", "40 of 40 times have no time zone", "would be refused",
    ):  # fmt: skip
        assert fragment in out
    assert main(["data", "tank.csv", "--zone", "Europe/Berlin"]) == 0
    out = capsys.readouterr().out
    assert "columns of numbers would be read as stated" in out and "2026-03-01T11:00:00Z" in out


def test_a_twin_brings_its_columns_units_bounds_and_rules(tank, capsys):
    faulty = rows().replace("12:00:07;119,", "12:00:06;219,").replace(";3;fine", ";;fine", 1)
    put(tank / "tank.csv", faulty)
    assert main(["data", "--twin", "tank"]) == 0
    out = capsys.readouterr().out
    for fragment in (
        "output gauge", "input inflow", "mm/s", "values lie outside [0, 200] cm: line 9",
        "repeated: 1 repeated time: line 9", "missing: column 'valve' 1 of 40",
    ):  # fmt: skip
        assert fragment in out
    assert "remark" not in out
    assert main(["data", "--twin", "tank", "--duplicates", "refuse"]) == 1
    assert "line 9, column 'when': the time repeats" in capsys.readouterr().out


def test_the_twin_reads_that_record_by_the_same_rules(tank, capsys):
    put(tank / "tank.csv", rows().replace("12:00:07", "12:00:06").replace(";3;fine", ";;fine", 1))
    words = ["solver.method=rk4", "solver.dt=0.5", "starts=1", "out=fit"]
    assert main(["calibrate", "twin=tank", *words]) == 0
    metrics = json.loads((tank / "fit/metrics.json").read_text())
    assert metrics["record.rows"] == 39 and metrics["record.repeated"] == 1
    assert metrics["record.filled"] == 1 and metrics["record.set_aside"] == 1
    assert (tank / "fit/set_aside.parquet").is_file()
    inputs = json.loads((tank / "fit/provenance.json").read_text())["inputs"]
    assert {"record", "record file"} <= set(inputs)
    assert "duplicates: last" in (tank / "fit/report.html").read_text()


def test_json_holds_the_report_and_nothing_else(tank, capsys):
    assert main(["data", "tank.csv", "--json", "--range", "L [cm]=0:110"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["schema"] == "data_report/1" and not report["usable"]
    assert report["columns"]["L [cm]"]["bounds"] == [0, 110]
    assert report["columns"]["L [cm]"]["outside"]
    assert report["problem_counts"] == {"zone:when": 1}


@pytest.mark.parametrize("columns", [1, 9, 33])
def test_the_plot_is_drawn_for_few_and_many_columns(folder, capsys, columns):
    time = np.delete(np.arange(100.0), np.arange(30, 50))
    table = np.random.default_rng(0).normal(size=(80, columns)).round(3)
    lines = [",".join(["t", *(f"x{i}" for i in range(columns))])]
    lines += [",".join(map(str, [t, *row])) for t, row in zip(time, table, strict=True)]
    put(folder / "a.csv", "\n".join(lines))
    assert main(["data", "a.csv", "--plot", "out/a.png"]) == 0
    assert (folder / "out/a.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["a.png"]
    assert "out/a.png" in capsys.readouterr().out


def test_many_problems_are_counted_and_the_first_are_listed(folder, capsys):
    put(
        folder / "a.csv",
        "t,x\n" + "".join(f"{i},{'bad' if i % 4 == 1 else i}\n" for i in range(60)),
    )
    assert main(["data", "a.csv"]) == 1
    out = capsys.readouterr().out
    assert out.count("'bad' is not a number") == 5 and "and 10 more of this kind" in out
    assert main(["data", "a.csv", "--missing", "bad"]) == 0


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["none.csv"], ["none.csv", "does not exist"]),
        (["empty.csv"], ["empty.csv", "is empty"]),
        (["a.xlsx"], ["a.xlsx", "spreadsheet"]),
        (["a.csv", "--time", "tt"], ["no column 'tt'"]),
        (["a.csv", "--zone", "Nowhere"], ["zone='Nowhere'"]),
        (["a.csv", "--late", "now"], ["late='now'", "sort"]),
        (["a.csv", "--unit", "x"], ["--unit 'x'", "COLUMN=UNIT"]),
        (["a.csv", "--unit", "x=furlong2x"], ["furlong2x", "does not parse"]),
        (["a.csv", "--range", "x=a:b"], ["--range 'x=a:b'", "numbers"]),
        (["a.csv", "--range", "y=0:1"], ["no column 'y'"]),
        (["a.csv", "--plot", "a.jpg"], ["a.jpg", ".png"]),
        (["a.csv", "--twin", "nothing"], ["nothing"]),
        ([], ["name a file"]),
        (["a.csv", "--tmie", "t"], ["--tmie"]),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_at_ends_with_two(folder, capsys, words, fragments):
    put(folder / "a.csv", "t,x\n0,1\n1,2\n")
    put(folder / "empty.csv", "")
    put(folder / "a.xlsx", "PK")
    assert main(["data", *words]) == 2
    error = capsys.readouterr().err
    for fragment in fragments:
        assert fragment in error
    assert "Traceback" not in error
