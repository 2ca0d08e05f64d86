"""A run directory says how its run ended, and is never read as whole when it is not."""

from __future__ import annotations

import datetime
import json
import math

import pytest

from twinml.errors import DataError, InputError, IntegrityError
from twinml.run import RunDirectory, compare_metrics, open_run, provenance
from twinml.run.provenance import digest_file, digest_source, git_state

MOMENT = datetime.datetime(2026, 3, 4, 5, 6, 7)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = RunDirectory.create("sweep", now=MOMENT)
    made.write_provenance(
        provenance(task="sweep", command=["sweep", "seed=1"], seed=1, choices={}, inputs={})
    )
    return made


def test_the_default_name_holds_task_date_time_and_six_hex_digits(run):
    first, task, date, name = run.path.parts
    assert (first, task, date, name[:7]) == ("runs", "sweep", "2026-03-04", "050607-")
    assert len(name) == 13 and int(name[7:], 16) >= 0
    assert RunDirectory.create("sweep", now=MOMENT).path != run.path


def test_an_unfinished_run_is_recognised_and_refused(run):
    with pytest.raises(DataError, match="status 'running'"):
        open_run(run.path)
    assert open_run(run.path, finished=False) == run
    run.update_provenance(status="done", exit_code=0)
    assert open_run(run.path).provenance()["seed"] == 1


@pytest.mark.parametrize("where", ["nowhere", "."])
def test_what_is_no_run_directory_is_refused(run, where):
    with pytest.raises(DataError, match=r"does not exist|is not a run directory"):
        open_run(where)


def test_a_block_of_another_schema_is_refused_with_its_writer(run):
    path = run.path / "provenance.json"
    block = {**json.loads(path.read_text()), "schema": "run/9"}
    path.write_text(json.dumps(block))
    with pytest.raises(IntegrityError, match=r"schema 'run/9'.*'run/1'.*twinml 0"):
        open_run(run.path)


def test_metrics_keep_every_bit_and_lack_becomes_null(run):
    numbers = {"a.b": 0.1 + 0.2, "c": math.nan, "d": 7, "e": math.inf}
    run.write_metrics(numbers)
    assert run.metrics() == {"a.b": 0.1 + 0.2, "c": None, "d": 7, "e": None}


def test_a_config_comes_back_as_it_went(run):
    config = {"rtol": 1e-6, "text": "1e-6", "list": ["a", 1], "none": None, "on": "on"}
    run.write_config(config)
    assert run.config() == config


def test_a_folder_in_use_is_refused_unless_resumed(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(InputError, match="not empty"):
        RunDirectory.create("sweep", tmp_path)
    assert RunDirectory.create("sweep", tmp_path, resume=True).path == tmp_path


def test_a_run_without_results_can_be_discarded_but_no_other(run):
    kept = RunDirectory.create("sweep", "kept")
    kept.write_provenance({})
    kept.write_metrics({"a": 1})
    for folder in (run, kept):
        folder.discard()
    assert kept.path.is_dir() and not run.path.exists()


def test_comparison_names_each_metric_that_differs_in_any_bit():
    before = {"a": 1.0, "b": 0.3, "c": 1, "sweep.seconds": 3.0}
    after = {"a": 1.0, "b": 0.1 + 0.2, "d": None, "sweep.seconds": 4.0}
    assert [d.name for d in compare_metrics(before, after)] == ["b", "c", "d"]
    assert str(compare_metrics(before, after)[0]) == "b: was 0.3, now 0.30000000000000004"


def test_digests_follow_the_bytes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a\n1\n")
    first = digest_file(path)
    path.write_bytes(b"a\n2\n")
    assert digest_file(path) != first and len(first) == 64
    assert digest_source(RunDirectory) == digest_source(RunDirectory)


def test_git_state_is_none_outside_a_checkout(tmp_path):
    assert git_state(tmp_path) is None


def test_after_bad_input_neither_the_folder_nor_those_made_for_it_are_left(tmp_path):
    (tmp_path / "mine").mkdir()
    run = RunDirectory.create("simulate", tmp_path / "mine" / "a" / "b")
    run.write_config({})
    assert run.discard() and list(tmp_path.rglob("*")) == [tmp_path / "mine"]


def test_a_folder_of_a_run_that_came_to_nothing_can_be_used_again(tmp_path):
    run = RunDirectory.create("simulate", tmp_path / "a")
    run.write_config({})
    run.write_provenance({"status": "running"})
    with pytest.raises(InputError, match="not empty"):
        RunDirectory.create("simulate", tmp_path / "a")
    run.update_provenance(status="failed")
    assert RunDirectory.create("simulate", tmp_path / "a") == run
    run.write_metrics({"x": 1.0})
    with pytest.raises(InputError, match="not empty"):
        RunDirectory.create("simulate", tmp_path / "a")
