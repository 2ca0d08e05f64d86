from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtri

import twinml as tw
from twinml.errors import ScenarioError
from twinml.scenario.distribution import KINDS, read_distribution
from twinml.scenario.tilt import bind_tilt, name_shifts

BASE = {
    "horizon": {"start": 0, "stop": 10, "unit": "day"},
    "vary": {
        "day": {"distribution": "uniform", "low": 2, "high": 6},
        "effect": {"distribution": "beta", "alpha": 2, "beta": 3},
    },
    "changes": [{"at": "day", "multiply": {"beta": "1 - effect"}}],
    "quantities": {"peak": "max(in_bed)"},
}
CONTINUOUS = {
    "uniform": {"low": 2, "high": 5},
    "normal": {"mean": 1, "std": 2},
    "lognormal": {"median": 3, "sigma": 0.5},
    "triangular": {"low": 0, "mode": 1, "high": 4},
    "beta": {"alpha": 2, "beta": 3, "low": 1, "high": 5},
    "gamma": {"shape": 2.5, "scale": 3},
    "truncated": {"mean": 0, "std": 1, "low": -1, "high": 20},
}


def scenario(**changed):
    return tw.Scenario.from_mapping({**BASE, **changed})


@pytest.mark.parametrize("kind", CONTINUOUS)
def test_values_at_normal_scores_are_those_at_their_probabilities(kind):
    entry = read_distribution({"distribution": kind, **CONTINUOUS[kind]}, "x")
    u = np.linspace(1e-5, 1 - 1e-5, 999)
    np.testing.assert_allclose(entry.from_normal(ndtri(u)), entry.quantile(u), rtol=1e-12)


@pytest.mark.parametrize("kind", ["normal", "lognormal", "gamma", "truncated"])
def test_values_far_out_keep_their_digits(kind):
    entry = read_distribution({"distribution": kind, **CONTINUOUS[kind]}, "x")
    far = entry.from_normal(np.array([8.0, 8.5, 9.0, 12.0]))
    assert np.isfinite(far).all() and (np.diff(far) > 0).all()
    if kind == "truncated":  # the cut below takes Phi(-1) of the mass and barely moves the top
        # P(Z > x) = (1 - Phi(-1)) Phi(-12), to first order in the tail x + 0.0144
        assert far[-1] == pytest.approx(12.0144, abs=1e-3)


def test_every_kind_says_what_it_is_at_a_normal_score():
    assert set(KINDS) - set(CONTINUOUS) == {"choice", "fixed", "calibrated", "table"}


def test_a_tilt_moves_the_named_quantity_and_weighs_every_sample():
    moved = scenario(tilt={"effect": -1.5}, defensive=0).draw(None, 0, 4096, 4096, 0)
    plain = scenario().draw(None, 0, 4096, 4096, 0)
    assert next(iter(moved)) == "weight" and "weight" not in plain
    np.testing.assert_allclose(moved["day"], plain["day"], rtol=1e-12)
    assert moved["effect"].mean() < 0.5 * plain["effect"].mean()
    # weighted, every mean is the one asked for
    assert moved["weight"].mean() == pytest.approx(1, abs=0.02)
    for name in ("day", "effect"):
        assert (moved["weight"] * moved[name]).mean() == pytest.approx(plain[name].mean(), rel=0.02)


def test_a_defensive_share_stays_and_bounds_the_weights():
    values = scenario(tilt={"effect": 3}, defensive=0.25).draw(None, 0, 4096, 4096, 0)
    assert values["weight"].max() <= 4
    assert (values["effect"] < 0.4).mean() == pytest.approx(0.25 * 0.525, abs=0.01)
    assert (values["weight"] * (values["effect"] < 0.4)).mean() == pytest.approx(0.525, abs=0.01)


def test_a_tilted_sample_is_a_function_of_its_index():
    whole = scenario(tilt={"day": 2}).draw(None, 0, 100, 100, 7)
    part = scenario(tilt={"day": 2}).draw(None, 37, 61, 100, 7)
    for name, column in whole.items():
        assert column[37:61].tobytes() == part[name].tobytes()


def test_jointly_drawn_quantities_follow_the_one_that_is_moved(model, posterior):
    bound = scenario(tilt={"beta": 2.0}).check(model, posterior)
    tilt = bind_tilt(bound.scenario, posterior)
    shifts = name_shifts(tilt.shift, bound.scenario, posterior)
    assert shifts["beta"] == pytest.approx(2.0)
    assert shifts["gamma"] == pytest.approx(0.3 * 2.0)
    assert shifts["initial.infected"] == pytest.approx(-0.96 * 2.0)
    assert np.linalg.norm(tilt.shift) == pytest.approx(2.0)  # no shift that does so is shorter
    both = scenario(tilt=shifts).check(model, posterior)
    again = bind_tilt(both.scenario, posterior)
    np.testing.assert_allclose(again.shift, tilt.shift, atol=1e-12)


def test_a_tilt_is_part_of_what_a_scenario_is():
    tilted = scenario(tilt={"effect": 1})
    assert tw.Scenario.from_mapping(tilted.to_mapping()) == tilted
    assert tilted.digest != scenario().digest
    assert "tilt" not in scenario().to_mapping()  # digests of earlier scenarios stay


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"tilt": 3}, "shifts in standard deviations"),
        ({"tilt": {"effect": "far"}}, "finite number"),
        ({"tilt": {"effect": 31}}, "at most 30"),
        ({"tilt": {"effect": 1}, "defensive": 1}, "below 1"),
        ({"defensive": 0.2}, "no tilt"),
        ({"tilt": {"effect": 1}, "design": "grid"}, "likelihood ratio"),
        ({"tilt": {"effect": 1}, "quantities": {"weight": "max(in_bed)"}}, "'weight' is taken"),
        (
            {"tilt": {"day": 1}, "vary": {**BASE["vary"], "day": {"distribution": "choice",
             "values": [1, 2]}}},
            "no normal score",
        ),
    ],
)  # fmt: skip
def test_a_tilt_that_cannot_be_used_is_refused(changed, words):
    with pytest.raises(ScenarioError, match=words):
        scenario(**changed)


def test_a_tilt_of_what_is_not_drawn_names_the_nearest(model, posterior):
    with pytest.raises(ScenarioError, match="Did you mean 'effect'"):
        scenario(tilt={"efect": 1}).check(model, posterior)
    fixed = scenario(tilt={"gamma": 1}, **{"except": ["gamma"]})
    with pytest.raises(ScenarioError, match="'gamma', which is not drawn"):
        fixed.check(model, posterior)


def test_weights_of_a_far_tilt_stay_finite():
    values = scenario(tilt={"effect": 20, "day": 20}).draw(None, 0, 256, 256, 0)
    assert np.isfinite(values["weight"]).all() and math.isclose(values["weight"].max(), 10)


def test_correlated_quantities_follow_and_keep_their_correlation():
    entry = {"distribution": "normal", "mean": 0, "std": 1}
    moved = tw.Scenario.from_mapping(
        {
            **BASE,
            "vary": {"day": {"distribution": "normal", "mean": 5, "std": 1}, "effect": entry},
            "correlation": {"day": {"effect": 0.8}},
            "tilt": {"effect": 3.0},
            "defensive": 0,
        }
    )
    values = moved.draw(None, 0, 8192, 8192, 0)
    day, effect, weight = values["day"] - 5, values["effect"], values["weight"]
    assert effect.mean() == pytest.approx(3.0, abs=0.01)
    assert day.mean() == pytest.approx(0.8 * 3.0, abs=0.01)
    assert np.corrcoef(day, effect)[0, 1] == pytest.approx(0.8, abs=0.01)
    # |s|^2 = 9 whatever follows, and the weight depends on the tilted quantity alone
    np.testing.assert_allclose(weight, np.exp(4.5 - 3 * effect), rtol=1e-9)


def test_constraints_hold_beside_a_tilt_and_refuse_one_of_their_own():
    spread = {"distribution": "uniform", "low": 0, "high": 10}
    vary = {**BASE["vary"], "low": spread, "high": spread}
    quantities = {"peak": "max(in_bed) * (high - low)"}
    beside = scenario(
        vary=vary, quantities=quantities, constraints=["low < high"], tilt={"effect": 2}
    )
    values = beside.draw(None, 0, 2048, 2048, 0)
    assert (values["low"] < values["high"]).all()
    assert (values["weight"] * values["low"]).mean() == pytest.approx(10 / 3, rel=0.03)
    own = scenario(vary=vary, quantities=quantities, constraints=["low < high"], tilt={"low": 2})
    with pytest.raises(ScenarioError, match="known by trial only"):
        own.draw(None, 0, 8, 8, 0)
