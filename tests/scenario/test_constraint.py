"""Constraints: every row meets them, and what is kept has the conditional distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twinml.errors import ScenarioError, TwinmlError
from twinml.scenario import Scenario

BASE = {"horizon": {"start": 0, "stop": 30}, "quantities": {"peak": "max(in_bed)"}}
UNIFORM = {"distribution": "uniform", "low": 0, "high": 1}
N = 2**14


def made(**changes):
    return Scenario.from_mapping({**BASE, **changes})


PAIR = {"low": UNIFORM, "other": UNIFORM, "high": UNIFORM}


@pytest.mark.parametrize("design", ["sobol", "halton", "random", "latin"])
def test_kept_samples_have_the_conditional_distribution(design):
    scenario = made(vary=PAIR, constraints=["low < high"], design=design)
    values = scenario.draw(None, 0, N, N, 4)
    assert (values["low"] < values["high"]).all()
    # smallest and largest of two uniforms: beta(1, 2) and beta(2, 1)
    assert stats.kstest(values["low"], stats.beta(1, 2).cdf).statistic < 0.015
    assert stats.kstest(values["high"], stats.beta(2, 1).cdf).statistic < 0.015
    untouched = made(vary=PAIR, design=design).draw(None, 0, N, N, 4)
    assert values["other"].tobytes() == untouched["other"].tobytes()


def test_a_half_normal_and_a_disc():
    normal = {"distribution": "normal", "mean": 0, "std": 1}
    scenario = made(vary={"x": normal, "y": normal}, constraints=["x > 1", "x**2 + y**2 < 9"])
    values = scenario.draw(None, 0, N, N, 0)
    assert (values["x"] > 1).all() and (values["x"] ** 2 + values["y"] ** 2 < 9).all()
    tail = made(vary={"x": normal}, constraints=["x > 2"]).draw(None, 0, N, N, 0)["x"]
    assert stats.kstest(tail, stats.truncnorm(2, np.inf).cdf).statistic < 0.015


def test_constraints_see_the_models_units_and_parameters(model):
    scenario = made(
        vary={"beta": {**UNIFORM, "low": 0.05, "high": 0.2, "unit": "1/h"}},
        constraints=["beta > 5 * gamma"],
    )
    bound = scenario.check(model)
    values = bound.draw(0, 500, 500, 0)
    assert (values["beta"] > 5 * 0.45).all() and values["beta"].max() < 24 * 0.2
    with pytest.raises(ScenarioError, match=r"scenario.check\(model"):
        scenario.draw(None, 0, 5, 5, 0)
    (accepted,) = bound.acceptance.values()
    assert accepted == pytest.approx((0.2 - 5 * 0.45 / 24) / 0.15, abs=0.02)


def test_calibrated_quantities_can_be_constrained(model, posterior):
    scenario = made(vary={"beta": {"distribution": "calibrated"}}, constraints=["beta > 1.8"])
    bound = scenario.check(model, posterior)
    values = bound.draw(0, 2000, 2000, 0)
    assert (values["beta"] > 1.8).all()
    assert np.corrcoef(values["beta"], values["initial.infected"])[0, 1] < -0.85
    assert [f.label for f in bound.factors] == ["calibrated(beta,gamma,initial.infected)"]


def test_tied_quantities_are_one_factor_whose_values_follow_its_coordinates(model):
    vary = {n: {**UNIFORM, "low": 0.5} for n in ("beta", "vaccine", "gamma")}
    bound = made(vary=vary, constraints=["beta > gamma"]).check(model)
    assert [f.label for f in bound.factors] == ["constrained(beta,gamma)", "vaccine"]
    assert bound.factors[0].dimensions == (0, 2)
    points = np.random.default_rng(0).random((2000, 3))
    frozen = points.copy()
    frozen[:, 1] = np.random.default_rng(1).random(2000)
    one, other = bound.draw_at(points), bound.draw_at(frozen[::-1].copy())
    assert (one["beta"] > one["gamma"]).all()
    # whatever the other factor does and wherever the row stands: what Sobol indices freeze
    for name in ("beta", "gamma"):
        assert one[name].tobytes() == other[name][::-1].copy().tobytes()
    law = stats.kstest((one["beta"] - 0.5) / 0.5, stats.beta(2, 1).cdf)
    assert law.statistic < 0.04


def test_a_longer_sweep_begins_with_the_shorter_one():
    scenario = made(vary=PAIR, constraints=["low + 0.8 < high"])
    short, long = (scenario.draw(None, 0, 100, n, 2) for n in (100, 5000))
    assert all(np.array_equal(short[name], long[name]) for name in short)
    other = scenario.draw(None, 0, 100, 100, 3)
    assert not np.array_equal(short["low"], other["low"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"constraints": "low < high"}, "expected a list"),
        ({"constraints": ["low + high"]}, "is a number, not a condition"),
        ({"constraints": ["1 < 2"]}, "holds no name"),
        ({"constraints": ["low < max(in_bed)"]}, "looks at a whole path"),
        ({"constraints": ["low < hihg"]}, "Did you mean 'high'"),
        ({"constraints": ["low < in_bed"]}, "changes over time"),
        ({"constraints": ["gamma < 1"]}, "holds nothing that varies"),
        ({"constraints": ["low > 1"]}, r"met by 0 of 16,384 trial samples \(acceptance 0\)"),
        ({"constraints": ["low > 0.9995"]}, r"'low > 0.9995' is met by .*acceptance 0.000"),
        ({"constraints": ["low < high"], "design": "grid"}, "grid exclude each other"),
    ],
)
def test_bad_constraints_are_refused_by_name(model, changes, message):
    used = {"peak": "max(in_bed) + low + high + other"}
    with pytest.raises(TwinmlError, match=message) as caught:
        made(vary=PAIR, quantities=used, **changes).check(model)
    assert caught.value.exit_code == 2
