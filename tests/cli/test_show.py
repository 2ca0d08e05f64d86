"""``show`` and ``twins`` on everything they know, and on what they do not."""

from __future__ import annotations

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import scipy.io

from tests.cli.small import put
from twinml.cli.main import main
from twinml.data import Table


def test_show_reads_a_run(small, folder, capsys):
    small("twin=lorenz", "seed=7", "out=a")
    capsys.readouterr()
    assert main(["show", "a"]) == 0
    out = capsys.readouterr().out
    for fragment in ("simulate, done", "twin=lorenz", "sum.total", "12", "torch 2", "config.yaml"):
        assert fragment in out


def test_show_reads_a_table(folder, capsys):
    columns = {"sample": np.arange(3), "peak": np.array([1.5, np.nan, 2.5])}
    Table(columns, {"peak": "cm"}).write_parquet("t.parquet")
    assert main(["show", "t.parquet"]) == 0
    line = next(line for line in capsys.readouterr().out.splitlines() if "peak" in line)
    assert line.split() == ["peak", "cm", "float64", "1.5", "2.5", "1"]


def test_show_reads_group_files_and_json(folder, capsys):
    put(folder / "t.yaml", "model: {_target_: a.B}\ncalibrate: {fit: [x]}\n")
    put(folder / "c.json", '{"schema": "calibration/1", "names": ["beta"]}')
    assert main(["show", "t.yaml"]) == 0 and main(["show", "c.json"]) == 0
    out = capsys.readouterr().out
    assert "twin t.yaml" in out and "model._target_" in out and '["x"]' in out
    assert "calibration/1 c.json" in out


def test_show_reads_a_record_in_the_form_that_a_plant_writes(folder, capsys):
    put(folder / "log.csv", "# a comment, with commas\nZeit;T_labor [°C]\n0;18,79\n900;19,02\n")
    pyarrow.parquet.write_table(pyarrow.table({"t": [0.0, 1.0], "x": [3.5, 4.5]}), "own.parquet")
    scipy.io.savemat("own.mat", {"t": np.arange(3.0), "x": np.arange(3.0) + 0.25})
    for name, header, last in (
        ("log.csv", "Zeit T_labor [°C]", "900 19,02"),
        ("own.parquet", "t x", "1.0 4.5"),
        ("own.mat", "t x", "2.0 2.25"),
    ):
        assert main(["show", name]) == 0
        first, *rows = (" ".join(line.split()) for line in capsys.readouterr().out.splitlines())
        assert f"twinml data {name} examines it" in first
        assert header in rows and rows[-1] == last


@pytest.mark.parametrize(
    ("name", "text", "fragment"),
    [
        ("missing", None, "does not exist"),
        ("a.txt", "x", "nothing that twinml writes"),
        ("a.json", "{", "not valid JSON"),
        ("a.json", "[1]", "holds a list"),
        ("a.yaml", "{", "not valid YAML"),
        ("a.yaml", "3", "expected keys and values"),
        ("a.parquet", "no", "cannot be read as a Parquet file"),
    ],
)
def test_show_refuses_what_it_cannot_read(folder, capsys, name, text, fragment):
    if text is not None:
        put(folder / name, text)
    assert main(["show", name]) == 2
    assert fragment in capsys.readouterr().err


def test_twins_lists_a_twin_of_ones_own_and_what_it_hides(folder, capsys):
    put(folder / "configs/twin/kiln.yaml", "model: {_target_: kiln.Kiln}\ndata: {path: k.csv}\n")
    put(folder / "configs/twin/lorenz.yaml", "model: {_target_: own.Lorenz}\n")
    put(folder / "configs/twin/bad.yaml", "model: {\n")
    assert main(["twins"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "kiln.Kiln" in lines["kiln"] and "k.csv" in lines["kiln"]
    assert "hides the package's" in lines["lorenz"] and "not a valid twin" in lines["bad"]
    assert "package:influenza_1978.csv" in lines["outbreak"]
