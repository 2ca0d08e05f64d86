from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from twinml.data.posterior import Posterior
from twinml.errors import DataError, ShapeError
from twinml.scenario.design import philox_points


def normals(count, k):
    from scipy.special import ndtri

    return ndtri(philox_points(0, count, k, 3, "test"))


def test_draws_have_the_calibrations_moments_in_unconstrained_coordinates(posterior):
    drawn = posterior.draw(normals(200_000, 3))
    assert (drawn > posterior.low).all() and (drawn < posterior.high).all()
    free = posterior.to_unconstrained(drawn)
    np.testing.assert_allclose(free.mean(0), posterior.mean_unconstrained, atol=2e-3)
    np.testing.assert_allclose(np.cov(free.T), posterior.covariance_unconstrained, atol=5e-4)
    assert np.corrcoef(free.T)[0, 2] == pytest.approx(-0.96, abs=0.005)


def test_a_row_does_not_depend_on_the_rows_beside_it(posterior):
    z = normals(1001, 3)
    parts = [posterior.draw(z[i : i + 7]) for i in range(0, 1001, 7)]
    assert np.concatenate(parts).tobytes() == posterior.draw(z).tobytes()


def test_coordinates_and_values_are_inverse_for_every_kind_of_bound():
    bounds = {"free": (-np.inf, np.inf), "low": (1, np.inf), "high": (-np.inf, 9), "both": (1, 9)}
    posterior = Posterior(
        tuple(bounds), np.full(4, 2.0), *np.array(list(bounds.values())).T,
        np.zeros(4), np.eye(4), ("1",) * 4, 5,
    )  # fmt: skip
    values = np.array([[2.0, 2.0, 2.0, 2.0], [-3.0, 1.1, -50.0, 8.9]])
    free = posterior.to_unconstrained(values)
    np.testing.assert_allclose(posterior.from_unconstrained(free), values, rtol=1e-13)
    assert free[0, 1] == 0.0 and free[0, 2] == np.log(7) and free[0, 3] == np.log(1 / 7)
    assert np.isfinite(posterior.from_unconstrained(np.array([[0.0, 0.0, 0.0, -800.0]]))).all()


def test_a_subset_is_the_marginal(posterior):
    part = posterior.subset(["initial.infected", "beta"])
    assert part.names == ("beta", "initial.infected")
    np.testing.assert_array_equal(
        part.covariance_unconstrained, posterior.covariance_unconstrained[np.ix_([0, 2], [0, 2])]
    )
    with pytest.raises(DataError, match="Did you mean 'gamma'"):
        posterior.subset(["gama"])


def test_the_file_form_returns_the_same_posterior(posterior):
    again = Posterior.from_json(json.loads(json.dumps(posterior.to_json())))
    assert again.digest == posterior.digest
    assert replace(posterior, values=posterior.values + 1e-9).digest != posterior.digest
    with pytest.raises(DataError, match="schema 'posterior/9'"):
        Posterior.from_json({**posterior.to_json(), "schema": "posterior/9"})
    with pytest.raises(DataError, match="incomplete"):
        Posterior.from_json({"schema": "posterior/1", "low": [], "high": []})


def test_contradictions_are_refused(posterior):
    with pytest.raises(DataError, match="not inside its bounds"):
        replace(posterior, values=np.array([1.8, 7.0, 2.2]))
    with pytest.raises(ShapeError, match=r"low has shape \(2,\)"):
        replace(posterior, low=np.zeros(2))
    with pytest.raises(DataError, match="not positive definite"):
        _ = replace(posterior, covariance_unconstrained=np.ones((3, 3))).factor
