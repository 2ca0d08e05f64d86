"""The accepted steps of a run: what a derivative along frozen steps needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from twinml.engines.stepper import AbstractStepper


@final
@dataclass(frozen=True, eq=False)
class Ends:
    """How steps of a model with events ended, one entry each.

    Args:
        reach: Arrival of the step as tried, (M,), float64.
        theta: Where it was cut, 1 where it was not, (M,), float64.
        event: The event that happens at the arrival, -1 for none, (M,).
        located: Whether the event is a root inside the step; else it follows another one or a
            boundary at the same instant, (M,).
        jumps, stops: As in ``DenseStep``, (M,).
        shown: Whether save points and quantities see the step, (M,).
    """

    reach: Tensor
    theta: Tensor
    event: Tensor
    located: Tensor
    jumps: Tensor
    stops: Tensor
    shown: Tensor

    def select(self, index: Tensor | slice) -> Ends:
        """A choice of the steps, by numbers, mask or slice."""
        return Ends(**{name: value[index] for name, value in vars(self).items()})


@final
@dataclass(frozen=True, eq=False)
class Steps:
    """Some accepted steps, one column each.

    Args:
        rows: Row that stepped, (M,).
        t, t1: Start and arrival, (M,), float64.
        h: Step size without sign, (M,), float64.
        clipped: Whether the arrival is a boundary, (M,).
        y: States at the start, (n, M).
        noise: Increments of the Brownian path, (n, M), or None without noise.
        ends: How they ended; None for a model without events.
    """

    rows: Tensor
    t: Tensor
    t1: Tensor
    h: Tensor
    clipped: Tensor
    y: Tensor
    noise: Tensor | None = None
    ends: Ends | None = None

    def select(self, index: Tensor | slice) -> Steps:
        """A choice of the steps, by numbers, mask or slice."""
        return Steps(
            self.rows[index], self.t[index], self.t1[index], self.h[index], self.clipped[index],
            self.y[:, index], None if self.noise is None else self.noise[:, index],
            None if self.ends is None else self.ends.select(index),
        )  # fmt: skip


def instant(rows: Tensor, t: Tensor, y: Tensor, event: Tensor, stops: Tensor) -> Steps:
    """Steps of no length: an event that follows at the same instant, or with -1 the end of a path.

    Args:
        rows, event: (M,).
        t, y: Time (M,) and states before the event (n, M).
        stops: Whether an event ended the row, (M,).
    """
    happens = event >= 0
    never = torch.zeros_like(happens)
    ends = Ends(t, torch.ones_like(t), event, never, happens, stops, ~happens)
    return Steps(rows, t, t, torch.zeros_like(t), never, y, ends=ends)


@final
@dataclass
class Record:
    """Accepted steps of one phase, in the order taken.

    Args:
        stepper: The method of the phase.
        taken: One entry per iteration of the loop.
    """

    stepper: AbstractStepper
    taken: list[Steps] = field(default_factory=list)

    def without(self, lost: Tensor) -> Record:
        """The record without the rows that ``lost`` (B,) marks."""
        kept = [steps.select(~lost[steps.rows]) for steps in self.taken]
        return Record(self.stepper, [steps for steps in kept if steps.rows.shape[0]])

    def in_row_order(self) -> tuple[Steps, list[int]]:
        """All steps, the first of every row before the second of any, and how many of each.

        Rows that rejected trials then do not lag behind the others.
        """

        def whole(name: str) -> Tensor:
            return torch.cat([getattr(entry, name) for entry in self.taken], dim=-1)

        steps = Steps(
            rows=whole("rows"), t=whole("t"), t1=whole("t1"), h=whole("h"),
            clipped=whole("clipped"), y=whole("y"), noise=self._noise(), ends=self._ends(),
        )  # fmt: skip
        rows = steps.rows
        order = torch.argsort(rows, stable=True)
        count = torch.bincount(rows)
        start = torch.cumsum(count, 0) - count
        ordinal = torch.empty_like(rows)
        ordinal[order] = torch.arange(rows.shape[0], device=rows.device) - start[rows[order]]
        by_step = torch.argsort(ordinal, stable=True)
        return steps.select(by_step), torch.bincount(ordinal).tolist()

    def _noise(self) -> Tensor | None:
        """Increments of all steps; one without any stands still."""
        if all(entry.noise is None for entry in self.taken):
            return None
        parts = [torch.zeros_like(e.y) if e.noise is None else e.noise for e in self.taken]
        return torch.cat(parts, dim=-1)

    def _ends(self) -> Ends | None:
        parts = [vars(entry.ends) for entry in self.taken if entry.ends is not None]
        if not parts:
            return None
        return Ends(**{name: torch.cat([part[name] for part in parts]) for name in parts[0]})
