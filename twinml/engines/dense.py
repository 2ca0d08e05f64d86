"""An accepted step as a polynomial in time, for save points and quantities."""

from __future__ import annotations

from functools import cached_property
from typing import final

import torch
from torch import Tensor

from twinml.engines.forcing import Interval
from twinml.engines.stepper import AbstractStepper
from twinml.expression import Binary, Expression, Number

# Guards and extrema are looked for at both ends and four points between.
NODES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@final
class DenseStep:
    """The path of some rows between ``t`` and ``t1``.

    Args:
        rows: Row numbers in the problem, (A,).
        t, t1: Ends of the step, (A,), float64.
        h: Step size (A,), float64, negative backward.
        y, y1: States at the ends, (n, A).
        stages: Stages of the method, each (n, A).
        at: The forcing during the step.
        stepper: The method, which knows its interpolant.
    """

    def __init__(
        self, rows: Tensor, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, y1: Tensor,
        stages: tuple[Tensor, ...], at: Interval, stepper: AbstractStepper,
    ) -> None:  # fmt: skip
        self.rows, self.t, self.t1, self.h = rows, t, t1, h
        self.y, self.y1, self.stages = y, y1, stages
        self.at, self.stepper = at, stepper

    def select(self, index: Tensor) -> DenseStep:
        """The same step for a choice of its rows (repeats allowed)."""
        ready = "coefficients" in self.__dict__
        # Once the polynomial is known the stages have served.
        stages = () if ready else tuple(k[:, index] for k in self.stages)
        chosen = DenseStep(
            self.rows[index], self.t[index], self.t1[index], self.h[index],
            self.y[:, index], self.y1[:, index], stages, self.at.select(index), self.stepper,
        )  # fmt: skip
        if ready:
            chosen.__dict__["coefficients"] = [c[:, index] for c in self.coefficients]
        return chosen

    @cached_property
    def coefficients(self) -> list[Tensor]:
        """Coefficients of theta^j, each (n, A)."""
        return self.stepper.polynomial(self.at, self.t, self.h, self.y, self.y1, self.stages)

    def states(self, theta: Tensor) -> Tensor:
        """States (n, A) at ``theta`` (A,) in [0, 1]; the ends are the step's own values."""
        place = theta.to(self.y.dtype)
        value = self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1]):
            value = value * place + coefficient
        return torch.where(theta == 1.0, self.y1, value)

    def time(self, theta: Tensor) -> Tensor:
        """Time at ``theta``; the ends are exact."""
        inner = self.t + theta * self.h
        return torch.where(theta == 1.0, self.t1, inner)

    def value(self, expression: Expression, theta: Tensor) -> Tensor:
        """An expression along the path at ``theta``, (A,)."""
        y = self.states(theta)
        result = expression.evaluate(self.at.observed(self.time(theta), y))
        return result.to(y.dtype).expand(theta.shape[0])

    def value_and_rate(self, expression: Expression, theta: Tensor) -> tuple[Tensor, Tensor]:
        """The value and its derivative by ``theta``, (A,) each."""
        outer = torch.is_grad_enabled()
        with torch.enable_grad():
            place = theta.detach().requires_grad_()
            y = self._smooth(place)
            names = self.at.observed(self.t + place * self.h, y)
            value = expression.evaluate(names).to(y.dtype).expand(theta.shape[0])
            if not value.requires_grad:
                return value, torch.zeros_like(value)
            (rate,) = torch.autograd.grad(
                value.sum(), place, create_graph=outer, retain_graph=outer, allow_unused=True
            )
        if rate is None:
            rate = torch.zeros_like(theta)
        rate = rate.to(value.dtype)
        return (value, rate) if outer else (value.detach(), rate.detach())

    def _smooth(self, theta: Tensor) -> Tensor:
        place = theta.to(self.y.dtype)
        value = self.coefficients[-1]
        for coefficient in reversed(self.coefficients[:-1]):
            value = value * place + coefficient
        return value

    def profile(self, expression: Expression) -> tuple[Tensor, Tensor]:
        """Value and rate at the nodes, (len(NODES), A) each, computed once per expression."""
        cache = self.__dict__.setdefault("_profiles", {})
        if expression not in cache:
            cache[expression] = self._profile(expression)
        return cache[expression]

    def _profile(self, expression: Expression) -> tuple[Tensor, Tensor]:
        rows = self.t.shape[0]
        if isinstance(expression, Number):
            value = self.y.new_full((len(NODES), rows), expression.value)
            return value, torch.zeros_like(value)
        if isinstance(expression, Binary) and expression.operator == "-":
            # Linear in its sides, so that x - c shares the work on x.
            left, right = self.profile(expression.left), self.profile(expression.right)
            return left[0] - right[0], left[1] - right[1]
        nodes = torch.tensor(NODES, dtype=torch.float64, device=self.t.device)
        value, rate = self._spread.value_and_rate(expression, nodes.repeat_interleave(rows))
        return value.view(len(NODES), rows), rate.view(len(NODES), rows)

    @cached_property
    def _spread(self) -> DenseStep:
        """One copy of the rows per node."""
        index = torch.arange(self.t.shape[0], device=self.t.device).repeat(len(NODES))
        _ = self.coefficients
        return self.select(index)
