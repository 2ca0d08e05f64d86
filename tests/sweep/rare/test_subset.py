from __future__ import annotations

import math

import numpy as np
import pytest

from tests.sweep.rare.problems import linear, ring, two_sided
from twinml.errors import ArgumentError, SweepError
from twinml.sweep.rare import subset_simulation

SEEDS = range(40)


def runs(limit_state, dimensions, samples=500):
    return [subset_simulation(limit_state, dimensions, samples, seed=seed) for seed in SEEDS]


@pytest.mark.parametrize(
    ("limit_state", "dimensions", "probability"),
    [
        (linear(1e-4, 2), 2, 1e-4),
        (linear(1e-5, 20), 20, 1e-5),
        (linear(1e-6, 2), 2, 1e-6),
        (two_sided(1e-4), 3, 1e-4),
        (ring(1e-5), 2, 1e-5),
    ],
    ids=["linear-1e-4", "linear-1e-5-in-20", "linear-1e-6", "two-sided", "ring"],
)
def test_estimates_agree_with_the_closed_form_and_know_their_error(
    limit_state, dimensions, probability
):
    found = runs(limit_state, dimensions)
    estimates = np.array([run.probability for run in found])
    # thresholds are taken from the samples they are used on: biased upwards by order 1/samples
    bias = 0.01 * len(found[0].levels) * 4 * probability
    error = estimates.std(ddof=1) / math.sqrt(len(found))
    assert -3 * error < estimates.mean() - probability < 3 * error + bias
    measured = estimates.std(ddof=1) / estimates.mean()
    reported = np.mean([run.variation for run in found])
    assert 0.7 < reported / measured < 1.4
    covered = np.mean([run.low <= probability <= run.high for run in found])
    assert covered > 0.72  # of 0.9: three standard errors of 40 runs below


def test_a_run_is_a_function_of_its_seed():
    one, same, other = (subset_simulation(linear(1e-4, 5), 5, 200, seed=s) for s in (3, 3, 4))
    assert one.probability == same.probability != other.probability
    assert one.points.tobytes() == same.points.tobytes()


def test_samples_of_the_event_are_its_samples():
    run = subset_simulation(linear(1e-4, 2), 2, 1000)
    assert (run.values > 0).all()
    assert np.array_equal(linear(1e-4, 2)(run.points), run.values)
    # along the axis a normal beyond 3.72 has mean phi(3.72) / 1e-4 = 3.96, across it 0
    a = np.array([1.0, 2.0]) / math.sqrt(5)
    assert (run.points @ a).mean() == pytest.approx(3.96, abs=0.1)
    assert abs((run.points @ np.array([-a[1], a[0]])).mean()) < 0.3


def test_levels_say_how_the_event_was_reached():
    run = subset_simulation(linear(1e-4, 2), 2, 1000)
    thresholds = [level.threshold for level in run.levels]
    assert thresholds == sorted(thresholds) and thresholds[-1] == 0
    assert run.probability == pytest.approx(math.prod(level.probability for level in run.levels))
    assert all(0.2 < level.acceptance < 0.7 for level in run.levels[1:])
    assert run.evaluations == sum(level.evaluations for level in run.levels)


def test_an_event_that_is_not_rare_is_counted():
    run = subset_simulation(linear(0.3, 2), 2, 2000)
    assert len(run.levels) == 1 and run.low < 0.3 < run.high and run.reliable


def test_failed_rows_are_outside_the_event_and_counted():
    def failing(y):
        return np.where(y[:, 1] > 0, np.nan, linear(1e-3, 1)(y[:, :1]))

    run = subset_simulation(failing, 2, 2000)
    assert run.probability == pytest.approx(0.5e-3, rel=0.5)
    assert run.levels[0].failed == pytest.approx(1000, abs=100)
    assert run.failed > run.levels[0].failed
    assert not run.reliable and "failed" in run.diagnosis


def test_steps_are_climbed_where_they_lead_on():
    # whole numbers tie in heaps; P(floor(4 y) >= 15) = Phi(-3.75)
    run = subset_simulation(lambda y: np.floor(4 * y[:, 0]) - 14.5, 1, 2000)
    assert run.reliable and run.probability == pytest.approx(8.84e-5, rel=0.5)


def test_an_event_out_of_reach_is_not_given_a_number():
    flat = subset_simulation(lambda y: np.minimum(y[:, 0], 1.0) - 2.0, 2, 500)
    assert not flat.reliable and flat.probability == 0 and 0 == flat.low < flat.high < 0.3
    assert "stands still" in flat.diagnosis
    far = subset_simulation(lambda y: -np.exp(-y[:, 0]), 1, 200)
    assert not far.reliable and far.high < 1e-15 and "levels" in far.diagnosis


def test_infinitely_far_samples_are_climbed_from_where_there_is_a_value():
    def late(y):  # like 10 - first_time: only some samples have one
        return np.where(y[:, 0] > 2, y[:, 0] - 4, -np.inf)

    run = subset_simulation(late, 2, 1000)
    assert run.low / 2 < 3.17e-5 < 2 * run.high
    with pytest.raises(SweepError, match="infinitely far"):
        subset_simulation(lambda y: np.full(len(y), -np.inf), 2, 200)


@pytest.mark.parametrize(
    "options", [{"dimensions": 0}, {"samples": 50}, {"share": 0.7}, {"confidence": 1.0}]
)
def test_what_cannot_be_used_is_refused(options):
    with pytest.raises(ArgumentError):
        subset_simulation(
            **{"limit_state": linear(1e-3, 2), "dimensions": 2, "samples": 200, **options}
        )
