"""One step of a method for all rows at once, from the method's tableau."""

from __future__ import annotations

import functools
import math
import warnings
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from twinml.engines.forcing import Interval
from twinml.solve.methods import Method
from twinml.solve.rosenbrock import RosenbrockTableau
from twinml.solve.stochastic import StochasticTableau
from twinml.solve.tableau import ButcherTableau


@final
@dataclass(frozen=True, eq=False)
class Trial:
    """A step that was tried.

    Args:
        y: States at the end (n, A).
        error: Estimate of the local error (n, A), or None for a fixed-step method.
        stages: What the dense output is made of, each (n, A).
        finite: Rows whose end and error are finite, (A,).
        singular: Rows whose linear system could not be solved, (A,), or None.
        stiffness: h times the size of the dominant eigenvalue, (A,), or None.
        last: Derivative at the end when the method evaluates it, else None.
    """

    y: Tensor
    error: Tensor | None
    stages: tuple[Tensor, ...]
    finite: Tensor
    singular: Tensor | None = None
    stiffness: Tensor | None = None
    last: Tensor | None = None


class AbstractInterpolant(ABC):
    """What knows the path between the ends of a step."""

    @abstractmethod
    def polynomial(
        self, at: Interval, t: Tensor, h: Tensor, y: Tensor, y1: Tensor, stages: tuple[Tensor, ...]
    ) -> list[Tensor]:
        """Dense output as coefficients of theta^0, theta^1, ..., each (n, A)."""


class AbstractStepper(AbstractInterpolant):
    """A method in executable form."""

    name: str
    adaptive: bool
    error_order: int  # exponent q of the step control: the error estimate is O(h^q)

    @abstractmethod
    def step(
        self, at: Interval, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, k1: Tensor | None,
        estimate: bool = True, noise: Tensor | None = None,
    ) -> Trial:  # fmt: skip
        """Try one step from (t, y) to t1 = t + h for all rows; ``k1`` is rhs there, if known.

        ``noise`` holds the increments of the Brownian path over the step, (n, A), for models with.
        """


def _weighted(weights: tuple[float, ...], stages: list[Tensor]) -> Tensor | None:
    """Sum of stages left to right, so that a row's bits do not depend on its neighbours."""
    total: Tensor | None = None
    for weight, stage in zip(weights, stages, strict=False):
        if weight == 0.0:
            continue
        total = stage * weight if total is None else total + stage * weight
    return total


@final
class ExplicitStepper(AbstractStepper):
    """Explicit Runge-Kutta from a Butcher tableau."""

    def __init__(self, tableau: ButcherTableau, fixed: bool = False) -> None:
        self.tableau = tableau
        self.name = tableau.name
        self.adaptive = tableau.adaptive and not fixed
        embedded = tableau.error_order
        self.error_order = (tableau.order if embedded is None else embedded) + 1

    def step(
        self, at: Interval, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, k1: Tensor | None,
        estimate: bool = True, noise: Tensor | None = None,
    ) -> Trial:  # fmt: skip
        tableau = self.tableau
        hy = h.to(y.dtype)
        stages = [at.rhs(t, y) if k1 is None else k1]
        points: list[Tensor] = [y]
        dead = torch.zeros_like(t, dtype=torch.bool)
        for row, c in zip(tableau.a[1:], tableau.c[1:], strict=True):
            # The last bits of t + c h must not leave the interval the step lies in.
            time = t1 if c == 1.0 else t + c * h
            increment = _weighted(row, stages)
            assert increment is not None
            point = y + hy * increment
            stages.append(at.rhs(time, point))
            points.append(point)
            if estimate and not math.isfinite(float(stages[-1].detach().sum())):
                # Lost rows need no further stages once all rows are lost.
                dead = dead | ~torch.isfinite(stages[-1].detach()).all(0)
                if bool(dead.all()):
                    return Trial(y, y if self.adaptive else None, (), ~dead)
        if tableau.first_same_as_last:
            y1, last = points[-1], stages[-1]
        else:
            increment = _weighted(tableau.b, stages)
            assert increment is not None
            y1, last = y + hy * increment, None
        finite = torch.isfinite(y1.detach()).all(0)
        if not estimate:
            return Trial(y1, None, tuple(stages), finite, last=last)
        error: Tensor | None = None
        if tableau.b_error is not None:
            error = _weighted(tableau.b_error, stages)
            assert error is not None
            error = hy * error
            finite = finite & torch.isfinite(error.detach()).all(0)
        stiffness = None
        if tableau.stiffness_stages is not None:
            i, j = tableau.stiffness_stages
            stiffness = h * _ratio(stages[j] - stages[i], points[j] - points[i])
        return Trial(y1, error, tuple(stages), finite & ~dead, None, stiffness, last)

    def polynomial(
        self, at: Interval, t: Tensor, h: Tensor, y: Tensor, y1: Tensor, stages: tuple[Tensor, ...]
    ) -> list[Tensor]:
        tableau = self.tableau
        hy = h.to(y.dtype)
        known = list(stages[: tableau.stages])
        for row, c in zip(tableau.dense_a, tableau.dense_c, strict=True):
            increment = _weighted(row, known)
            assert increment is not None
            known.append(at.rhs(t + c * h, y + hy * increment))
        return [y, *_powers(tableau.dense, known, y, hy)]


def _powers(
    dense: tuple[tuple[float, ...], ...], stages: list[Tensor], y: Tensor, scale: Tensor | None
) -> list[Tensor]:
    """Coefficients of theta^1, theta^2, ... of an interpolant, each (n, A)."""
    coefficients = []
    for power in range(len(dense[0])):
        term = _weighted(tuple(row[power] for row in dense), stages)
        if term is None:
            term = torch.zeros_like(y)
        coefficients.append(term if scale is None else scale * term)
    return coefficients


def _ratio(above: Tensor, below: Tensor) -> Tensor:
    """Norm of one difference over the norm of another, 0 where both vanish, (A,)."""
    top = torch.sqrt((above * above).sum(0))
    bottom = torch.sqrt((below * below).sum(0))
    return torch.where(bottom > 0, top / bottom, torch.zeros_like(top))


@final
class RosenbrockStepper(AbstractStepper):
    """Rosenbrock-Wanner method: one Jacobian and one factorisation a step.

    The Jacobian and df/dt are exact directional derivatives of ``rhs``, the slope of linear
    inputs included.
    """

    def __init__(self, tableau: RosenbrockTableau, fixed: bool = False) -> None:
        self.tableau = tableau
        self.name = tableau.name
        self.adaptive = not fixed
        self.error_order = tableau.error_order + 1

    def step(
        self, at: Interval, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, k1: Tensor | None,
        estimate: bool = True, noise: Tensor | None = None,
    ) -> Trial:  # fmt: skip
        tableau = self.tableau
        n = y.shape[0]
        hy = h.to(y.dtype)
        # Rows that have ended stand still with h = 0; their system is replaced by the identity.
        moving = hy != 0
        inverse = torch.where(moving, 1.0 / torch.where(moving, hy, 1.0), 0.0)
        first, jacobian, slope = _derivatives(at, t, y)
        usable = moving & torch.isfinite(jacobian.detach()).all(-1).all(-1)
        eye = torch.eye(n, dtype=y.dtype, device=y.device)
        system = (inverse / tableau.gamma)[:, None, None] * eye - jacobian
        system = torch.where(usable[:, None, None], system, eye)
        factors, pivots, info = torch.linalg.lu_factor_ex(system)
        stages: list[Tensor] = []
        finite = torch.isfinite(slope.detach()).all(0) & (usable | ~moving)
        for index in range(tableau.stages):
            increment = _weighted(tableau.a[index], stages)
            c = tableau.c[index]
            time = t if c == 0.0 else t1 if c == 1.0 else t + c * h
            point = y if increment is None else y + increment
            value = first if index == 0 else at.rhs(time, point)
            right = value + hy * tableau.d[index] * slope
            feedback = _weighted(tableau.C[index], stages)
            if feedback is not None:
                right = right + feedback * inverse
            right = torch.where(usable, right, torch.zeros_like(right))
            solved = torch.linalg.lu_solve(factors, pivots, right.T.unsqueeze(-1))
            stages.append(solved[..., 0].T)
            finite = finite & torch.isfinite(value.detach()).all(0)
            if estimate and not bool(finite.any()):
                return Trial(y, y, (), finite, info != 0)
        end, error = _weighted(tableau.b, stages), _weighted(tableau.b_error, stages)
        assert end is not None and error is not None
        y1 = y + end
        finite = finite & torch.isfinite(y1.detach()).all(0) & torch.isfinite(error.detach()).all(0)
        return Trial(y1, error, tuple(stages), finite, info != 0)

    def polynomial(
        self, at: Interval, t: Tensor, h: Tensor, y: Tensor, y1: Tensor, stages: tuple[Tensor, ...]
    ) -> list[Tensor]:
        return [y, *_powers(self.tableau.dense, list(stages), y, None)]


def _derivatives(at: Interval, t: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value (n, A), Jacobian (A, n, n) and partial derivative in time (n, A) of ``rhs``.

    Rows are independent, so one forward-mode pass over n + 1 copies of them, each along another
    direction, gives everything. Forward mode takes only the branch that ``torch.where`` chose;
    a reverse pass would multiply the infinite slope of the other one by zero.
    """
    n, rows = y.shape
    prepare_forward_mode()
    wide = at.select(torch.arange(rows, device=y.device).repeat(n + 1))
    along = torch.eye(n, n + 1, dtype=y.dtype, device=y.device).repeat_interleave(rows, dim=1)
    ahead = torch.zeros((n + 1) * rows, dtype=t.dtype, device=t.device)
    ahead[n * rows :] = 1.0
    with forward_ad.dual_level():
        times = forward_ad.make_dual(t.repeat(n + 1), ahead)
        points = forward_ad.make_dual(y.repeat(1, n + 1), along)
        value, slopes = forward_ad.unpack_dual(wide.rhs(times, points))
    if slopes is None:
        slopes = torch.zeros_like(value)
    by_direction = slopes.view(n, n + 1, rows)
    return value[:, :rows], by_direction[:, :n].permute(2, 0, 1), by_direction[:, n]


@functools.cache
def prepare_forward_mode() -> None:
    """Let torch load its rules now, and keep to itself a deprecation of its own."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        forward_ad.make_dual(torch.zeros(1), torch.ones(1))


@final
class StochasticStepper(AbstractStepper):
    """Explicit one-step method for equations with diagonal Ito noise; without noise, its drift."""

    adaptive = False

    def __init__(self, tableau: StochasticTableau) -> None:
        self.tableau = tableau
        self.name = tableau.name
        self.error_order = tableau.order + 1

    def step(
        self, at: Interval, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, k1: Tensor | None,
        estimate: bool = True, noise: Tensor | None = None,
    ) -> Trial:  # fmt: skip
        tableau = self.tableau
        hy = h.to(y.dtype)
        drift: list[Tensor] = []
        spread: list[Tensor] = []

        def moved(weights: tuple[float, ...], noise_weights: tuple[float, ...]) -> Tensor:
            point = y
            increment = _weighted(weights, drift)
            if increment is not None:
                point = point + hy * increment
            random = _weighted(noise_weights, spread)
            if random is not None and noise is not None:
                point = point + noise * random
            return point

        rows = zip(tableau.a, tableau.noise_a, tableau.c, strict=True)
        for index, (row, noise_row, c) in enumerate(rows):
            time = t if c == 0.0 else t1 if c == 1.0 else t + c * h
            point = moved(row, noise_row)
            drift.append(k1 if index == 0 and k1 is not None else at.rhs(time, point))
            if noise is not None:
                spread.append(at.diffusion(time, point))
        y1 = moved(tableau.b, tableau.noise_b)
        return Trial(y1, None, (), torch.isfinite(y1.detach()).all(0))

    def polynomial(
        self, at: Interval, t: Tensor, h: Tensor, y: Tensor, y1: Tensor, stages: tuple[Tensor, ...]
    ) -> list[Tensor]:
        return [y, y1 - y]


def stepper_for(tableau: Method, fixed: bool) -> AbstractStepper:
    """The executable form of a method."""
    if isinstance(tableau, StochasticTableau):
        return StochasticStepper(tableau)
    if isinstance(tableau, RosenbrockTableau):
        return RosenbrockStepper(tableau, fixed)
    return ExplicitStepper(tableau, fixed)
