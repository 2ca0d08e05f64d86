"""``show`` of a scenario, and the scenarios that ship."""

from __future__ import annotations

import pytest

from tests.cli.small import put
from twinml import resources
from twinml.cli.main import main
from twinml.scenario import Scenario
from twinml.scenario.scenario import TAGS

SHIPPED = sorted((resources.configs() / "scenario").glob("*.yaml"))


def test_every_shipped_scenario_is_described_and_all_tags_are_used():
    scenarios = [Scenario.from_yaml(path) for path in SHIPPED]
    assert len(scenarios) >= 12
    assert all(scenario.description and scenario.tags for scenario in scenarios)
    assert {tag for scenario in scenarios for tag in scenario.tags} == set(TAGS)
    assert sum(bool(s.profiles) for s in scenarios) >= 3
    assert sum(bool(s.constraints) for s in scenarios) >= 3
    assert sum(bool(s.correlation) for s in scenarios) >= 3


def test_show_tells_a_scenario_in_words_with_its_cost_and_figure(folder, capsys):
    words = ["show", "scenario=heater_sharing", "--twin", "heater_pair", "--out", "m.png"]
    assert main(words) == 0
    out = capsys.readouterr().out
    for fragment in (
        "[optimisation]", "even between 0 and 100 percent", "Only samples with power2 < power1",
        "Of the trial samples 25", "3.96 drawn for each", "scrambled Sobol",
        "probability that hottest exceeds 60", "1,024 samples", "bytes", "figure m.png",
    ):  # fmt: skip
        assert fragment in out, fragment
    assert (folder / "m.png").read_bytes().startswith(b"\x89PNG")


def test_show_tells_profiles_and_correlations(folder, capsys):
    assert main(["show", "scenario=pump_duty", "--twin", "cascaded_tanks"]) == 0
    out = capsys.readouterr().out
    assert "k1 and k2 go together: correlation 0.6" in out
    assert "times gain, plus bias, delayed by late" in out


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["scenario=isolatoin"], "Did you mean 'isolation'"),
        (["scenario=isolation", "--twin", "outbrake"], "Did you mean 'outbreak'"),
        (["scenario=isolation", "--twin", "lorenz"], "dimensions differ"),
        (["scenario=isolation", "--out", "a.svg"], "expected the name of a .png"),
        (["scenario=isolation", "--out", "no/a.png"], "no folder no"),
        (["scenario=isolation", "--samples", "0"], "--samples 0"),
        (["a.json", "--twin", "lorenz"], "--twin is for a scenario"),
    ],
)
def test_show_refuses_what_it_cannot_do_for_a_scenario(folder, capsys, words, fragment):
    put(folder / "a.json", "{}")
    assert main(["show", *words]) == 2
    assert fragment in capsys.readouterr().err
