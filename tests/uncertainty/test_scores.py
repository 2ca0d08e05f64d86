from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats

from twinml.uncertainty import (
    best_std_factor,
    coverage,
    crps_ensemble,
    crps_gaussian,
    r2,
    rmse,
)


@pytest.mark.parametrize(("y", "mean", "std"), [(0.3, 0.0, 1.0), (5.0, 1.0, 0.5), (-2.0, 1.0, 3.0)])
def test_the_gaussian_score_equals_its_integral(y, mean, std):
    """CRPS = integral of (F(x) - 1[x >= y])^2."""
    law = stats.norm(mean, std)
    left = integrate.quad(lambda x: law.cdf(x) ** 2, mean - 40 * std, y, points=[mean])[0]
    right = integrate.quad(lambda x: law.sf(x) ** 2, y, mean + 40 * std, points=[mean])[0]
    assert crps_gaussian(y, mean, std) == pytest.approx(left + right, rel=1e-6)


def test_a_point_forecast_scores_its_absolute_error():
    assert crps_gaussian(np.array([3.0]), np.array([1.0]), np.array([0.0])).tolist() == [2.0]


def test_the_ensemble_score_equals_the_pairwise_definition_and_tends_to_the_gaussian_one():
    rng = np.random.default_rng(0)
    members, y = rng.normal(1.0, 2.0, (7, 5)), rng.normal(size=5)
    pairs = np.abs(members[:, None] - members[None]).mean(axis=(0, 1)) / 2
    assert np.allclose(crps_ensemble(y, members), np.abs(members - y).mean(0) - pairs, rtol=1e-13)
    many = stats.norm(1.0, 2.0).ppf((np.arange(20_000) + 0.5) / 20_000)[:, None]
    assert crps_ensemble(np.array([2.5]), many)[0] == pytest.approx(
        crps_gaussian(2.5, 1.0, 2.0), rel=1e-3
    )


def test_the_best_factor_finds_the_true_spread():
    rng = np.random.default_rng(3)
    std = np.exp(rng.normal(size=50_000))
    y = 4.0 + 2.5 * std * rng.standard_normal(50_000)
    assert best_std_factor(y, np.full_like(y, 4.0), std) == pytest.approx(2.5, rel=0.02)
    assert best_std_factor(y, y, np.zeros_like(y)) == 1.0


def test_the_coverage_interval_is_clopper_and_pearsons():
    y = np.array([0.0] * 8 + [5.0] * 2)
    found = coverage(y, np.full(10, -1.0), np.full(10, 1.0))
    exact = stats.binomtest(8, 10).proportion_ci(0.95, method="exact")
    assert (found.value, found.rows) == (0.8, 10)
    assert (found.low, found.high) == pytest.approx((exact.low, exact.high), rel=1e-10)
    everything = coverage(y, np.full(10, 0.0), np.full(10, 5.0))
    assert (everything.value, everything.high) == (1.0, 1.0)
    assert everything.low == pytest.approx(0.025**0.1)


def test_rmse_and_r2_by_hand():
    y, mean = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 5.0])
    assert rmse(y, mean) == pytest.approx((4 / 3) ** 0.5)
    assert r2(y, mean) == pytest.approx(1 - 4 / 2)
    assert np.isnan(r2(np.ones(3), mean))
