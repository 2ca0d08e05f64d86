"""The coefficients of the methods satisfy the order conditions, exactly or to the digits given."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from tests.solve.convergence import slope_of, spiral, spiral_solution
from tests.solve.trees import Tree, density, rooted_trees
from twinml.solve.explicit import EXPLICIT, PUBLISHED
from twinml.solve.tableau import ButcherTableau, ExactTableau

# Residual allowed in an order condition: none for rationals, the published digits else.
STEP_TOLERANCE = {"tsit5": Fraction(1, 10**60)}
DENSE_TOLERANCE = {"tsit5": Fraction(1, 10**36), "vern7": Fraction(1, 10**35)}


def apply(weights: Sequence[Fraction], slopes: Sequence[Fraction]) -> Fraction:
    return sum((x * y for x, y in zip(weights, slopes, strict=False)), Fraction(0))


class Weights:
    """Elementary weights of the stages of a tableau, by tree."""

    def __init__(self, rows: tuple[tuple[Fraction, ...], ...]) -> None:
        self.rows = rows
        self.known: dict[Tree, list[Fraction]] = {}

    def __call__(self, tree: Tree) -> list[Fraction]:
        if tree not in self.known:
            product = [Fraction(1)] * len(self.rows)
            for branch in tree:
                inner = self(branch)
                for i, row in enumerate(self.rows):
                    product[i] *= apply(row, inner)
            self.known[tree] = product
        return self.known[tree]


def worst_residual(rows, weights, order: int) -> Fraction:
    elementary = Weights(rows)
    return max(
        abs(apply(weights, elementary(tree)) - Fraction(1, density(tree)))
        for n in range(1, order + 1)
        for tree in rooted_trees(n)
    )


@pytest.fixture(params=PUBLISHED.values(), ids=lambda method: method.name)
def method(request) -> ExactTableau:
    return request.param


def test_the_trees_are_as_many_as_there_are():
    # Sequence A000081, Hairer, Norsett, Wanner (1993), table II.2.1.
    assert [len(rooted_trees(n)) for n in range(1, 9)] == [1, 1, 2, 4, 9, 20, 48, 115]


def test_the_weights_meet_every_condition_of_the_nominal_order(method):
    assert worst_residual(method.a, method.b, method.order) <= STEP_TOLERANCE.get(method.name, 0)


def test_the_order_is_not_understated(method):
    assert worst_residual(method.a, method.b, method.order + 1) > Fraction(1, 10**6)


@pytest.mark.parametrize("name", [name for name, m in EXPLICIT.items() if m.adaptive])
def test_the_embedded_weights_have_the_stated_order_and_no_more(name):
    method = PUBLISHED[name]
    embedded = [x - e for x, e in zip(method.b, method.b_error, strict=True)]
    allowed = STEP_TOLERANCE.get(method.name, 0)
    assert worst_residual(method.a, embedded, method.error_order) <= allowed
    assert worst_residual(method.a, embedded, method.error_order + 1) > Fraction(1, 10**6)


def worst_dense_residual(method: ExactTableau, order: int) -> Fraction:
    """The largest miss of one order, at any power of the step's fraction x.

    sum_i dense_i(x) weight_i(tree) = x^size / density is an identity of polynomials.
    """
    elementary = Weights(method.all_a)
    zeros = [(Fraction(0),) * len(method.dense)] * order
    columns = [*zip(*method.dense, strict=True), *zeros]
    return max(
        abs(apply(column, elementary(tree)) - (Fraction(1, density(tree)) if p == order else 0))
        for tree in rooted_trees(order)
        for p, column in enumerate(columns, start=1)
    )


def test_the_interpolant_meets_every_condition_at_every_point_and_no_more(method):
    orders = range(1, method.dense_order + 1)
    worst = max(worst_dense_residual(method, n) for n in orders)
    assert worst <= DENSE_TOLERANCE.get(method.name, 0)
    assert worst_dense_residual(method, method.dense_order + 1) > Fraction(1, 10**6)


def test_the_interpolant_of_vern7_nearly_has_order_seven():
    assert worst_dense_residual(PUBLISHED["vern7"], 7) < Fraction(14, 10**5)


def test_the_interpolant_ends_at_the_step_with_the_right_slopes(method):
    allowed = DENSE_TOLERANCE.get(method.name, 0)
    ends = [sum(row) for row in method.dense]
    padded = [*method.b, *[Fraction(0)] * len(method.dense_a)]
    assert max(abs(x - y) for x, y in zip(ends, padded, strict=True)) <= allowed
    if method.name == "euler":
        return  # a straight line has one slope
    start = [row[0] for row in method.dense]
    assert start == [Fraction(1), *[Fraction(0)] * (len(start) - 1)]
    last = len(method.b) - 1 if method.first_same_as_last else len(method.b)
    slope = [sum((j + 1) * x for j, x in enumerate(row)) for row in method.dense]
    assert method.all_a[last] == method.b[: len(method.all_a[last])]
    assert max(abs(x - (i == last)) for i, x in enumerate(slope)) <= allowed


def test_rounding_gives_the_nearest_floats_and_exact_abscissae(method):
    rounded = EXPLICIT[method.name]
    assert rounded.stages == len(method.b)
    assert rounded.b == tuple(float(x) for x in method.b)
    assert rounded.c == tuple(float(sum(row, Fraction(0))) for row in method.a)
    if rounded.stiffness_stages is not None:
        assert [rounded.c[i] for i in rounded.stiffness_stages] == [1.0, 1.0]


def test_only_methods_with_an_estimate_are_adaptive():
    assert {m.name for m in EXPLICIT.values() if not m.adaptive} == {"euler", "rk4"}
    assert {m.name for m in EXPLICIT.values() if m.first_same_as_last} == {"tsit5", "dopri5"}


def largest_errors(method: ButcherTableau, steps: int) -> tuple[float, float]:
    """Largest error at the ends of the steps and between them over 0 <= t <= 2."""
    h = 2.0 / steps
    y = np.array([1.0, 0.0])
    at_ends = inside = 0.0
    x = np.linspace(0.05, 0.95, 10)
    powers = x[:, None] ** np.arange(1, len(method.dense[0]) + 1)
    for step in range(steps):
        t = step * h
        k: list[np.ndarray] = []
        for row, c in zip(method.a + method.dense_a, method.c + method.dense_c, strict=True):
            k.append(spiral(t + c * h, y + h * sum(w * s for w, s in zip(row, k, strict=True))))
        values = y + h * powers @ np.array(method.dense).T @ np.array(k)
        times = t + x * h
        inside = max(inside, np.abs(values - spiral_solution(times)).max())
        y = y + h * sum(w * s for w, s in zip(method.b, k[: method.stages], strict=True))
        at_ends = max(at_ends, np.abs(y - spiral_solution(t + h)).max())
    return float(at_ends), float(inside)


@pytest.mark.parametrize("name", EXPLICIT)
def test_the_error_shrinks_at_the_nominal_order(name):
    method = EXPLICIT[name]
    steps = {1: [512, 768, 1024], 7: [48, 64, 96]}.get(method.order, [192, 256, 384])
    ends, inside = zip(*(largest_errors(method, n) for n in steps), strict=True)
    assert slope_of(list(ends), steps) == pytest.approx(method.order, abs=0.25)
    # Inside one step the interpolant adds a local error one order above its own.
    assert slope_of(list(inside), steps) > min(method.order, method.dense_order + 1) - 0.3
