"""Files and values joined: search order, shadowing, and texts that name key, file and folder."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.cli.small import TASK, put
from twinml import resources
from twinml.cli.compose import compose
from twinml.cli.overrides import parse, selections
from twinml.cli.search import SearchPath
from twinml.errors import ConfigError


def composed(*words: str):
    arguments = parse(words)
    (selection,) = selections(arguments)
    search = SearchPath.of(arguments.config_dir)
    return compose(TASK.schema, TASK.name, TASK.groups, selection, search)


def test_the_package_is_searched_last_and_the_option_first(folder):
    put(folder / "configs/twin/lorenz.yaml", "model: {_target_: here.Lorenz}")
    put(folder / "more/twin/lorenz.yaml", "model: {_target_: more.Lorenz}")
    assert composed("twin=robertson").typed.twin.model["_target_"].startswith("twinml.")
    assert composed("twin=lorenz").typed.twin.model["_target_"] == "here.Lorenz"
    first = composed("twin=lorenz", "--config-dir", "more")
    assert first.typed.twin.model["_target_"] == "more.Lorenz"
    assert first.typed.twin.name == "lorenz"


def test_a_hidden_package_file_is_named_on_stderr(small, folder, capsys):
    put(folder / "configs/twin/lorenz.yaml", "model: {_target_: here.Lorenz}")
    assert small("twin=lorenz") == 0
    told = capsys.readouterr().err
    assert "twin=lorenz is configs/twin/lorenz.yaml" in told
    assert str(resources.configs() / "twin" / "lorenz.yaml") in told


def test_short_keys_reach_into_the_twin(folder):
    made = composed("twin=outbreak", "parameters.beta='1.8/day'", "data.path=a.csv", "fit=[beta]")
    assert made.typed.twin.parameters == {"beta": "1.8/day"}
    assert made.typed.twin.data.path == "a.csv"
    assert made.typed.twin.calibrate.fit == ["beta"]


def test_an_experiment_chooses_groups_and_sets_keys(folder):
    put(
        folder / "configs/experiment/quick.yaml",
        "# @package _global_\ndefaults:\n  - override /twin: lorenz\n"
        "samples: 77\nsolver: {rtol: 1e-3}\n",
    )
    made = composed("experiment=quick", "seed=5")
    assert (made.typed.samples, made.typed.seed, made.typed.solver.rtol) == (77, 5, 1e-3)
    assert made.choices["twin"] == "lorenz"
    assert composed("experiment=quick", "samples=3").typed.samples == 3


def test_keys_of_a_scenario_may_hold_dots(folder):
    put(
        folder / "configs/scenario/s.yaml",
        "horizon: {start: 0, stop: 3}\nvary:\n  initial.x: {distribution: uniform, low: 0}\n",
    )
    put(folder / "configs/simulate.yaml", "defaults: [{scenario: null}, _self_]")
    made = composed("scenario=s", "scenario.vary.initial.x.low=0.5", "scenario.horizon.stop=9")
    assert made.typed.scenario["vary"]["initial.x"]["low"] == 0.5
    assert made.typed.scenario["horizon"]["stop"] == 9


def test_an_unset_data_folder_is_kept_for_the_task_that_needs_it(folder, monkeypatch):
    assert "${paths.data}" in composed("twin=cascaded_tanks").typed.twin.data.path
    given = composed("twin=cascaded_tanks", "paths.data=/x").typed.twin.data.path
    assert given == "/x/cascaded_tanks/dataBenchmark.csv"
    monkeypatch.setenv("TWINML_DATA", "/y")
    assert composed("twin=cascaded_tanks").typed.twin.data.path.startswith("/y/")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        (["sed=1"], ["Unknown key 'sed'", "Did you mean 'seed'"]),
        (["time.unit=h"], ["Unknown key 'time.unit'. Did you mean 'twin.time.unit'?"]),
        (["rtol=1"], ["Unknown key 'rtol'. Did you mean 'solver.rtol'?"]),
        (["solver.rtl=1"], ["'solver.rtl'", "'solver.rtol'"]),
        (["twin=lorenz", "twin.tim.unit=s"], ["'twin.tim'", "'twin.time'"]),
        (["twin=lorens"], ["No twin 'lorens'", "'lorenz'", "Looked for lorens.yaml in"]),
        (["surrogate=gp"], ["takes no surrogate", "twin"]),
        (["samples=1.5"], ["samples=1.5", "a whole number"]),
        (["samples=many"], ["samples='many'", "a whole number"]),
        (["mode=slow"], ["mode='slow'", "fast, exact"]),
        (["twin=[a]"], ["twin takes the name of a choice"]),
        (["seed.x=1"], ["seed is a single value"]),
        (["scenario.x.y=1"], ["needs a scenario first", "scenario=<name>"]),
        (["--config-dir", "nowhere"], ["nowhere is not a folder"]),
        (["twin=lorenz", "parameters=3"], ["twin.parameters=3", "a mapping"]),
        (["twin=bad"], ["Unknown key 'twin.outptus'", "'twin.outputs'", "configs/twin/bad.yaml"]),
        (["twin=typed"], ["twin.calibrate.fit='beta'", "configs/twin/typed.yaml"]),
        (["twin=broken"], ["not valid YAML", "broken.yaml"]),
        (["twin=dangling"], ["leads nowhere", "nothing.here"]),
        (["experiment=lost"], ["do not fit together", "twin/nothing"]),
        (["experiment=outbreak"], ["experiment=outbreak chooses a", "another task"]),
    ],
)
def test_a_bad_key_choice_or_file_is_refused_by_name(folder, words, fragments):
    put(folder / "configs/twin/bad.yaml", "model: {_target_: a.B}\noutptus: {}\n")
    put(folder / "configs/twin/typed.yaml", "calibrate: {fit: beta}\n")
    put(folder / "configs/twin/broken.yaml", "model: {_target_: a.B\n")
    put(folder / "configs/twin/dangling.yaml", "name: ${nothing.here}\n")
    put(
        folder / "configs/experiment/lost.yaml",
        "# @package _global_\ndefaults:\n  - override /twin: nothing\n",
    )
    with pytest.raises(ConfigError) as caught:
        composed(*words)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_the_stored_configuration_is_resolved_and_whole(small, folder):
    assert small("twin=lorenz", "out=a") == 0
    stored = yaml.safe_load((folder / "a" / "config.yaml").read_text())
    assert stored["solver"]["rtol"] == 1e-6 and stored["samples"] == 10
    assert stored["twin"]["calibrate"] == {"fit": [], "fit_initial": []}
    block = json.loads((folder / "a" / "provenance.json").read_text())
    assert block["choices"]["twin"] == "lorenz" and block["command"][0] == "simulate"
    assert sorted(p.name for p in folder.iterdir()) == ["a"]
