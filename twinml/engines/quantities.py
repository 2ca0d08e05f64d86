"""Quantities of interest as functionals of the dense output.

Extrema are stationary points of the path, crossings are roots on pieces where the path is
monotone, integrals use Gauss-Legendre points; nothing depends on where steps or save
points happen to lie. Gradients: an extremum by the envelope theorem, a crossing time by
-g_p / g_t, both with the step sequence frozen.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import NODES, DenseStep
from twinml.engines.rootfind import bracketed_root
from twinml.expression import Binary as Arithmetic
from twinml.expression import Comparison, Expression, Functional
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
        done = (step.t1.detach() == self.problem.last[step.rows]).nonzero()[:, 0]
        if done.shape[0]:
            part = step.select(done)
            self._store("total", part.rows, part.value(self.expression, _theta(part, 1.0)))


@final
class Initial(AbstractFunctional):
    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, float("nan"))

    def add(self, step: DenseStep) -> None:
        first = (step.t.detach() == self.problem.first[step.rows]).nonzero()[:, 0]
        if first.shape[0]:
            part = step.select(first)
            self._store("total", part.rows, part.value(self.expression, _theta(part, 0.0)))


@final
class Integral(AbstractFunctional):
    def __init__(self, functional: Functional, problem: Problem) -> None:
        super().__init__(functional, problem, 0.0)
        self.mean = functional.kind == "mean"

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
        self._store("total", step.rows, self.total[step.rows] + span * piece)


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
        last = step.t1.detach() == self.problem.last[step.rows]
        hit = ((now >= begin) & ((now < end) | (last & (now == end)))).nonzero()[:, 0]
        if hit.shape[0]:
            part, time = step.select(hit), time[hit]
            width = torch.where(part.h == 0, 1.0, part.h)
            theta = torch.where(time.detach() == part.t1.detach(), 1.0, (time - part.t) / width)
            self._store("total", part.rows, part.value(self.expression, theta))


def _reach(value: Tensor, rate: Tensor) -> Tensor:
    """A height that a smooth path does not exceed between neighbouring nodes, (nodes - 1, A)."""
    width = torch.tensor(NODES, dtype=value.dtype, device=value.device).diff()[:, None]
    slope = torch.maximum(rate[:-1].abs(), rate[1:].abs())
    return torch.maximum(value[:-1], value[1:]) + 2 * width * slope


@final
class Extremum(AbstractFunctional):
    """``max``, ``min`` and their times. The first of equal extrema counts."""

    def __init__(self, functional: Functional, problem: Problem) -> None:
        self.sign = 1.0 if functional.kind.endswith("max") else -1.0
        super().__init__(functional, problem, -self.sign * torch.inf)
        self.timed = False  # whether somebody asks for the time
        self.when = problem.first.clone()

    def add(self, step: DenseStep) -> None:
        value, rate = step.profile(self.expression)
        value, rate = self.sign * value.detach(), self.sign * rate.detach()
        best, node = value.max(0)  # nan is the largest for torch, so it is never lost
        nodes = torch.tensor(NODES, dtype=torch.float64, device=value.device)
        theta = nodes[node]
        # Between two nodes the path stays below the tangents at both (twice, for a turn of
        # the slope between); only a peak that can beat the best so far is located.
        old = self.sign * self.total[step.rows].detach()
        reach = _reach(value, rate)
        turning = ((rate[:-1] > 0) & (rate[1:] < 0) & (reach > torch.maximum(best, old))).nonzero()
        if turning.shape[0]:
            piece, row = turning[:, 0], turning[:, 1]
            part = step.select(row)
            places = bracketed_root(
                lambda place, index: self.sign
                * part.select(index).value_and_rate(self.expression, place)[1],
                nodes[piece], nodes[piece + 1], rate[piece, row], rate[piece + 1, row],
            )  # fmt: skip
            peak = self.sign * part.value(self.expression, places).detach()
            # A step may hold several peaks; take the highest of each row.
            for number in piece.unique():
                mine = piece == number
                rows, better = row[mine], peak[mine] > best[row[mine]]
                best = best.index_copy(0, rows[better], peak[mine][better])
                theta = theta.index_copy(0, rows[better], places[mine][better])
        wins = ((best > old) | best.isnan()).nonzero()[:, 0]
        if wins.shape[0] == 0:
            return
        rows, place = step.rows[wins], theta[wins]
        if not torch.is_grad_enabled():
            self._store("total", rows, self.sign * best[wins])
            if self.timed:
                inner = step.t[wins] + place * step.h[wins]
                self._store("when", rows, torch.where(place == 1.0, step.t1[wins], inner))
            return
        part = step.select(wins)
        self._store("total", rows, part.value(self.expression, place))
        if self.timed:
            self._store("when", rows, self._time(part, place))

    def _time(self, part: DenseStep, place: Tensor) -> Tensor:
        time = part.time(place)
        # Implicit function: at a turning point the rate stays zero.
        rate = part.value_and_rate(self.expression, place)[1]
        curvature = part.curvature(self.expression, place)
        inner = (place > 0) & (place < 1) & (curvature != 0)
        shift = (rate - rate.detach()) / torch.where(inner, curvature, 1.0)
        return torch.where(inner, time - shift * part.h.detach(), time)

    def result(self, kind: str) -> Tensor:
        return self.when.to(self.total.dtype) if kind.startswith("time_of_") else self.total


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
    near = _reach(-value.abs(), rate) >= 0
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


_KINDS: dict[str, type[AbstractFunctional]] = {
    "final": Final, "initial": Initial, "integral": Integral, "mean": Integral, "at": At,
    "max": Extremum, "min": Extremum, "time_of_max": Extremum, "time_of_min": Extremum,
    "time_above": TimeAbove, "first_time": FirstTime,
}  # fmt: skip


def fixed_value(expression: Expression, problem: Problem) -> Tensor:
    """An expression of parameters and constants before any change, (B,)."""
    values: dict[str, Tensor | float] = dict(problem.constants)
    values.update(problem.parameters)
    for name, value in problem.inputs.items():
        if isinstance(value, Tensor):
            values[name] = value
    return expression.evaluate(values).to(problem.y0).expand(problem.rows)


@final
class Quantities:
    """All functionals of a problem, each computed once."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.functionals: dict[Functional, AbstractFunctional] = {}
        shared: dict[tuple[str, Expression], Extremum] = {}
        for expression in problem.quantities.values():
            for functional in expression.functionals:
                if functional in self.functionals:
                    continue
                kind = functional.kind
                if _KINDS[kind] is Extremum:
                    # An extremum and its time are found together.
                    key = (kind.removeprefix("time_of_"), functional.argument)
                    extremum = shared.setdefault(key, Extremum(functional, problem))
                    extremum.timed = extremum.timed or kind.startswith("time_of_")
                    self.functionals[functional] = extremum
                else:
                    self.functionals[functional] = _KINDS[kind](functional, problem)

    def add(self, step: DenseStep) -> None:
        """Take an accepted step."""
        for functional in dict.fromkeys(self.functionals.values()):
            functional.add(step)

    def result(self) -> dict[str, Tensor]:
        """Quantities by name, (B,)."""
        problem = self.problem
        known = {key: value.result(key.kind) for key, value in self.functionals.items()}
        values: dict[str, Tensor | float] = dict(problem.constants)
        values.update(problem.parameters)
        for name, value in problem.inputs.items():
            if isinstance(value, Tensor):
                values[name] = value
        return {
            name: expression.evaluate(values, known).to(problem.y0.dtype).expand(problem.rows)
            for name, expression in problem.quantities.items()
        }
