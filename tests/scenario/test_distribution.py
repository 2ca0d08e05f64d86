from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from twinml.errors import ScenarioError
from twinml.scenario.distribution import KINDS, read_distribution

U = np.concatenate([[2.0**-53, 1e-9], np.linspace(0.001, 0.999, 999), [1 - 2.0**-53]])

GAMMA = {"distribution": "gamma", "shape": 2, "scale": 3}
CASES = {
    "uniform": ({"low": -2, "high": 3}, stats.uniform(-2, 5)),
    "normal": ({"mean": 1, "std": 2}, stats.norm(1, 2)),
    "lognormal": ({"median": 3, "sigma": 0.5}, stats.lognorm(0.5, scale=3)),
    "triangular": ({"low": 1, "mode": 2, "high": 5}, stats.triang(0.25, 1, 4)),
    "beta": ({"alpha": 2, "beta": 3, "low": -1, "high": 4}, stats.beta(2, 3, -1, 5)),
    "gamma": ({"shape": 2.5, "scale": 3}, stats.gamma(2.5, scale=3)),
    "truncated": ({"mean": 1, "std": 2, "low": 0, "high": 4}, stats.truncnorm(-0.5, 1.5, 1, 2)),
    "tail": ({"mean": 0, "std": 1, "low": 9}, stats.truncnorm(9, np.inf)),
}


@pytest.mark.parametrize("name", CASES)
def test_quantiles_are_those_of_the_named_distribution(name):
    keys, reference = CASES[name]
    kind = "truncated" if name == "tail" else name
    distribution = read_distribution({"distribution": kind, **keys}, "x")
    values = distribution.quantile(U)
    np.testing.assert_allclose(values, reference.ppf(U), rtol=1e-8, atol=1e-12)
    low, high = distribution.support
    assert (values >= low).all() and (values <= high).all() and (np.diff(values) >= 0).all()
    assert read_distribution(distribution.to_mapping(), "x") == distribution


CUTS = {
    "uniform": ("uniform", 0.0, 2.5), "normal": ("normal", None, -18.0),
    "lognormal": ("lognormal", 4.0, None), "triangular": ("triangular", 1.2, 4.5),
    "beta": ("beta", 3.9, None), "gamma": ("gamma", 250.0, 600.0), "both": ("gamma", 1.0, 9.0),
    "low": ("lognormal", 0.01, 0.02),
}  # fmt: skip


@pytest.mark.parametrize("name", CUTS)
def test_any_continuous_distribution_can_be_cut(name):
    kind, low, high = CUTS[name]
    keys, whole = CASES[kind]
    cut = {key: value for key, value in (("low", low), ("high", high)) if value is not None}
    entry = read_distribution(
        {"distribution": "truncated", "of": {"distribution": kind, **keys}, **cut}, "x"
    )
    assert read_distribution(entry.to_mapping(), "x") == entry
    a, b = (-np.inf if low is None else low), (np.inf if high is None else high)
    # conditional distribution function, from the side that keeps its digits
    if whole.sf(a) < 0.5:
        expected = whole.isf(whole.sf(b) + (whole.sf(a) - whole.sf(b)) * (1 - U))
    else:
        expected = whole.ppf(whole.cdf(a) + (whole.cdf(b) - whole.cdf(a)) * U)
    np.testing.assert_allclose(entry.quantile(U), expected, rtol=1e-7)
    scores = np.linspace(-9, 9, 181)
    inside = np.abs(scores) < 5
    values = entry.from_normal(scores)
    assert (np.diff(values) >= -1e-14 * np.abs(values[1:])).all() and np.isfinite(values).all()
    assert (values >= max(a, entry.support[0])).all() and (values <= min(b, entry.support[1])).all()
    np.testing.assert_allclose(
        values[inside], entry.quantile(stats.norm.cdf(scores[inside])), rtol=1e-7
    )


def test_a_cut_normal_is_the_truncated_one():
    of = {"distribution": "normal", "mean": 1, "std": 2}
    cut = read_distribution({"distribution": "truncated", "of": of, "low": 0, "high": 4}, "x")
    short = read_distribution(
        {"distribution": "truncated", "mean": 1, "std": 2, "low": 0, "high": 4}, "x"
    )
    np.testing.assert_allclose(cut.quantile(U), short.quantile(U), rtol=1e-12, atol=1e-12)


def test_choice_keeps_the_weights():
    choice = read_distribution(
        {"distribution": "choice", "values": [1, 5, 9], "weights": [1, 0, 3]}, "x"
    )
    values = choice.quantile((np.arange(1000) + 0.5) / 1000)
    assert [(values == v).sum() for v in (1, 5, 9)] == [250, 0, 750]


def test_a_bare_number_is_fixed():
    assert read_distribution(3, "x").quantile(U[:2]).tolist() == [3.0, 3.0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"distribution": "unifrom", "low": 0, "high": 1}, "Did you mean 'uniform'"),
        ({"distribution": "uniform", "low": 0}, r"vary x \(uniform\) lacks the key 'high'"),
        ({"distribution": "uniform", "low": 0, "hihg": 1}, "unknown key 'hihg'.*'high'"),
        ({"distribution": "uniform", "low": 2, "high": 1}, "low=2 must lie below high=1"),
        ({"distribution": "uniform", "low": "0", "high": 1}, "low is '0'; expected a finite"),
        ({"distribution": "normal", "mean": 0, "std": 0}, "std=0 must be positive"),
        ({"distribution": "normal", "mean": float("nan"), "std": 1}, "finite"),
        ({"distribution": "triangular", "low": 0, "mode": 2, "high": 1}, "mode=2 lies outside"),
        ({"distribution": "truncated", "mean": 0, "std": 1}, "use the normal"),
        ({"distribution": "truncated", "mean": 0, "std": 1, "low": 50}, "more than 30 std"),
        ({"distribution": "truncated", "of": 3, "low": 0}, "of is fixed, which cannot be cut"),
        ({"distribution": "truncated", "of": GAMMA}, "use the gamma distribution"),
        ({"distribution": "truncated", "of": GAMMA, "high": -1}, "nothing of the gamma"),
        ({"distribution": "truncated", "of": GAMMA, "low": 9, "high": 2}, "low=9 must lie below"),
        ({"distribution": "truncated", "of": GAMMA, "mean": 1}, "unknown key 'mean'"),
        ({"distribution": "truncated", "of": {**GAMMA, "shape": 0}, "low": 1}, "of .gamma.: shape"),
        ({"distribution": "choice", "values": []}, "empty"),
        ({"distribution": "choice", "values": 3}, "expected a list"),
        ({"distribution": "choice", "values": [1, 2], "weights": [1]}, "1 weights for 2"),
        ({"low": 0, "high": 1}, "with 'distribution'"),
        ("calibrated", "with 'distribution'"),
        (True, "with 'distribution'"),
    ],
)
def test_bad_distributions_are_refused_by_name(data, message):
    with pytest.raises(ScenarioError, match=message):
        read_distribution(data, "vary x")


def test_every_distribution_cites_a_source():
    assert all(kind.source for kind in KINDS.values())


@pytest.mark.parametrize("name", CASES)
def test_moments_are_those_of_the_named_distribution(name):
    keys, reference = CASES[name]
    distribution = read_distribution(
        {"distribution": "truncated" if name == "tail" else name, **keys}, "x"
    )
    values = distribution.quantile((np.arange(2**16) + 0.5) / 2**16)
    assert values.mean() == pytest.approx(reference.mean(), rel=1e-3, abs=1e-6)
    assert values.std() == pytest.approx(reference.std(), rel=3e-3)
