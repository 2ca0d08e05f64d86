"""How a task ends: exit codes, run directories that tell how, multirun's table."""

from __future__ import annotations

import csv
import json
import os
import signal
from dataclasses import replace

import pytest

from tests.cli.small import TASK, put
from twinml.cli import main as program
from twinml.cli import runner
from twinml.cli.tasks import simulate as simulate_module
from twinml.errors import ConfigError, InputError


@pytest.fixture
def typed(monkeypatch, folder, capsys):
    """The whole program on the small task: exit code, stdout, stderr."""
    monkeypatch.setattr(simulate_module, "TASK", TASK)

    def call(*words: str) -> tuple[int, str, str]:
        code = program.main(["simulate", *words])
        told = capsys.readouterr()
        return code, told.out, told.err

    return call


def status(folder) -> tuple[str, int]:
    block = json.loads((folder / "provenance.json").read_text())
    return block["status"], block["exit_code"]


@pytest.mark.parametrize(
    ("ending", "code", "fragment", "ended"),
    [
        ("no", 0, "", ("done", 0)),
        ("input", 2, "The record is not good.", None),
        ("work", 1, "Nothing converged.", ("failed", 1)),
        ("bug", 1, "TWINML_DEBUG=1", ("failed", 1)),
        ("interrupt", 130, "interrupted", ("failed", 130)),
    ],
)
def test_every_ending_has_its_code_and_is_noted(typed, folder, ending, code, fragment, ended):
    got, _, err = typed(f"fail={ending}", "out=a")
    assert got == code and fragment in err and "Traceback" not in err
    assert (status(folder / "a") if ended else None) == ended
    assert (folder / "a").exists() == (ended is not None)


def test_the_traceback_is_shown_when_asked_for(typed, monkeypatch):
    monkeypatch.setenv("TWINML_DEBUG", "1")
    assert "Traceback" in typed("fail=bug")[2]


def test_sigterm_ends_with_143_and_is_noted(typed, folder, monkeypatch):
    def ended(config, job):
        job.start({})
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal did not arrive")

    monkeypatch.setattr(simulate_module, "TASK", replace(TASK, run=ended))
    assert typed("out=a")[0] == 143
    assert status(folder / "a") == ("failed", 143)


def test_a_run_ends_with_a_table_and_its_path(typed, folder):
    code, out, err = typed("samples=4")
    assert code == 0 and "total" in out and "runs/simulate/" in out and err == ""
    (made,) = (folder / "runs" / "simulate").glob("*/*")
    assert json.loads((made / "metrics.json").read_text())["sum.total"] == 2.0
    assert sorted(p.name for p in folder.iterdir()) == ["runs"]


def test_a_run_never_overwrites_another(typed):
    assert typed("out=a")[0] == 0
    code, _, err = typed("out=a")
    assert code == 2 and "out=a is not empty" in err


def test_a_run_directory_that_cannot_be_made_is_bad_input(typed, folder):
    put(folder / "file", "")
    code, _, err = typed("out=file/a")
    assert code == 2 and "cannot be written" in err and "out=<folder>" in err


def test_dry_run_prints_the_configuration_and_writes_nothing(typed, folder):
    code, out, _ = typed("dry_run=true", "samples=1_000")
    assert code == 0 and "samples: 1000" in out and not list(folder.iterdir())


def test_help_names_the_options_of_every_surrogate(capsys):
    assert program.main(["train", "--help"]) == 0
    told = capsys.readouterr().out
    assert "coarse_rows [384]" in told and "learning_rate [0.01]" in told


def test_help_names_groups_keys_and_an_example(typed):
    code, out, _ = typed("--help")
    assert code == 0
    for fragment in ("twin ", "outbreak", "samples", "how many [10]", "twinml simulate samples=3"):
        assert fragment in out


def test_a_multirun_runs_every_combination_and_ends_with_one_table(typed, folder):
    code, out, err = typed("-m", "samples=2,4", "seed=range(1,3)", "out=all")
    assert code == 0 and "job 4 of 4: samples=4 seed=2" in err
    with open(folder / "all" / "multirun.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(r["samples"], r["seed"], float(r["sum.total"])) for r in rows] == [
        ("2", "1", 2.0),
        ("2", "2", 3.0),
        ("4", "1", 3.0),
        ("4", "2", 4.0),
    ]
    assert out.count("done") == 4 and "all/multirun.csv" in out
    assert status(folder / "all" / "3") == ("done", 0)


def test_one_failing_job_stops_no_other_and_gives_the_worst_code(typed, folder):
    code, out, err = typed("-m", "fail=no,work,input,no", "out=all")
    assert code == 2 and out.count("done") == 2 and "exit 1" in out and "exit 2" in out
    assert "Nothing converged." in err
    assert status(folder / "all" / "1") == ("failed", 1)


def test_a_stopped_multirun_keeps_the_table_of_what_is_done(typed, folder):
    code, _, err = typed("-m", "fail=no,interrupt,no", "out=all")
    assert code == 130 and "job 3" not in err
    assert (folder / "all" / "multirun.csv").read_text().count("\n") == 2
    assert status(folder / "all" / "1") == ("failed", 130)


def test_a_bad_key_stops_a_multirun_before_the_first_job(typed, folder):
    code, _, err = typed("-m", "seed=1,2", "samples=1.5")
    assert code == 2 and "a whole number" in err and not list(folder.iterdir())


@pytest.mark.parametrize(
    ("words", "code", "fragments"),
    [
        ([], 0, ["usage: twinml"]),
        (["--version"], 0, ["twinml 0."]),
        (["simlate"], 2, ["'simlate' is not a twinml command", "'simulate'", "Tools: doctor"]),
        (["verify"], 2, ["PATH", "twinml verify"]),
        (["twins", "--config-dirs", "x"], 2, ["unrecognized", "Usage"]),
        (["twins"], 0, ["outbreak", "twinml.library.Outbreak"]),
        (["twins", "--help"], 0, ["Lists the twins"]),
    ],
)
def test_the_program_answers(folder, capsys, words, code, fragments):
    assert program.main(words) == code
    told = capsys.readouterr()
    for fragment in fragments:
        assert fragment in told.out + told.err


def test_a_required_group_is_asked_for_with_its_choices(folder):
    with pytest.raises(ConfigError, match=r"needs a twin: add twin=<name>. Known: .*outbreak"):
        runner.run(replace(TASK, needs=("twin",)), [])


def test_input_errors_are_the_exit_code_two():
    assert runner.exit_code(InputError("x")) == 2 and runner.exit_code(ValueError("x")) == 1
