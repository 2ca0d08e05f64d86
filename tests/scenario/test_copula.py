"""Correlation: marginals stay, rank correlations are those of the Gaussian copula."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from twinml.errors import ScenarioError
from twinml.scenario import Scenario

BASE = {"horizon": {"start": 0, "stop": 30}, "quantities": {"peak": "max(in_bed)"}}
UNIFORM = {"distribution": "uniform", "low": 1, "high": 2}
GAMMA = {"distribution": "gamma", "shape": 2.5, "scale": 3}
BETA = {"distribution": "beta", "alpha": 2, "beta": 3}


def made(**changes):
    return Scenario.from_mapping({**BASE, **changes})


def tied(rho, **changes):
    vary = {"a": UNIFORM, "free": UNIFORM, "b": GAMMA, "c": BETA}
    return made(vary=vary, correlation={"b": {"a": rho}}, **changes)


@pytest.mark.parametrize("rho", [-0.95, -0.4, 0.3, 0.8])
def test_rank_correlation_is_that_of_the_copula_and_marginals_stay(rho):
    values = tied(rho).draw(None, 0, 2**14, 2**14, 1)
    spearman = stats.spearmanr(values["a"], values["b"]).statistic
    assert spearman == pytest.approx(6 / np.pi * np.arcsin(rho / 2), abs=0.01)
    kendall = stats.kendalltau(values["a"], values["b"]).statistic
    assert kendall == pytest.approx(2 / np.pi * np.arcsin(rho), abs=0.01)
    for name, law in (("a", stats.uniform(1, 1)), ("b", stats.gamma(2.5, scale=3))):
        assert stats.kstest(values[name], law.cdf).statistic < 0.01
    for name in ("free", "c"):
        assert abs(stats.spearmanr(values["a"], values[name]).statistic) < 0.01


def test_what_is_not_correlated_keeps_its_bits():
    with_pair, without = tied(0.7), made(vary=tied(0.7).to_mapping()["vary"])
    one, other = (s.draw(None, 5, 90, 100, 3) for s in (with_pair, without))
    for name in ("a", "free", "c"):
        assert one[name].tobytes() == other[name].tobytes()
    assert not np.array_equal(one["b"], other["b"])


def test_three_that_hang_together_are_one_factor(model):
    scenario = made(
        vary={n: {**UNIFORM, "high": 1.5} for n in ("beta", "population", "gamma", "vaccine")},
        correlation={"beta": {"gamma": 0.6}, "population": {"gamma": -0.3}},
    )
    factors = scenario.check(model).factors
    assert [f.label for f in factors] == ["correlated(beta,population,gamma)", "vaccine"]
    assert sorted(d for f in factors for d in f.dimensions) == [0, 1, 2, 3]
    values = scenario.draw(None, 0, 2**13, 2**13, 0)
    scores = stats.norm.ppf(np.stack([(values[n] - 1) / 0.5 for n in factors[0].names]))
    wanted = [[1, 0, 0.6], [0, 1, -0.3], [0.6, -0.3, 1]]
    np.testing.assert_allclose(np.corrcoef(scores), wanted, atol=0.01)
    again = Scenario.from_mapping(scenario.to_mapping())
    assert again == scenario and again.digest == scenario.digest


@settings(max_examples=20, deadline=None)
@given(
    rho=st.floats(-0.99, 0.99),
    cuts=st.lists(st.integers(0, 300), max_size=4),
    first=st.sampled_from([0, 7, 2**30 - 100, 2**40]),
)
def test_any_split_gives_the_same_bits(rho, cuts, first):
    scenario = tied(rho, constraints=["a * c < 1", "free > 1.2"])
    ends = [0, *sorted(cuts), 300]
    whole = scenario.draw(None, first, first + 300, first + 300, 11)
    parts = [scenario.draw(None, first + i, first + j, first + 300, 11) for i, j in pairwise(ends)]
    for name, column in whole.items():
        assert np.concatenate([part[name] for part in parts]).tobytes() == column.tobytes()


@pytest.mark.parametrize(
    ("correlation", "message"),
    [
        ({"a": {"z": 0.5}}, "'z', which is not varied"),
        ({"a": {"a": 0.5}}, "paired with itself"),
        ({"a": {"b": 1}}, "between -1 and 1"),
        ({"a": {"b": "x"}}, "expected a finite number"),
        ({"a": {"b": 0.5}, "b": {"a": 0.4}}, "given twice, as 0.5 and 0.4"),
        ({"a": 0.5}, "expected pairs"),
        ({"a": {"fix": 0.5}}, "'fix', which is fixed"),
        ({"a": {"cal": 0.5}}, "'cal', which is drawn from the calibration"),
        ({"a": {"tab": 0.5}}, "'tab', which is drawn by whole rows"),
        ({"a": {"pick": 0.5}}, "not in rising order"),
        ({"a": {"b": 0.9, "c": 0.9}},
         "coefficients of a, b, c contradict.*b and c must lie between 0.62 and 1, and it is 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_correlated_is_refused_by_name(correlation, message):
    vary = {
        "a": UNIFORM, "b": UNIFORM, "c": UNIFORM, "d": UNIFORM,
        "fix": 3, "cal": {"distribution": "calibrated"},
        "tab": {"distribution": "table", "path": "x.csv", "column": "x"},
        "pick": {"distribution": "choice", "values": [3, 1]},
    }  # fmt: skip
    with pytest.raises(ScenarioError, match=message):
        made(vary=vary, correlation=correlation)


def test_rising_choices_follow_the_correlation():
    vary = {"a": UNIFORM, "n": {"distribution": "choice", "values": [0, 1, 2]}}
    values = made(vary=vary, correlation={"a": {"n": 0.9}}).draw(None, 0, 4096, 4096, 0)
    means = [values["a"][values["n"] == k].mean() for k in (0, 1, 2)]
    assert means[0] < 1.3 < means[1] < 1.6 < means[2]
