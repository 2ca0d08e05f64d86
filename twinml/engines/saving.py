"""Trajectories at the save points, filled step by step from the dense output."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep
from twinml.engines.record import Steps
from twinml.solve.problem import Problem


@final
class Trajectory:
    """Collects states at the save points of every row; what no step reached stays nan."""

    def __init__(self, problem: Problem) -> None:
        self.sign = problem.direction
        self.t = self.sign * problem.t
        self.shape = (problem.y0.shape[0], problem.rows, problem.t.shape[-1])
        self.dtype = problem.y0.dtype
        self.pieces: list[tuple[Tensor, Tensor, Tensor]] = []
        rows = torch.arange(problem.rows, device=problem.t.device)
        self.done = self._upto(rows, self.sign * problem.first)
        owner, column = self.at_start()
        self.pieces.append((problem.y0[:, owner], owner, column))

    def _upto(self, rows: Tensor, t: Tensor, jumps: Tensor | None = None) -> Tensor:
        """How many save points of each row lie at or before ``t``, before it where ``jumps``."""
        if jumps is not None and bool(jumps.any()):
            t = torch.where(jumps, torch.nextafter(t, torch.full_like(t, -torch.inf)), t)
        if self.t.ndim == 1:
            return torch.searchsorted(self.t, t.contiguous(), right=True)
        return torch.searchsorted(self.t[rows], t.unsqueeze(1), right=True)[:, 0]

    def _pairs(self, begin: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
        """Flat (position, save point) pairs for the half-open ranges begin..end."""
        count = end - begin
        positions = torch.arange(count.shape[0], device=count.device)
        owner = torch.repeat_interleave(positions, count)
        first = torch.repeat_interleave(torch.cumsum(count, 0) - count, count)
        column = torch.arange(owner.shape[0], device=count.device) - first + begin[owner]
        return owner, column

    def at_start(self) -> tuple[Tensor, Tensor]:
        """Rows and columns of the save points at the first time (before any step is added)."""
        return self._pairs(torch.zeros_like(self.done), self.done)

    def covered(self, steps: Steps, seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Save points that recorded steps cover, as ``add`` takes them.

        Args:
            steps: The steps, those of a row in the order taken.
            seen: Save points of each row before the first of them, (B,); brought up to date.

        Returns:
            Number of the step, column and time of each save point, (P,).
        """
        jumps = None if steps.ends is None else steps.ends.jumps
        end = self._upto(steps.rows, self.sign * steps.t1, jumps)
        order = torch.argsort(steps.rows, stable=True)
        mine, before = steps.rows[order], seen[steps.rows[order]]
        follows = (mine[1:] == mine[:-1]).nonzero()[:, 0] + 1
        before[follows] = end[order][follows - 1]
        begin = torch.empty_like(end)
        begin[order] = before
        seen.scatter_reduce_(0, steps.rows, end, "amax")
        owner, column = self._pairs(begin, end)
        rows = steps.rows[owner]
        return (
            owner,
            column,
            self.sign * (self.t[column] if self.t.ndim == 1 else self.t[rows, column]),
        )

    def add(self, step: DenseStep) -> None:
        """Take the save points that an accepted step covers."""
        begin = self.done[step.rows]
        end = self._upto(step.rows, self.sign * step.t1.detach(), step.jumps)
        hit = (end > begin).nonzero()[:, 0]
        if hit.shape[0] == 0:
            return
        self.done[step.rows[hit]] = end[hit]
        part = step.select(hit)
        owner, column = self._pairs(begin[hit], end[hit])
        rows = part.rows[owner]
        target = self.sign * (self.t[column] if self.t.ndim == 1 else self.t[rows, column])
        at_end = target == part.t1.detach()[owner]
        inside = (~at_end).nonzero()[:, 0]
        states = part.y1[:, owner]
        if inside.shape[0]:
            _ = part.coefficients  # once per step, before rows are repeated per save point
            repeated = part.select(owner[inside])
            theta = (target[inside] - repeated.t) / repeated.h
            states = states.index_copy(1, inside, repeated.states(theta))
        self.pieces.append((states, rows, column))

    def result(self) -> Tensor:
        """States (n, B, T)."""
        base = torch.full(self.shape, torch.nan, dtype=self.dtype, device=self.t.device)
        values = torch.cat([piece[0] for piece in self.pieces], dim=1)
        rows = torch.cat([piece[1] for piece in self.pieces])
        columns = torch.cat([piece[2] for piece in self.pieces])
        flat = rows * self.shape[2] + columns
        return base.view(self.shape[0], -1).index_copy(1, flat, values).view(self.shape)
