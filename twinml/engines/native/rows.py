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
    def of(problem: Problem, bits: int) -> RowState:
        """The start of every row."""
        rows, dtype = problem.rows, problem.y0.dtype
        first = problem.first
        h = torch.zeros(rows, dtype=dtype)
        if problem.h0 is not None:
            h.copy_(problem.h0)
        if problem.dt is not None:
            h.fill_(problem.dt)
        path = problem.path
        begin = first if path is None else path.origin
        grid = torch.zeros(rows, dtype=torch.int64) if path is None else path.cell.clone()
        return RowState(
            t=to_stamps(first, bits).clone(memory_format=torch.contiguous_format),
            origin=to_stamps(begin, bits).contiguous(),
            fail_time=to_stamps(torch.full((rows,), torch.nan, dtype=torch.float64), bits),
            h=h,
            y=problem.y0.detach().clone(memory_format=torch.contiguous_format),
            steps=torch.zeros(rows, dtype=torch.int64),
            rejected=torch.zeros(rows, dtype=torch.int64),
            status=torch.zeros(rows, dtype=torch.int64),
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
