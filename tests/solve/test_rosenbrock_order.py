"""The stiff method satisfies its order conditions to the digits given, and reaches its order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from tests.solve.convergence import slope_of, spiral, spiral_solution
from tests.solve.trees import Tree, density, rooted_trees
from twinml.solve.rosenbrock import RODAS5P, RosenbrockTableau

mp = mpmath.mp.clone()
mp.dps = 50

# The coefficients are published with 16 digits and are as large as 165.
PUBLISHED_DIGITS = 1e-14
# Those of the interpolant cancel.
INTERPOLANT_DIGITS = 1e-12


class Untransformed:
    """alpha, beta and the slopes' weights, which the order conditions are written in."""

    def __init__(self, method: RosenbrockTableau) -> None:
        def square(rows):
            full = mp.zeros(method.stages)
            for i, row in enumerate(rows):
                for j, value in enumerate(row):
                    full[i, j] = mp.mpf(value)
            return full

        self.gamma = mp.inverse(mp.eye(method.stages) / mp.mpf(method.gamma) - square(method.C))
        self.alpha = square(method.a) * self.gamma
        self.beta = self.alpha + self.gamma
        self.known: dict[Tree, list] = {}

    def weights(self, row) -> list:
        return list(mp.matrix([[mp.mpf(value) for value in row]]) * self.gamma)

    def elementary(self, tree: Tree) -> list:
        """One branch is reached by beta, several by alpha: Hairer, Wanner (1996), eq. IV.7.15."""
        if tree not in self.known:
            rows = self.beta if len(tree) == 1 else self.alpha
            product = mp.matrix([1] * rows.rows)
            for branch in tree:
                inner = rows * mp.matrix(self.elementary(branch))
                product = mp.matrix([x * y for x, y in zip(product, inner, strict=True)])
            self.known[tree] = list(product)
        return self.known[tree]

    def residual(self, weights: list, order: int) -> float:
        """The largest miss among the trees of that order."""
        return max(
            abs(float(mp.fdot(weights, self.elementary(tree)) - mp.mpf(1) / density(tree)))
            for tree in rooted_trees(order)
        )


UNTRANSFORMED = Untransformed(RODAS5P)


def test_the_weights_meet_every_condition_of_order_five_and_no_more():
    weights = UNTRANSFORMED.weights(RODAS5P.b)
    assert max(UNTRANSFORMED.residual(weights, n) for n in range(1, 6)) < PUBLISHED_DIGITS
    assert UNTRANSFORMED.residual(weights, 6) > 1e-3


def test_the_embedded_weights_have_order_four_and_no_more():
    row = [x - e for x, e in zip(RODAS5P.b, RODAS5P.b_error, strict=True)]
    weights = UNTRANSFORMED.weights(row)
    orders = range(1, RODAS5P.error_order + 1)
    assert max(UNTRANSFORMED.residual(weights, n) for n in orders) < PUBLISHED_DIGITS
    assert UNTRANSFORMED.residual(weights, RODAS5P.error_order + 1) > 1e-3


def test_the_interpolant_meets_every_condition_of_order_four_at_every_point():
    worst = 0.0
    for power, column in enumerate(zip(*RODAS5P.dense, strict=True), start=1):
        weights = UNTRANSFORMED.weights(column)
        for n in range(1, RODAS5P.dense_order + 1):
            for tree in rooted_trees(n):
                wanted = mp.mpf(1) / density(tree) if power == n else mp.mpf(0)
                found = mp.fdot(weights, UNTRANSFORMED.elementary(tree))
                worst = max(worst, abs(float(found - wanted)))
    assert worst < INTERPOLANT_DIGITS


def test_the_interpolant_ends_at_the_step():
    ends = [sum(row) for row in RODAS5P.dense]
    assert ends == pytest.approx(RODAS5P.b, abs=1e-13)


def test_abscissae_and_time_factors_are_the_row_sums():
    # Without this the method loses its order on problems that depend on time.
    for i in range(RODAS5P.stages):
        assert float(sum(UNTRANSFORMED.alpha[i, :])) == pytest.approx(RODAS5P.c[i], abs=1e-14)
        assert float(sum(UNTRANSFORMED.gamma[i, :])) == pytest.approx(RODAS5P.d[i], abs=1e-14)


def test_the_method_is_stiffly_accurate_and_vanishes_at_infinity():
    last = list(UNTRANSFORMED.beta[RODAS5P.stages - 1, :])
    weights = UNTRANSFORMED.weights(RODAS5P.b)
    assert max(abs(x - y) for x, y in zip(weights, last, strict=True)) < 1e-40
    at_infinity = mp.mpf(1) - mp.fsum(mp.matrix([weights]) * mp.inverse(UNTRANSFORMED.beta))
    assert abs(at_infinity) < 1e-40


def largest_errors(
    method: RosenbrockTableau,
    rhs: Callable,
    jacobian: Callable,
    rhs_t: Callable,
    solution: Callable,
    span: float,
    steps: int,
) -> tuple[float, float]:
    """Largest error at the ends of the steps and between them; written from the docstring."""
    h = span / steps
    y = solution(0.0)
    at_ends = inside = 0.0
    x = np.linspace(0.05, 0.95, 10)
    powers = x[:, None] ** np.arange(1, len(method.dense[0]) + 1)
    for step in range(steps):
        t = step * h
        matrix = np.eye(len(y)) / (h * method.gamma) - jacobian(t, y)
        slope_t = rhs_t(t, y)
        u: list[np.ndarray] = []
        for a, c_row, c, d in zip(method.a, method.C, method.c, method.d, strict=True):
            argument = y + sum(w * v for w, v in zip(a, u, strict=True))
            coupling = sum(w / h * v for w, v in zip(c_row, u, strict=True))
            right = rhs(t + c * h, argument) + coupling + h * d * slope_t
            u.append(np.linalg.solve(matrix, right))
        values = y + powers @ np.array(method.dense).T @ np.array(u)
        wanted = np.stack([solution(t + fraction * h) for fraction in x])
        inside = max(inside, np.abs(values - wanted).max())
        y = y + np.array(method.b) @ np.array(u)
        at_ends = max(at_ends, np.abs(y - solution(t + h)).max())
    return float(at_ends), float(inside)


def spiral_jacobian(t: float, y: np.ndarray) -> np.ndarray:
    square = y[0] ** 2 + y[1] ** 2
    turn = np.array([-y[1], y[0]])
    return 2.0 * t * (np.outer(turn, 2.0 * y) + square * np.array([[0.0, -1.0], [1.0, 0.0]]))


def spiral_t(t: float, y: np.ndarray) -> np.ndarray:
    return 2.0 * (y[0] ** 2 + y[1] ** 2) * np.array([-y[1], y[0]])


def spiral_slopes(method: RosenbrockTableau) -> list[float]:
    steps = [128, 192, 256]
    errors = [
        largest_errors(method, spiral, spiral_jacobian, spiral_t, spiral_solution, 2.0, n)
        for n in steps
    ]
    return [slope_of(list(column), steps) for column in zip(*errors, strict=True)]


def test_the_error_shrinks_with_the_fifth_power_on_a_nonautonomous_nonlinear_problem():
    ends, inside = spiral_slopes(RODAS5P)
    assert ends == pytest.approx(5.0, abs=0.25)
    assert inside > 4.7


def test_without_the_time_slope_the_order_is_lost():
    # Guards the test above: it would notice a wrong factor of df/dt.
    ends, _ = spiral_slopes(replace(RODAS5P, d=(0.0,) * RODAS5P.stages))
    assert ends < 2.5


def test_prothero_robinson_observed_order_is_three_over_lambda_at_the_ends_and_four_inside():
    # y' = rate (y - sin t) + cos t. At rate -1e6 the error at the ends of the steps is about
    # 6.5e-3 h^3 / |rate| (order 3, 1e-10 at h = 1/4), between them order 4 whatever the rate.
    rate = -1e6
    steps = [8, 16, 32]
    errors = [
        largest_errors(
            RODAS5P,
            rhs=lambda t, y: rate * (y - np.sin([t])) + np.cos([t]),
            jacobian=lambda t, y: np.array([[rate]]),
            rhs_t=lambda t, y: -rate * np.cos([t]) - np.sin([t]),
            solution=lambda t: np.sin([t]),
            span=2.0,
            steps=n,
        )
        for n in steps
    ]
    ends, inside = (list(column) for column in zip(*errors, strict=True))
    assert slope_of(ends, steps) == pytest.approx(3.0, abs=0.1)
    assert slope_of(inside, steps) == pytest.approx(4.0, abs=0.1)
    assert ends[0] < 2e-10
