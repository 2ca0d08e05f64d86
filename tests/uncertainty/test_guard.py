from __future__ import annotations

import numpy as np

from twinml.uncertainty import DomainGuard


def correlated(n: int) -> np.ndarray:
    root = np.linalg.cholesky([[1.0, -0.96], [-0.96, 1.0]])
    return np.array([1.8, 2.0]) + np.random.default_rng(0).standard_normal((n, 2)) @ root.T


def test_every_training_row_is_inside_and_the_empty_corner_is_not():
    x = correlated(2000)
    guard = DomainGuard.around(x)
    assert guard.contains(x).all()
    corner = x.mean(axis=0) + np.array([[2.0, 2.0], [-2.0, -2.0], [2.0, -2.0]])
    assert ((corner >= x.min(0)) & (corner <= x.max(0))).all()
    assert guard.contains(corner).tolist() == [False, False, True]


def test_nan_and_points_beyond_the_box_are_outside():
    guard = DomainGuard.around(correlated(2000))
    assert not guard.contains(np.array([[np.nan, 2.0], [1e3, 2.0], [np.inf, 2.0]])).any()


def test_constant_and_tied_inputs_hold_their_rows_only():
    a = np.random.default_rng(2).random(500)
    x = np.stack([a, 3 * a + 1, np.full(500, 7.0)], axis=1)
    guard = DomainGuard.around(x)
    assert guard.contains(x).all()
    assert not guard.contains(x + np.array([0, 0, 1e-9])).any()
    assert not guard.contains(np.array([[0.2, 3.0, 7.0]])).any()
