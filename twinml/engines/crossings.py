"""Crossings of a threshold: roots on pieces where the path is monotone."""

from __future__ import annotations

import warnings
from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import NODES, DenseStep
from twinml.engines.extrema import reach
from twinml.engines.functionals import AbstractFunctional
from twinml.engines.rootfind import bracketed_root
from twinml.expression import Binary as Arithmetic
from twinml.expression import Comparison, Expression, Functional
from twinml.solve.problem import Problem

# A crossing is called grazing when its slope is below this share of the steepest in its step;
# at a touching turning point the slope found is of the order of the root of rounding.
_GRAZE = 1e-6


def _warn_of_grazing(grazes: Tensor, expression: Expression) -> None:
    """A time at which a path only touches its threshold has no derivative: say so."""
    if bool(grazes.any()):
        warnings.warn(
            f"'{expression.text}' grazes its threshold in {int(grazes.sum())} rows: the time of "
            "the crossing has no derivative there, and its gradient is left at zero. Move the "
            "threshold, or leave those rows out of the gradient.",
            UserWarning,
            stacklevel=2,
        )


def _turns_across(value: Tensor, rate: Tensor) -> Tensor:
    """Pieces that turn and might touch zero on the way, (nodes - 1, A) bool."""
    near = reach(-value.abs(), rate) >= 0
    return (rate[:-1] * rate[1:] < 0) & near


class AbstractCrossing(AbstractFunctional):
    """What needs the pieces on which ``expression - threshold`` keeps its sign."""

    gap: Expression

    def _pieces(self, step: DenseStep) -> list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor]]:
        """Monotone pieces: (row index, theta and value at the start, the same at the end)."""
        value, rate = step.profile(self.gap)
        value, rate = value.detach(), rate.detach()
        nodes = torch.tensor(NODES, dtype=torch.float64, device=value.device)
        rows = torch.arange(value.shape[1], device=value.device)
        pieces = []
        turning = _turns_across(value, rate)
        for k in range(len(NODES) - 1):
            turn = turning[k].nonzero()[:, 0]
            middle = nodes[k + 1].expand(rows.shape[0]).clone()
            height = value[k + 1].clone()
            if turn.shape[0]:
                part = step.select(turn)
                ends = nodes[k].expand(turn.shape[0]), nodes[k + 1].expand(turn.shape[0])
                place = bracketed_root(
                    lambda p, i, part=part: part.select(i).value_and_rate(self.gap, p)[1],
                    *ends, rate[k, turn], rate[k + 1, turn],
                )  # fmt: skip
                middle[turn], height[turn] = place, part.value(self.gap, place).detach()
                if torch.is_grad_enabled():
                    size = part.profile(self.gap)[0].detach().abs().amax(0)
                    _warn_of_grazing(height[turn].abs() <= _GRAZE**2 * size, self.expression)
            pieces.append((rows, nodes[k].expand(rows.shape[0]), value[k], middle, height))
            if turn.shape[0]:
                end = nodes[k + 1].expand(turn.shape[0])
                pieces.append((turn, middle[turn], height[turn], end, value[k + 1, turn]))
        return pieces

    def _crossing(self, step: DenseStep, piece: tuple[Tensor, ...], index: Tensor) -> Tensor:
        """Times at which the sign changes inside chosen pieces, with gradient."""
        rows, a, fa, b, fb = piece
        part = step.select(rows[index])
        place = bracketed_root(
            lambda p, i: part.select(i).value(self.gap, p), a[index], b[index], fa[index], fb[index]
        )
        time = part.time(place)
        if not torch.is_grad_enabled():
            return time
        value, rate = part.value_and_rate(self.gap, place)
        steepest = part.profile(self.gap)[1].detach().abs().amax(0)
        grazes = rate.detach().abs() <= _GRAZE * steepest
        _warn_of_grazing(grazes, self.expression)
        slope = torch.where(grazes, torch.inf, rate.detach())
        return time - (value - value.detach()) / slope * part.h.detach()


@final
class TimeAbove(AbstractCrossing):
    """Time spent strictly above a threshold."""

    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, 0.0)
        assert functional.extra is not None
        self.gap = Arithmetic("-", functional.argument, functional.extra)

    def add(self, step: DenseStep) -> None:
        total = self.total[step.rows].to(torch.float64)
        value, rate = step.profile(self.gap)
        above = (value > 0).all(0)
        # Rows whose nodes all lie on one side and which do not turn need no pieces.
        turns = _turns_across(value, rate).any(0)
        simple = ~turns & (above | (value <= 0).all(0))
        whole = (step.t1 - step.t).abs()
        total = total + torch.where(simple & above, whole, 0.0)
        hard = (~simple).nonzero()[:, 0]
        if hard.shape[0]:
            total = total.index_copy(0, hard, total[hard] + self._split(step.select(hard)))
        self._store("total", step.rows, total)

    def _split(self, step: DenseStep) -> Tensor:
        total = torch.zeros_like(step.t)
        for piece in self._pieces(step):
            rows, a, fa, b, fb = piece
            part = step.select(rows)
            begin, end = part.time(a), part.time(b)
            enters, leaves = (fa <= 0) & (fb > 0), (fa > 0) & (fb <= 0)
            for mask, at_start in ((enters, True), (leaves, False)):
                index = mask.nonzero()[:, 0]
                if index.shape[0]:
                    time = self._crossing(step, piece, index)
                    if at_start:
                        begin = begin.index_copy(0, index, time)
                    else:
                        end = end.index_copy(0, index, time)
            inside = (fa > 0) | (fb > 0)
            spent = torch.where(inside, (end - begin).abs(), 0.0)
            undefined = torch.isnan(fa) | torch.isnan(fb)
            total = total.index_add(0, rows, torch.where(undefined, torch.nan, spent))
        return total


@final
class FirstTime(AbstractCrossing):
    """First time at which a comparison holds; inf when it never does."""

    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, torch.inf)
        condition = functional.argument
        assert isinstance(condition, Comparison)
        flip = condition.operator.startswith("<")
        self.strict = "=" not in condition.operator
        left, right = condition.left, condition.right
        self.gap = Arithmetic("-", right, left) if flip else Arithmetic("-", left, right)
        self.when = torch.full_like(problem.first, torch.inf)

    def _holds(self, value: Tensor) -> Tensor:
        return value > 0 if self.strict else value >= 0

    def add(self, step: DenseStep) -> None:
        waiting = torch.isinf(self.when[step.rows].detach())
        value, rate = step.profile(self.gap)
        possible = self._holds(value).any(0) | _turns_across(value, rate).any(0)
        possible = possible | value.isnan().any(0)
        index = (waiting & possible).nonzero()[:, 0]
        if index.shape[0] == 0:
            return
        part = step.select(index)
        first = torch.full_like(part.t, torch.inf)
        start = self._holds(part.profile(self.gap)[0][0])
        first = torch.where(start, part.t, first)
        # An expression that is nan has no first time; comparisons would call it "not yet".
        first = torch.where(value[:, index].isnan().any(0), torch.nan, first)
        for piece in self._pieces(part):
            rows, _, fa, _, fb = piece
            open_ = torch.isinf(first.detach()[rows]) & ~self._holds(fa) & self._holds(fb)
            hit = open_.nonzero()[:, 0]
            if hit.shape[0]:
                time = self._crossing(part, piece, hit)
                first = first.index_copy(0, rows[hit], time)
        self._store("when", part.rows, first)

    def result(self, kind: str) -> Tensor:
        return self.when.to(self.total.dtype)
