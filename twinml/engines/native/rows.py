"""The state of all rows of a launch: where each is, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import final

import torch
from torch import Tensor

from twinml.engines.native.stamps import from_stamps, to_stamps
from twinml.solve.problem import Problem


@final
@dataclass(eq=False)
class RowState:
    """What lanes load and write back; everything has one entry a row.

    Args:
        t, origin, fail_time: Times as the kernel reads them.
        h: Next step; y: states (n, B).
        steps, rejected, status, grid: int64.
        bits: Width of numbers.
    """

    t: Tensor
    origin: Tensor
    fail_time: Tensor
    h: Tensor
    y: Tensor
    steps: Tensor
    rejected: Tensor
    status: Tensor
    grid: Tensor
    bits: int

    @staticmethod
    def of(problem: Problem, bits: int, reuse: bool = False) -> RowState:
        """The start of every row; ``reuse`` allows to overwrite the problem's own states.

        What no kernel of the problem reads takes no memory: adaptive steps have no grid, and
        without a path the grid begins where the row does, which is read before it moves.
        """
        rows, dtype, device = problem.rows, problem.y0.dtype, problem.y0.device
        first = problem.first
        h = torch.zeros(rows, dtype=dtype, device=device)
        if problem.h0 is not None:
            h.copy_(problem.h0)
        if problem.dt is not None:
            h.fill_(problem.dt)
        path = problem.path
        t = to_stamps(first, bits).clone(memory_format=torch.contiguous_format)
        origin = t if path is None else to_stamps(path.origin, bits).contiguous()
        ticks = rows if problem.dt is not None else 1
        grid = _counts(ticks, device) if path is None else path.cell.clone()
        y = problem.y0.detach()
        if not (reuse and y.is_contiguous()):
            y = y.clone(memory_format=torch.contiguous_format)
        return RowState(
            t=t,
            origin=origin,
            fail_time=to_stamps(
                torch.full((rows,), torch.nan, dtype=torch.float64, device=device), bits
            ),
            h=h,
            y=y,
            steps=_counts(rows, device),
            rejected=_counts(rows, device),
            status=_counts(rows, device),
            grid=grid,
            bits=bits,
        )

    def copy(self) -> RowState:
        """The same state in memory of its own."""
        values = {k: v.clone() for k, v in vars(self).items() if isinstance(v, Tensor)}
        return replace(self, **values)

    def restore(self, other: RowState) -> None:
        """Put the values of a copy back into this memory."""
        for name, value in vars(other).items():
            if isinstance(value, Tensor):
                getattr(self, name).copy_(value)

    @property
    def time(self) -> Tensor:
        """Where rows are, (B,) float64."""
        return from_stamps(self.t, self.bits)

    @property
    def failed_at(self) -> Tensor:
        """When rows failed, (B,) float64, nan where they did not."""
        return from_stamps(self.fail_time, self.bits)


def _counts(size: int, device: torch.device) -> Tensor:
    return torch.zeros(size, dtype=torch.int64, device=device)
