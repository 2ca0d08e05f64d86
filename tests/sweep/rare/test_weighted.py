from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from tests.sweep.rare.problems import linear
from twinml.errors import ArgumentError
from twinml.scenario.tilt import Tilt
from twinml.sweep.rare import effective_size, weighted_probability


def tilted(shift, count, seed, defensive=0.1):
    tilt = Tilt(np.asarray(shift, dtype=float), defensive)
    rng = np.random.default_rng(seed)
    points = tilt.move(rng.standard_normal((count, len(shift))), rng.random(count))
    return points, tilt.weight(points)


@pytest.mark.parametrize("defensive", [0.0, 0.1])
def test_weights_are_the_ratio_of_the_two_densities(defensive):
    shift = np.array([2.0, -1.0])
    points, weight = tilted(shift, 50, 0, defensive)

    def density(y, mean):
        return np.exp(-0.5 * ((y - mean) ** 2).sum(axis=1))

    drawn = defensive * density(points, 0) + (1 - defensive) * density(points, shift)
    np.testing.assert_allclose(weight, density(points, 0) / drawn, rtol=1e-12)
    if defensive:
        assert weight.max() <= 1 / defensive


def test_weights_keep_their_digits_far_out():
    tilt = Tilt(np.array([20.0]), 0.0)
    at = np.array([[-9.0], [20.0], [30.0]])
    exact = [math.exp(-20 * y + 200) for y in (-9.0, 20.0, 30.0)]
    np.testing.assert_allclose(tilt.weight(at), exact, rtol=1e-12)
    bounded = Tilt(np.array([20.0]), 0.1).weight(at)
    assert bounded[0] == pytest.approx(10) and (bounded[1:] > 0).all()


@pytest.mark.parametrize("dimensions", [2, 20])
@pytest.mark.parametrize("probability", [1e-4, 1e-6])
def test_estimates_are_unbiased_and_their_intervals_cover(probability, dimensions):
    limit_state = linear(probability, dimensions)
    a = np.arange(1.0, dimensions + 1)
    shift = -float(ndtri(probability)) * a / np.linalg.norm(a)
    found = []
    for seed in range(60):
        points, weight = tilted(shift, 500, seed)
        found.append(weighted_probability(limit_state(points) > 0, weight, largest=10.0))
    estimates = np.array([one.probability for one in found])
    error = estimates.std(ddof=1) / math.sqrt(len(found))
    assert abs(estimates.mean() - probability) < 3 * error < 0.1 * probability
    assert np.mean([o.standard_error for o in found]) == pytest.approx(
        estimates.std(ddof=1), rel=0.3
    )
    assert np.mean([o.low <= probability <= o.high for o in found]) > 0.78
    assert all(one.reliable for one in found)


def test_a_tilt_to_the_wrong_place_gives_no_confident_number():
    points, weight = tilted([0.0, 4.0], 2000, 1)
    found = weighted_probability(points[:, 0] > 3.0, weight, largest=10.0)
    assert not found.reliable and found.low == 0.0 and found.high > ndtr(-3.0)
    assert "propose_tilt" in found.diagnosis
    none = weighted_probability(points[:, 0] > 9.0, weight, largest=10.0)
    assert not none.reliable and none.probability == 0 and 0 < none.high < 0.1


def test_without_a_bound_on_weights_nothing_is_said_where_nothing_was_seen():
    none = weighted_probability(np.zeros(100, dtype=bool), np.ones(100))
    assert (none.low, none.high) == (0.0, 1.0)


def test_failed_rows_are_left_out_and_their_share_stated():
    points, weight = tilted([3.0, 0.0], 20000, 2)
    failed = points[:, 1] > 0.5
    found = weighted_probability(points[:, 0] > 3.1, weight, failed, largest=10.0)
    assert found.failed == failed.sum()
    assert found.failed_probability == pytest.approx(ndtr(-0.5), rel=0.1)
    assert found.probability == pytest.approx(ndtr(-3.1), rel=0.1)  # independent of the failure


def test_equal_weights_give_the_ordinary_share():
    happened = np.arange(1000) < 300
    found = weighted_probability(happened, np.ones(1000))
    assert found.probability == 0.3 and found.effective == pytest.approx(300)
    assert found.standard_error == pytest.approx(math.sqrt(0.3 * 0.7 / 1000), rel=1e-3)


def test_effective_size_counts_equal_weights():
    assert effective_size(np.full(7, 1e-200)) == pytest.approx(7)
    assert effective_size(np.array([1.0, 1e-9])) == pytest.approx(1)
    assert effective_size(np.array([])) == effective_size(np.zeros(3)) == 0


@pytest.mark.parametrize(
    "weight", [np.array([1.0, -1.0]), np.array([1.0, np.inf]), np.ones(3), np.ones((2, 1))]
)
def test_weights_that_are_none_are_refused(weight):
    with pytest.raises(ArgumentError):
        weighted_probability(np.array([True, False]), weight)
