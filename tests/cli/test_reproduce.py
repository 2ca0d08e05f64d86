"""``reproduce`` does a run again and says yes or lists what differs."""

from __future__ import annotations

import json

import pytest

from tests.cli.small import TASK, put
from twinml.cli.main import main
from twinml.cli.tasks import simulate as simulate_module


@pytest.fixture
def done(small, monkeypatch, folder):
    monkeypatch.setattr(simulate_module, "TASK", TASK)
    put(folder / "configs/twin/here.yaml", "model: {_target_: a.B}\n")
    assert small("twin=here", "samples=8", "seed=3", "out=first") == 0
    return folder


def test_the_same_numbers_are_success(done, capsys):
    assert main(["reproduce", "run=first", "out=second"]) == 0
    assert "the same, bit for bit" in capsys.readouterr().out
    again = json.loads((done / "second" / "again" / "metrics.json").read_text())
    assert again == {"schema": "metrics/1", "sum.total": 7.0, "sum.samples": 8}


def test_other_numbers_are_listed_with_what_changed(done, capsys):
    path = done / "first" / "metrics.json"
    path.write_text(json.dumps({"sum.total": 7.000000000000001, "sum.samples": 8}))
    block = json.loads((done / "first" / "provenance.json").read_text())
    block["inputs"]["record"] = "1" * 64
    block["packages"]["numpy"] = "1.0"
    (done / "first" / "provenance.json").write_text(json.dumps(block))
    assert main(["reproduce", "run=first", "out=second"]) == 1
    err = capsys.readouterr().err
    assert "sum.total: was 7.000000000000001, now 7.0" in err and "sum.samples" not in err
    assert "record has changed since" in err and "numpy was 1.0" in err
    assert json.loads((done / "second" / "provenance.json").read_text())["status"] == "failed"


@pytest.mark.parametrize(
    ("word", "fragment"),
    [
        ("seed=1", "run=<directory>"),
        ("run=nowhere", "does not exist"),
        ("run=configs", "not a run directory"),
    ],
)
def test_what_is_no_finished_run_is_refused(done, capsys, word, fragment):
    assert main(["reproduce", word]) == 2
    assert fragment in capsys.readouterr().err
