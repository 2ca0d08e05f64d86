"""``twinml new``: what it writes, and the names that it refuses."""

from __future__ import annotations

import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import twinml
from tests.cli.small import put
from twinml.cli.main import main
from twinml.cli.tools.new import TEMPLATES, make_plan
from twinml.errors import InputError

WRITTEN = [
    "configs/scenario/heat_exchanger_what_if.yaml",
    "configs/twin/heat_exchanger.yaml",
    "heat_exchanger.csv",
    "heat_exchanger.py",
    "tests/test_heat_exchanger.py",
]


def files(folder: Path) -> list[str]:
    found = (p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    return sorted(p.as_posix() for p in found if "__pycache__" not in p.parts)


def test_every_file_carries_the_name_and_the_next_commands_are_told(folder, capsys):
    assert main(["new", "heat_exchanger"]) == 0
    out = capsys.readouterr().out
    assert files(folder) == WRITTEN
    assert "class HeatExchanger(tw.Physics)" in (folder / "heat_exchanger.py").read_text()
    for name in WRITTEN:
        assert name in out and "$" not in (folder / name).read_text()
    tasks = ("simulate", "calibrate", "sweep", "train", "export", "verify", "python -m pytest")
    places = [out.index(f"{word} ", out.index("Next")) for word in tasks]
    assert places == sorted(places) and "the units of all equations agree" in out


@pytest.mark.parametrize(
    ("name", "fragments"),
    [
        ("Kiln", ["lower-case", "Try 'kiln'"]),
        ("heat-exchanger", ["Try 'heat_exchanger'"]),
        ("HeatExchanger", ["Try 'heat_exchanger'"]),
        ("2kiln", ["lower-case", "Try 'kiln'"]),
        ("_kiln", ["lower-case"]),
        ("öfen", ["lower-case"]),
        ("", ["lower-case"]),
        ("../kiln", ["lower-case"]),
        ("lambda", ["word of Python", "lambda_plant"]),
        ("none", ["word of Python"]),
        ("json", ["module of Python itself", "json_plant"]),
        ("queue", ["module of Python itself"]),
        ("torch", ["package or folder that Python imports"]),
        ("twinml", ["package or folder that Python imports"]),
        ("lorenz", ["There is a twin 'lorenz' already"]),
        ("mine", ["There is a twin 'mine' already", "configs/twin/mine.yaml"]),
        ("plant", ["package or folder", "plant"]),
    ],
)
def test_a_name_that_would_be_in_the_way_is_refused(folder, capsys, name, fragments):
    put(folder / "configs/twin/mine.yaml", "model: {_target_: a.B}\n")
    put(folder / "plant/notes.txt", "")
    before = files(folder)
    assert main(["new", name]) == 2
    err = capsys.readouterr().err
    for fragment in fragments:
        assert fragment in err
    assert files(folder) == before


@pytest.mark.parametrize("there", WRITTEN)
def test_a_file_that_is_there_is_named_and_kept_and_nothing_is_written(folder, capsys, there):
    put(folder / there, "mine")
    assert main(["new", "heat_exchanger"]) == 2
    assert Path(there).name in capsys.readouterr().err
    assert files(folder) == [there] and (folder / there).read_text() == "mine"


def test_nothing_is_left_when_the_disk_refuses(folder, capsys, monkeypatch):
    put(folder / "tests", "a file, where a folder is needed")
    assert main(["new", "kiln"]) == 2
    assert "Nothing is left behind" in capsys.readouterr().err
    assert sorted(p.name for p in folder.iterdir()) == ["tests"]


def test_two_twins_share_a_folder(folder):
    assert main(["new", "kiln"]) == 0 and main(["new", "dryer"]) == 0
    assert {"kiln.py", "dryer.py"} <= set(files(folder))
    with pytest.raises(InputError, match="There is a twin 'kiln' already"):
        make_plan("kiln")


def test_the_synthetic_record_is_what_the_model_and_the_seed_give(folder):
    assert main(["new", "kiln"]) == 0
    text = (TEMPLATES / "record.csv").read_text().splitlines()
    rows = [row for row in csv.reader(text) if not row[0].startswith("#")]
    minutes, fuel, measured = np.array(rows[1:], dtype=float).T
    t = torch.as_tensor(minutes * 60.0)
    solution = twinml.simulate(
        importlib.import_module("kiln").Kiln(),
        t,
        parameters={"loss": 0.026, "exchange": 0.06},
        initial={"wall": 45.0},
        inputs={"fuel": twinml.Signal(t, torch.as_tensor(fuel / 3600.0), kind="hold")},
    )
    noise = np.random.default_rng(2024).normal(0.0, 2.0, len(t))
    assert np.abs(solution["temperature"][0].numpy() + noise - measured).max() <= 0.051


def test_the_learned_term_of_the_example_starts_as_the_plain_physics(folder):
    assert main(["new", "kiln"]) == 0
    plain = (folder / "kiln.py").read_text().splitlines()
    learned = [
        line.replace("# ", "", 1) if line.rstrip().endswith("# learned") else line for line in plain
    ]
    assert learned != plain
    put(folder / "learned_kiln.py", "\n".join(learned))
    t = torch.linspace(0, 600, 5, dtype=torch.float64)
    # One engine for both: weights ask for gradients, so auto would take eager for the second only.
    plainly = importlib.import_module("kiln").Kiln()
    before = twinml.simulate(plainly, t, engine="eager")["temperature"]
    model = importlib.import_module("learned_kiln").Kiln()
    assert torch.equal(twinml.simulate(model, t, engine="eager")["temperature"], before)
    torch.nn.init.ones_(model.residual.layers[-1].bias)
    assert not torch.equal(twinml.simulate(model, t, engine="eager")["temperature"], before)
    put(folder / "kiln.py", "\n".join(learned))  # and the test that was written still holds
    words = [sys.executable, "-m", "pytest", "-q", "-W", "error", "tests/test_kiln.py"]
    root = str(Path(twinml.__file__).parents[1])
    path = {"PYTHONPATH": os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])}
    done = subprocess.run(
        [*words, "-k", "calibration"], cwd=folder, env={**os.environ, **path}, capture_output=True
    )
    assert done.returncode == 0, done.stdout.decode()
