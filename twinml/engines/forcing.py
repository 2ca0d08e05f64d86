"""What acts on the rows from outside: input knots and timed changes.

Every knot and change time is a step boundary. Inside a step the forcing is fixed by the
index of the interval the step lies in, never by looking up the time: a stage at the end of
a step would else see the value after the jump, and the order of the method would fall to 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from twinml.physics import KernelPhysics, Physics, Signal
from twinml.solve.change import Change
from twinml.solve.problem import Problem

if TYPE_CHECKING:
    from twinml.engines.native.header_call import HeaderCall


def header_of(model: Physics, dtype: torch.dtype) -> HeaderCall | None:
    """The compiled right-hand side of a model that has none in torch."""
    if not isinstance(model, KernelPhysics):
        return None
    # Compiling is imported by those who use it.
    from twinml.engines.native.header_check import header_for

    return header_for(model, dtype)


def take(value: Tensor, rows: Tensor) -> Tensor:
    """Values of some rows; a value shared by all rows, shape (1,), stays as it is."""
    return value if value.shape[0] == 1 else value[rows]


@final
@dataclass(frozen=True, eq=False)
class Ramp:
    """An input inside one interval: ``value + slope * (t - since)``, slope None when held."""

    value: Tensor
    slope: Tensor | None
    since: Tensor | None

    def at(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        if self.slope is None or self.since is None:
            return self.value
        return self.value + self.slope * (t - self.since).to(dtype)

    def select(self, rows: Tensor) -> Ramp:
        if self.slope is None or self.since is None:
            return Ramp(take(self.value, rows), None, None)
        return Ramp(take(self.value, rows), take(self.slope, rows), take(self.since, rows))


@final
@dataclass(frozen=True, eq=False)
class Interval:
    """Parameters and inputs of some rows while no boundary is crossed.

    Args:
        model: The physics.
        parameters: In force now, (A,) or (1,).
        inputs: In force now.
        constants: Further names for quantities, (A,) or (1,).
        header: Its right-hand side where that stands in a header alone.
    """

    model: Physics
    parameters: Mapping[str, Tensor]
    inputs: Mapping[str, Ramp]
    constants: Mapping[str, Tensor]
    header: HeaderCall | None = None

    def values(self, t: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Everything an equation may ask for, by name.

        Args:
            t: Times (A,), float64.
            y: States (n, A).
        """
        rows = y.shape[1]
        result = self._expanded(rows)
        result["t"] = t.to(y.dtype).expand(rows)
        for name, part in self.model.declared.slices.items():
            block = y[part]
            state = self.model.declared.states[name]
            result[name] = block[0] if state.size is None else block.movedim(0, -1)
        for name, ramp in self.inputs.items():
            if ramp.slope is not None:
                result[name] = ramp.at(t, y.dtype).expand(rows)
        return result

    @cached_property
    def _ready(self) -> dict[tuple[int, bool], dict[str, Tensor]]:
        return {}

    def _expanded(self, rows: int) -> dict[str, Tensor]:
        """Parameters and held inputs for so many rows, expanded once per interval."""
        # What was expanded without a graph must not be reused where gradients are wanted.
        key = (rows, torch.is_grad_enabled())
        if key not in self._ready:
            held = {n: ramp.value for n, ramp in self.inputs.items() if ramp.slope is None}
            fixed = {**held, **self.parameters}
            self._ready[key] = {name: value.expand(rows) for name, value in fixed.items()}
        return dict(self._ready[key])

    def rhs(self, t: Tensor, y: Tensor) -> Tensor:
        """Derivatives (n, A) at times (A,) and states (n, A)."""
        if self.header is not None:
            assert isinstance(self.model, KernelPhysics)
            return self.header.slopes(self.model, self.values(t, y), y)
        return self.model.derivatives(self.values(t, y), y)

    def diffusion(self, t: Tensor, y: Tensor) -> Tensor:
        """Diffusion coefficients (n, A) at times (A,) and states (n, A)."""
        return self.model.noise_coefficients(self.values(t, y), y)

    def observed(self, t: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Names that quantities may use: values, outputs and constants."""
        values = self.values(t, y)
        values.update(self.model.observe(values, y))
        for name, value in self.constants.items():
            values.setdefault(name, value.expand(y.shape[1]))
        return values

    def select(self, rows: Tensor) -> Interval:
        """The same interval for a choice of its rows."""
        return replace(
            self,
            parameters={name: take(value, rows) for name, value in self.parameters.items()},
            inputs={name: ramp.select(rows) for name, ramp in self.inputs.items()},
            constants={name: take(value, rows) for name, value in self.constants.items()},
        )


@final
class Forcing:
    """Boundaries in time and the interval each row is in, for a whole problem."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.sign = problem.direction
        self.header = header_of(problem.model, problem.y0.dtype)
        self.signals = {
            name: value for name, value in problem.inputs.items() if isinstance(value, Signal)
        }
        infinity = torch.full((1,), torch.inf, dtype=torch.float64, device=problem.t.device)
        self.knots: list[Tensor] = [signal.times.unsqueeze(0) for signal in self.signals.values()]
        # how much later the knots of a source come in each row, None where all rows share them
        self.delays: list[Tensor | None] = [signal.delay for signal in self.signals.values()]
        for change in problem.changes:
            at, until = change.at, infinity if change.until is None else change.until
            assert isinstance(at, Tensor) and isinstance(until, Tensor)
            rows = max(at.shape[0], until.shape[0])
            self.knots.append(torch.stack([at.expand(rows), until.expand(rows)], dim=1))
            self.delays.append(None)

    @property
    def constant(self) -> bool:
        """Whether nothing ever jumps."""
        return not self.knots

    def start(self, t: Tensor) -> Tensor:
        """Pointers (sources, B) of all rows at their times ``t`` (B,), ready to step on."""
        rows = torch.arange(t.shape[0], device=t.device)
        return self.behind(t, rows, including=self.sign > 0)

    def behind(self, t: Tensor, rows: Tensor, including: bool = True) -> Tensor:
        """How many knots of each source lie before times ``t`` (P,) of ``rows`` (P,).

        Args:
            t: Times, float64.
            rows: Row of each time.
            including: Count a knot at the time itself, so that values hold from their knot on.
        """
        pointers = torch.zeros((len(self.knots), t.shape[0]), dtype=torch.long, device=t.device)
        for source, knots in enumerate(self.knots):
            table, delay = knots.detach(), self.delays[source]
            if delay is not None:
                pointers[source] = _behind_delayed(table[0], take(delay, rows), t, including)
            elif table.shape[0] == 1:
                pointers[source] = torch.searchsorted(table[0], t.contiguous(), right=including)
            else:
                mine = table[rows]
                before = mine <= t[:, None] if including else mine < t[:, None]
                pointers[source] = before.sum(1)
        return pointers

    def next_knots(self, pointers: Tensor, rows: Tensor) -> list[Tensor]:
        """The next knot of every source, (A,) each; +-inf when there is none."""
        result = []
        for source, knots in enumerate(self.knots):
            index = pointers[source] if self.sign > 0 else pointers[source] - 1
            inside = (index >= 0) & (index < knots.shape[1])
            index = index.clamp(0, knots.shape[1] - 1)
            chosen = knots[0][index] if knots.shape[0] == 1 else knots[rows, index]
            delay = self.delays[source]
            if delay is not None:
                chosen = chosen + take(delay, rows)
            result.append(torch.where(inside, chosen, self.sign * torch.inf))
        return result

    def nearest(self, pointers: Tensor, rows: Tensor, end: Tensor) -> Tensor:
        """The next boundary of each row: a knot, or its ``end`` (A,)."""
        limit = end
        for knot in self.next_knots(pointers, rows):
            limit = torch.where(self.sign * knot < self.sign * limit, knot, limit)
        return limit.detach()

    def crossed(self, pointers: Tensor, rows: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Pointers after arriving at times ``t`` (A,), and which rows crossed a boundary."""
        step = 1 if self.sign > 0 else -1
        crossed = torch.zeros_like(t, dtype=torch.bool)
        # Again while there are hits: a change may end at the time at which it begins.
        while self.knots:
            hits = [knot.detach() == t for knot in self.next_knots(pointers, rows)]
            moved = torch.stack(hits)
            if not bool(moved.any()):
                break
            pointers, crossed = pointers + step * moved.long(), crossed | moved.any(0)
        return pointers, crossed

    def interval(self, pointers: Tensor, rows: Tensor) -> Interval:
        """What acts on ``rows`` (A,) given their pointers (sources, A)."""
        problem = self.problem
        inputs: dict[str, Ramp] = {}
        for source, (name, signal) in enumerate(self.signals.items()):
            inputs[name] = self._ramp(signal, pointers[source] - 1, rows)
        for name, value in problem.inputs.items():
            if isinstance(value, Tensor):
                inputs[name] = Ramp(take(value, rows), None, None)
        parameters = {name: take(value, rows) for name, value in problem.parameters.items()}
        for offset, change in enumerate(problem.changes):
            active = pointers[len(self.signals) + offset] == 1
            self._apply(change, active, rows, parameters, inputs)
        constants = {name: take(value, rows) for name, value in problem.constants.items()}
        return Interval(problem.model, parameters, inputs, constants, self.header)

    def _ramp(self, signal: Signal, index: Tensor, rows: Tensor) -> Ramp:
        last = signal.times.shape[0] - 1
        low = index.clamp(0, last)

        def pick(at: Tensor) -> Tensor:
            return signal.values[at] if signal.values.ndim == 1 else signal.values[rows, at]

        if signal.kind == "hold":
            return Ramp(pick(low), None, None)
        high = (low + 1).clamp(max=last)
        since = signal.times[low]
        width = torch.where(high > low, signal.times[high] - since, 1.0)
        slope = (pick(high) - pick(low)) / width.to(signal.values.dtype)
        if signal.delay is not None:
            # before the first delayed knot its value holds
            slope = torch.where(index < 0, 0.0, slope)
            since = since + take(signal.delay, rows)
        return Ramp(pick(low), slope, since)

    def _apply(
        self,
        change: Change,
        active: Tensor,
        rows: Tensor,
        parameters: dict[str, Tensor],
        inputs: dict[str, Ramp],
    ) -> None:
        assert isinstance(change.value, Tensor)
        value = take(change.value, rows)
        if change.target in parameters:
            before = parameters[change.target]
            after = _changed(change, before, value)
            parameters[change.target] = torch.where(active, after, before)
            return
        ramp = inputs[change.target]
        slope = ramp.slope
        if slope is not None:
            moved = {
                "set": torch.zeros_like(slope), "multiply": slope * value, "add": slope,
            }[change.action]  # fmt: skip
            slope = torch.where(active, moved, slope)
        after = _changed(change, ramp.value, value)
        inputs[change.target] = Ramp(torch.where(active, after, ramp.value), slope, ramp.since)


def _behind_delayed(knots: Tensor, delay: Tensor, t: Tensor, including: bool) -> Tensor:
    """How many of ``knots + delay`` lie before ``t``, by the sums that ``next_knots`` forms."""

    def counted(index: Tensor) -> Tensor:
        knot = knots[index.clamp(0, knots.shape[0] - 1)] + delay
        return knot <= t if including else knot < t

    behind = torch.searchsorted(knots, (t - delay).contiguous(), right=including)
    # t - delay is rounded otherwise than knot + delay, which may move a knot across
    behind = behind - ((behind > 0) & ~counted(behind - 1)).long()
    return behind + ((behind < knots.shape[0]) & counted(behind)).long()


def _changed(change: Change, before: Tensor, value: Tensor) -> Tensor:
    if change.action == "set":
        return value.expand(torch.broadcast_shapes(before.shape, value.shape))
    return before * value if change.action == "multiply" else before + value
