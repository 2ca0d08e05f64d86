from __future__ import annotations

import numpy as np
import pytest

from twinml.errors import ArgumentError
from twinml.uncertainty import conformal_quantile, required_rows, scaled_scores


def test_the_quantile_is_the_finite_sample_order_statistic():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))  # 1 .. 99
    assert conformal_quantile(scores, 0.9) == 90
    assert conformal_quantile(scores[scores <= 9], 0.9) == 9  # (9 + 1) 0.9 is 9, not a bit more


@pytest.mark.parametrize("n", [9, 19, 99])
def test_coverage_averaged_over_calibrations_equals_the_nominal_one(n):
    """Without ties the mean coverage is ceil((n + 1) level) / (n + 1) for any distribution."""
    rng = np.random.default_rng(n)
    draws = rng.standard_t(3, size=(20_000, n + 1)) ** 2
    quantiles = np.array([conformal_quantile(row[:-1], 0.9) for row in draws])
    expected = np.ceil((n + 1) * 0.9 - 1e-9) / (n + 1)
    assert np.mean(draws[:, -1] <= quantiles) == pytest.approx(expected, abs=4 * 0.3 / 20_000**0.5)


def test_an_atom_of_equal_scores_never_lowers_the_coverage():
    rng = np.random.default_rng(1)
    scores = np.where(rng.random(10_000) < 0.95, 0.0, rng.random(10_000))
    assert conformal_quantile(scores, 0.9) == 0.0
    mixed = np.where(rng.random(10_000) < 0.3, 0.0, rng.random(10_000))
    assert np.mean(mixed <= conformal_quantile(mixed, 0.9)) == pytest.approx(0.9, abs=2e-4)


def test_too_few_rows_are_refused_with_the_number_needed():
    assert (required_rows(0.9), required_rows(0.95), required_rows(0.5)) == (9, 19, 1)
    with pytest.raises(ArgumentError, match=r"8 calibration rows .* at least 9"):
        conformal_quantile(np.ones(8), 0.9)
    with pytest.raises(ArgumentError, match=r"level is 90"):
        conformal_quantile(np.ones(8), 90)
    with pytest.raises(ArgumentError, match=r"1 of 9 .* nan"):
        conformal_quantile(np.array([np.nan] + [1.0] * 8), 0.9)


def test_a_zero_scale_gives_zero_or_infinite_scores():
    scores = scaled_scores(np.array([1.0, 2.0]), np.array([1.0, 1.0]), np.array([0.0, 0.0]))
    assert scores.tolist() == [0.0, np.inf]
