"""An accepted step as a polynomial in time, for save points and quantities."""

from __future__ import annotations

from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.forcing import Interval
from twinml.engines.stepper import AbstractInterpolant
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
        jumps: Rows whose state jumps at the arrival, (A,): values there belong to what follows.
            None for no row.
        stops: Rows whose path ends here before its horizon, (A,); None for no row.
    """

    def __init__(
        self, rows: Tensor, t: Tensor, t1: Tensor, h: Tensor, y: Tensor, y1: Tensor,
        stages: tuple[Tensor, ...], at: Interval, stepper: AbstractInterpolant,
        jumps: Tensor | None = None, stops: Tensor | None = None,
    ) -> None:  # fmt: skip
        self.rows, self.t, self.t1, self.h = rows, t, t1, h
        self.y, self.y1, self.stages = y, y1, stages
        self.at, self.stepper = at, stepper
        self.jumps, self.stops = jumps, stops

    def select(self, index: Tensor) -> DenseStep:
        """The same step for a choice of its rows (repeats allowed)."""
        ready = "coefficients" in self.__dict__
        # Once the polynomial is known the stages have served.
        stages = () if ready else tuple(k[:, index] for k in self.stages)
        chosen = DenseStep(
            self.rows[index], self.t[index], self.t1[index], self.h[index],
            self.y[:, index], self.y1[:, index], stages, self.at.select(index), self.stepper,
            None if self.jumps is None else self.jumps[index],
            None if self.stops is None else self.stops[index],
        )  # fmt: skip
        if ready:
            chosen.__dict__["coefficients"] = [c[:, index] for c in self.coefficients]
        return chosen

    @cached_property
    def coefficients(self) -> list[Tensor]:
        """Coefficients of theta^j, each (n, A)."""
        return self.stepper.polynomial(self.at, self.t, self.h, self.y, self.y1, self.stages)

    def cut(self, theta: Tensor, t1: Tensor, whole: Tensor) -> DenseStep:
        """The step up to ``theta``, where it arrives at ``t1``; ``whole`` rows stay, (A,) each."""
        place = theta.to(self.y.dtype)
        power, coefficients = torch.ones_like(place), []
        for term in self.coefficients:
            coefficients.append(torch.where(whole, term, term * power))
            power = power * place
        end = self.motion(theta)[0]
        part = DenseStep(
            self.rows, self.t, t1, torch.where(whole, self.h, theta * self.h), self.y,
            torch.where(whole, self.y1, end), (), self.at, self.stepper, self.jumps, self.stops,
        )  # fmt: skip
        part.__dict__["coefficients"] = coefficients
        return part

    def ends(self, last: Tensor) -> Tensor:
        """Rows whose path ends with this step, (A,), given the end of every horizon (B,)."""
        ending = self.t1.detach() == last[self.rows]
        if self.jumps is not None:
            ending = ending & ~self.jumps
        return ending if self.stops is None else ending | self.stops

    def states(self, theta: Tensor) -> Tensor:
        """States (n, A) at ``theta`` (A,) in [0, 1]; the ends are the step's own values."""
        return torch.where(theta == 1.0, self.y1, self.motion(theta)[0])

    def motion(self, theta: Tensor, expression: Expression | None = None) -> tuple[Tensor, Tensor]:
        """States and their derivatives by theta, for ``theta`` (A,), or (K, 1) for K nodes.

        Given an expression, components it does not read are left at zero.
        """
        place = theta.to(self.y.dtype)
        terms = self.coefficients
        needed = None if expression is None else _components(self.at, expression, place.device)
        if needed is not None:
            terms = [c[needed] for c in terms]
        if theta.ndim == 2:
            terms = [c.unsqueeze(1) for c in terms]
        value, rate = terms[-1], torch.zeros_like(terms[-1])
        for term in reversed(terms[:-1]):
            rate = rate * place + value
            value = value * place + term
        if needed is not None:
            whole = value.new_zeros((self.y.shape[0], *value.shape[1:]))
            value, rate = whole.index_copy(0, needed, value), whole.index_copy(0, needed, rate)
        return value, rate

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
        y, moving = self.motion(theta, expression)
        return _along(expression, self.at, self.t + theta * self.h, self.h, y, moving)

    def curvature(self, expression: Expression, theta: Tensor) -> Tensor:
        """Second derivative of the value by ``theta``, (A,), without gradient."""
        with torch.enable_grad():
            place = theta.detach().requires_grad_()
            _, rate = self.value_and_rate(expression, place)
            if not rate.requires_grad:
                return torch.zeros_like(rate)
            (found,) = torch.autograd.grad(rate.sum(), place, retain_graph=True, allow_unused=True)
        return torch.zeros_like(rate.detach()) if found is None else found.to(rate.dtype)

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
        nodes = torch.tensor(NODES, dtype=torch.float64, device=self.t.device)[:, None]
        y, moving = self.motion(nodes, expression)
        y = torch.cat([y[:, :-1], self.y1.unsqueeze(1)], dim=1)  # the end is the step's own
        index = torch.arange(rows, device=self.t.device).repeat(len(NODES))
        n, count = self.y.shape[0], index.shape[0]
        value, rate = _along(
            expression, self.at.select(index), (self.t + nodes * self.h).reshape(-1),
            self.h.repeat(len(NODES)), y.reshape(n, count), moving.reshape(n, count),
        )  # fmt: skip
        return value.view(len(NODES), rows), rate.view(len(NODES), rows)


def _components(at: Interval, expression: Expression, device: Any) -> Tensor | None:
    """Rows of the stacked states that an expression reads, None for all of them."""
    declared = at.model.declared
    names = set(expression.names)
    if names & set(declared.outputs):
        names |= set(at.model.arguments("outputs"))
    rows = [
        row
        for name, part in declared.slices.items()
        if name in names
        for row in range(part.start, part.stop)
    ]
    if len(rows) == declared.width:
        return None
    return torch.tensor(rows, dtype=torch.long, device=device)


def _along(
    expression: Expression, at: Interval, t: Tensor, h: Tensor, y: Tensor, moving: Tensor
) -> tuple[Tensor, Tensor]:
    """Value and rate of an expression where the states move by ``moving`` (n, P) and time by h."""
    outer = torch.is_grad_enabled()
    with torch.enable_grad():
        point = y if y.requires_grad else y.detach().requires_grad_()
        when = t if t.requires_grad else t.detach().requires_grad_()
        value = expression.evaluate(at.observed(when, point)).to(y.dtype).expand(t.shape[0])
        rate = torch.zeros_like(value)
        if value.requires_grad:
            by_state, by_time = torch.autograd.grad(
                value.sum(), (point, when), create_graph=outer, retain_graph=outer,
                allow_unused=True,
            )  # fmt: skip
            if by_state is not None:
                rate = rate + (by_state * moving).sum(0)
            if by_time is not None:
                rate = rate + (by_time * h).to(y.dtype)
    return (value, rate) if outer else (value.detach(), rate.detach())


@final
class _Rest(AbstractInterpolant):
    """No motion: the path of a row whose span has no length."""

    def polynomial(
        self, at: Interval, t: Tensor, h: Tensor, y: Tensor, y1: Tensor, stages: tuple[Tensor, ...]
    ) -> list[Tensor]:
        return [y, torch.zeros_like(y)]


def rest(rows: Tensor, t: Tensor, y: Tensor, at: Interval) -> DenseStep:
    """A span of zero length, which still has values and quantities at its one time."""
    return DenseStep(rows, t, t, torch.zeros_like(t), y, y, (), at, _Rest())
