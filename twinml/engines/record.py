"""The accepted steps of a run: what a derivative along frozen steps needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor

from twinml.engines.stepper import AbstractStepper


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
    """

    rows: Tensor
    t: Tensor
    t1: Tensor
    h: Tensor
    clipped: Tensor
    y: Tensor
    noise: Tensor | None = None

    def select(self, index: Tensor | slice) -> Steps:
        """A choice of the steps, by numbers, mask or slice."""
        return Steps(
            self.rows[index], self.t[index], self.t1[index], self.h[index], self.clipped[index],
            self.y[:, index], None if self.noise is None else self.noise[:, index],
        )  # fmt: skip


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
            clipped=whole("clipped"), y=whole("y"),
            noise=self._noise(),
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
