from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

import twinml as tw
from tests.sweep.models import BlowUp, Decay
from twinml.errors import ArgumentError, ExpressionError, ScenarioError
from twinml.scenario.tilt import WEIGHT
from twinml.sweep.rare import weighted_probability
from twinml.sweep.rare.rows import event_rows

# x(2) = x0 exp(-2 rate): log x(2) is normal with mean -2 and variance 0.2^2 + (2 * 0.1)^2
SPREAD = math.hypot(0.2, 0.2)
SCENARIO = {
    "horizon": {"start": 0, "stop": 2},
    "vary": {
        "rate": {"distribution": "truncated", "mean": 1, "std": 0.1, "low": 0},
        "initial.x": {"distribution": "lognormal", "median": 1, "sigma": 0.2},
    },
    "quantities": {"end": "final(x)"},
}
OPTIONS = {"rtol": 1e-8}


def scenario(**changed):
    return tw.Scenario.from_mapping({**SCENARIO, **changed})


def threshold(probability):
    return float(math.exp(-2 - SPREAD * ndtri(probability)))


@pytest.mark.parametrize("estimator", ["subset", "importance"])
@pytest.mark.parametrize("probability", [1e-4, 1e-6])
def test_a_simulated_twin_gives_the_closed_form(estimator, probability):
    event = f"end > {threshold(probability)!r}"
    found = [
        tw.rare_event(Decay(), scenario(), event, estimator, 1000, seed, **OPTIONS)
        for seed in range(3)
    ]
    mean = np.mean([one.probability for one in found])
    error = np.mean([one.variation for one in found]) / math.sqrt(3)
    assert abs(mean - probability) < 3 * error * probability
    assert all(one.reliable and one.failed == 0 for one in found)
    json.dumps(found[0].to_mapping(), allow_nan=False)
    assert f"P({event}) = " in found[0].text
    assert (found[0].cases["limit_state"] > 0).all()
    exact = found[0].cases["initial.x"] * np.exp(-2 * found[0].cases["rate"])
    assert (exact > threshold(probability)).all()


def test_a_proposed_tilt_points_at_the_likeliest_case_and_serves_a_sweep(tmp_path):
    probability = 1e-5
    event = f"end > {threshold(probability)!r}"
    proposal = tw.propose_tilt(Decay(), scenario(), event, **OPTIONS)
    # equal parts of the variance: both at beta / sqrt(2), and a little beyond
    assert proposal.reliable and proposal.concentration == pytest.approx(1, abs=0.1)
    assert proposal.tilt["initial.x"] == pytest.approx(3.0, abs=0.5)
    assert proposal.tilt["rate"] == pytest.approx(-3.0, abs=0.5)
    tilted = scenario(tilt=dict(proposal.tilt))
    swept = tw.sweep(Decay(), tilted, 2000, out=tmp_path / "a", workers=1, block_size=256)
    table = swept.table()
    assert table.names.index(WEIGHT) < table.names.index("rate")
    found = weighted_probability(table["end"] > threshold(probability), table[WEIGHT], largest=10)
    assert found.reliable and found.low < probability < found.high
    assert found.variation < 0.1


def test_a_tilted_sweep_is_the_same_for_any_cut(tmp_path):
    tilted = scenario(tilt={"rate": -2.0})
    options = {"block_size": 32, "seed": 3}
    whole = tw.sweep(Decay(), tilted, 150, out=tmp_path / "a", workers=1, **options).table()
    part = tw.sweep(Decay(), tilted, 70, out=tmp_path / "b", workers=1, **options)
    assert part.done == 70
    resumed = tw.sweep(
        Decay(), tilted, 150, out=tmp_path / "b", workers=1, resume=True, shard_size=32, **options
    ).table()
    for name in whole.names:
        assert whole[name].tobytes() == resumed[name].tobytes()
    with pytest.raises(ArgumentError, match="scenario differs"):
        tw.sweep(Decay(), scenario(tilt={"rate": -1.0}), 150, out=tmp_path / "b", resume=True)


def test_the_limit_state_does_not_depend_on_how_rows_are_cut():
    planned = tw.sweep(Decay(), scenario(), 2, out="unused", dry_run=True, engine="native")
    rows = event_rows(planned.task, "end > 0.3")
    points = np.random.default_rng(0).standard_normal((301, 2))
    whole = rows.limit_state(points)
    cut = [rows.limit_state(part) for part in np.array_split(points, [1, 8, 50, 277])]
    assert np.concatenate(cut).tobytes() == whole.tobytes()


@pytest.mark.parametrize(
    ("event", "exact"),
    [
        ("end > 0.3", ndtr(-(math.log(0.3) + 2) / SPREAD)),
        ("0.3 <= final(x)", ndtr(-(math.log(0.3) + 2) / SPREAD)),
        ("end / 0.3 - 1 > 0", ndtr(-(math.log(0.3) + 2) / SPREAD)),
        ("first_time(x < 0.5) >= 2", ndtr(-(math.log(0.5) + 2) / SPREAD)),
    ],
)
def test_an_event_may_be_written_in_several_ways(event, exact):
    found = tw.rare_event(Decay(), scenario(), event, samples=1000, **OPTIONS)
    assert found.low / 1.3 < exact < 1.3 * found.high


def test_two_regions_are_seen_by_subsets_and_refused_by_a_single_tilt():
    both = scenario(quantities={"odds": "abs(log(final(x) / initial.x) + 2)"})
    event = f"odds > {float(-0.2 * ndtri(0.5e-4))!r}"
    subset = tw.rare_event(Decay(), both, event, samples=1000, **OPTIONS)
    assert subset.reliable and subset.low < 1e-4 < subset.high
    tilted = tw.rare_event(Decay(), both, event, "importance", 1000, **OPTIONS)
    assert not tilted.reliable and tilted.low == 0 and tilted.high > 1e-4
    assert "do not lie in one direction" in tilted.diagnosis and "is not known" in tilted.text


def test_what_no_tilt_can_move_is_named():
    tied = scenario(constraints=["rate > 0.2"])
    found = tw.rare_event(Decay(), tied, "end > 0.3", "importance", 1000, **OPTIONS)
    assert not found.reliable and "by rate, which no tilt can move" in found.diagnosis


def test_rows_that_fail_are_stated():
    start = {"initial.x": {"distribution": "lognormal", "median": 0.5, "sigma": 0.5}}
    found = tw.rare_event(
        BlowUp(), scenario(horizon={"start": 0, "stop": 1}, vary=start), "final(x) > 1e3",
        samples=500,
    )  # fmt: skip
    assert found.failed > 0 and not found.reliable and "failed" in found.diagnosis


@pytest.mark.parametrize(
    ("event", "error", "words"),
    [
        ("end", ScenarioError, "one comparison"),
        ("end == 1", ScenarioError, "one comparison"),
        ("ned > 1", ExpressionError, "event: .*Did you mean 'end'"),
        ("x > 1", ScenarioError, "event: 'x - 1' uses 'x', which changes over time"),
        ("end >", ExpressionError, "cannot be read"),
    ],
)
def test_an_event_that_is_none_is_refused_in_words(event, error, words):
    with pytest.raises(error, match=words):
        tw.rare_event(Decay(), scenario(), event)


def test_an_unknown_estimator_names_the_known():
    with pytest.raises(ArgumentError, match="Did you mean 'subset'"):
        tw.rare_event(Decay(), scenario(), "end > 1", "subsets")


def test_constraints_condition_every_level():
    # given x0 < 1 the event needs the rate alone: P(-2 rate' > b | x0 < 1), by quadrature
    conditioned = scenario(constraints=["initial.x < 1"])
    limit = threshold(1e-4)
    z = np.linspace(-8, 0, 4001)
    density = np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) * 2
    # log x = 0.2 z - 2 - 0.2 y > log(limit)
    exact = np.trapezoid(density * ndtr((-math.log(limit) - 2 + 0.2 * z) / 0.2), z)
    found = tw.rare_event(Decay(), conditioned, f"end > {limit!r}", samples=1000, **OPTIONS)
    assert found.low < exact < found.high
    assert (found.cases["initial.x"] < 1).all()
