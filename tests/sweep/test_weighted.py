"""Tilted sweeps: every estimate weighted, against closed forms of the normal distribution.

Rows are drawn from a normal shifted by m instead of the standard one, so that the weight of a
row x is exp(-m x + m^2 / 2), and E[w^2 1(x > a)] = exp(m^2) P(Z > a + m).
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from twinml.data import Table
from twinml.scenario import Scenario
from twinml.sweep import summarise

SCENARIO = Scenario.from_mapping(
    {
        "horizon": {"start": 0, "stop": 1},
        "vary": {"x": {"distribution": "normal", "mean": 0, "std": 1}},
        "quantities": {"y": "max(x)"},
        "exceedance": {"y": [3.0]},
    }
)
ROWS = 20_000


def tilted(shift, rows=ROWS, seed=0, failed=None):
    x = np.random.default_rng(seed).normal(size=rows) + shift
    weight = np.exp(-shift * x + shift**2 / 2)
    status = np.zeros(rows, dtype=np.int64) if failed is None else np.where(failed(x), 4, 0)
    y = np.where(status == 4, math.nan, x)
    return Table(
        {"sample": np.arange(rows), "status": status, "weight": weight, "x": x, "y": y}, {}
    )


def summary(table, level=0.9):
    return summarise(table, SCENARIO, len(table), level)


def test_a_rare_probability_and_its_error_are_those_of_the_closed_form():
    found = summary(tilted(3.0))["exceedance"]["y"][0]
    exact = norm.sf(3)
    error = math.sqrt((math.exp(9) * norm.sf(6) - exact**2) / ROWS)
    assert found["probability"] == pytest.approx(exact, abs=3 * error)
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(norm.ppf(0.95) * error, rel=0.1)
    # counting rows without a tilt would need this many of them for the same error
    assert exact * (1 - exact) / error**2 > 50 * ROWS


def test_the_mean_its_error_and_the_effective_size_are_those_of_the_closed_form():
    shift = 0.5
    found = summary(tilted(shift))
    y, weights = found["quantities"]["y"], found["weights"]
    error = math.sqrt(math.exp(shift**2) * (1 + shift**2) / ROWS)
    assert y["mean"] == pytest.approx(0, abs=3 * error)
    assert y["mean_error"] == pytest.approx(error, rel=0.1)
    assert y["sd"] == pytest.approx(1, abs=0.05)
    assert weights["effective"] == pytest.approx(ROWS * math.exp(-(shift**2)), rel=0.05)
    assert weights["mean"] == pytest.approx(1, abs=4 * weights["mean_error"])


def test_intervals_of_weighted_estimates_hold_as_often_as_they_say():
    held = {"over": 0, "mean": 0, "5": 0, "50": 0, "95": 0}
    runs = 200
    for seed in range(runs):
        found = summary(tilted(0.7, rows=2000, seed=seed))
        over, y = found["exceedance"]["y"][0], found["quantities"]["y"]
        held["over"] += over["low"] <= norm.sf(3) <= over["high"]
        held["mean"] += y["mean_low"] <= 0 <= y["mean_high"]
        for percent in ("5", "50", "95"):
            low, high = y["quantile_bands"][percent]
            held[percent] += low <= norm.ppf(float(percent) / 100) <= high
    for name, count in held.items():
        assert 0.84 <= count / runs <= 0.96, (name, count)


def test_the_tail_of_a_curve_needs_no_weights_from_the_bulk():
    # nearly no row lies where most of the probability is: the effective size says so, and the
    # tail is right all the same
    found = summary(tilted(4.0))
    assert found["weights"]["effective"] < 100
    curve = found["curves"]["y"]
    x, p = np.array(curve["x"]), np.array(curve["probability"])
    tail = (x > 3.5) & (x < 5)
    np.testing.assert_allclose(p[tail], norm.sf(x[tail]), rtol=0.1)
    assert (np.diff(p) <= 0).all() and tail.sum() >= 4


def test_equal_weights_are_no_weights():
    table = tilted(0.0)
    plain = table.select([name for name in table.names if name != "weight"])
    with_weights, without = summary(table), summary(plain)
    assert with_weights["weights"]["effective"] == ROWS and without["weights"] is None
    a, b = (found["exceedance"]["y"][0] for found in (with_weights, without))
    # the variance is taken with n - 1 where rows have weights
    assert [a[k] for k in ("probability", "low", "high")] == pytest.approx(
        [b[k] for k in ("probability", "low", "high")], rel=1e-3
    )
    y, z = (found["quantities"]["y"] for found in (with_weights, without))
    assert y["mean"] == pytest.approx(z["mean"], abs=1e-15)
    assert y["mean_error"] == pytest.approx(z["mean_error"], rel=1e-3)


def test_failed_rows_take_their_weight_with_them():
    # rows below zero fail: what is left is the half-normal distribution
    found = summary(tilted(1.0, failed=lambda x: x < 0))
    over = found["exceedance"]["y"][0]
    assert over["low"] <= 2 * norm.sf(3) <= over["high"]
    assert found["quantities"]["y"]["mean"] == pytest.approx(math.sqrt(2 / math.pi), abs=0.05)
    assert found["failed_share"]["low"] <= 0.5 <= found["failed_share"]["high"]
    assert "rarer side" in found["treatment"]


def test_the_band_of_a_curve_falls_as_the_curve_must_and_holds_the_truth():
    held, seeds = np.zeros(4), 60
    places = np.array([2.0, 3.0, 4.0, 7.0])  # hardly a row lies beyond the last
    for seed in range(seeds):
        curve = summary(tilted(3.0, rows=1000, seed=seed))["curves"]["y"]
        x, low, high = (np.array(curve[key]) for key in ("x", "low", "high"))
        assert (np.diff(low) <= 0).all() and (np.diff(high) <= 0).all()
        index = np.clip(np.searchsorted(x, places, side="right") - 1, 0, len(x) - 1)
        exact = norm.sf(x[index])
        held += (low[index] <= exact) & (exact <= high[index])
    assert (held >= 0.8 * seeds).all()  # 90 % nominal
