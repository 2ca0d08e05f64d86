"""Functionals of a path that need no search: ends, integrals, values at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep
from twinml.expression import Expression, Functional
from twinml.solve.problem import Problem

# Gauss-Legendre on [0, 1], 5 points, exact to degree 9 (Abramowitz & Stegun 25.4.30).
_HALF = (0.0, 0.5384693101056831, 0.9061798459386640)
_WEIGHT = (0.5688888888888889, 0.4786286704993665, 0.2369268850561891)
GAUSS = tuple(
    (0.5 * (1.0 + sign * x), 0.5 * w)
    for x, w in zip(_HALF, _WEIGHT, strict=True)
    for sign in ((-1.0, 1.0) if x else (1.0,))
)


class AbstractFunctional(ABC):
    """Accumulates one functional over the steps of all rows; values (B,)."""

    def __init__(
        self, functional: Functional, problem: Problem, initial: float = torch.nan
    ) -> None:
        self.expression = functional.argument
        self.problem = problem
        self.total = torch.full(
            (problem.rows,), initial, dtype=problem.y0.dtype, device=problem.y0.device
        )

    @abstractmethod
    def add(self, step: DenseStep) -> None:
        """Take an accepted step."""

    def result(self, kind: str) -> Tensor:
        """The functional of that kind, (B,)."""
        return self.total

    def _store(self, name: str, rows: Tensor, values: Tensor) -> None:
        old = getattr(self, name)
        if torch.is_grad_enabled():
            setattr(self, name, old.index_copy(0, rows, values.to(old.dtype)))
        else:
            old.index_copy_(0, rows, values.to(old.dtype))


def _theta(step: DenseStep, place: float) -> Tensor:
    return torch.full_like(step.t.detach(), place)


@final
class Final(AbstractFunctional):
    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, float("nan"))

    def add(self, step: DenseStep) -> None:
        done = step.ends(self.problem.last).nonzero()[:, 0]
        if done.shape[0]:
            part = step.select(done)
            self._store("total", part.rows, part.value(self.expression, _theta(part, 1.0)))


@final
class Initial(AbstractFunctional):
    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, float("nan"))

    def add(self, step: DenseStep) -> None:
        # Once: an event may follow so soon that time has not moved.
        new = torch.isnan(self.total[step.rows].detach())
        first = (new & (step.t.detach() == self.problem.first[step.rows])).nonzero()[:, 0]
        if first.shape[0]:
            part = step.select(first)
            self._store("total", part.rows, part.value(self.expression, _theta(part, 0.0)))


@final
class Integral(AbstractFunctional):
    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, 0.0)
        self.mean = functional.kind == "mean"
        self.share = torch.ones_like(problem.first)  # of the horizon, where an event ends the row

    def add(self, step: DenseStep) -> None:
        piece = torch.zeros_like(step.y[0])
        for place, weight in GAUSS:
            piece = piece + weight * step.value(self.expression, _theta(step, place))
        span = (step.t1 - step.t).to(piece.dtype)
        if self.mean:
            whole = self.problem.last[step.rows] - self.problem.first[step.rows]
            still = whole == 0
            span = span / torch.where(still, 1.0, whole)
            span = torch.where(still, 1.0, span).to(piece.dtype)
            if step.stops is not None and bool(step.stops.any()):
                part = step.stops.nonzero()[:, 0]
                rows = step.rows[part]
                lived = step.t1[part] - self.problem.first[rows]
                self._store("share", rows, lived / whole[part])
        self._store("total", step.rows, self.total[step.rows] + span * piece)

    def result(self, kind: str) -> Tensor:
        return self.total / self.share.to(self.total.dtype) if kind == "mean" else self.total


@final
class At(AbstractFunctional):
    """Value at a given time; nan when the time lies outside the horizon."""

    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, float("nan"))
        assert functional.extra is not None
        self.time = fixed_value(functional.extra, problem).to(torch.float64)

    def add(self, step: DenseStep) -> None:
        sign = self.problem.direction
        time = self.time[step.rows]
        now, begin, end = sign * time.detach(), sign * step.t.detach(), sign * step.t1.detach()
        # A time on a boundary belongs to the step that begins there: values after a jump.
        last = step.ends(self.problem.last)
        hit = ((now >= begin) & ((now < end) | (last & (now == end)))).nonzero()[:, 0]
        if hit.shape[0]:
            part, time = step.select(hit), time[hit]
            width = torch.where(part.h == 0, 1.0, part.h)
            theta = torch.where(time.detach() == part.t1.detach(), 1.0, (time - part.t) / width)
            self._store("total", part.rows, part.value(self.expression, theta))


def fixed_value(expression: Expression, problem: Problem) -> Tensor:
    """An expression of parameters and constants before any change, (B,)."""
    values: dict[str, Tensor | float] = dict(problem.constants)
    values.update(problem.parameters)
    for name, value in problem.inputs.items():
        if isinstance(value, Tensor):
            values[name] = value
    return expression.evaluate(values).to(problem.y0).expand(problem.rows)
