"""Extrema of a path: stationary points of the dense output."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import NODES, DenseStep
from twinml.engines.functionals import AbstractFunctional
from twinml.engines.rootfind import bracketed_root
from twinml.expression import Functional
from twinml.solve.problem import Problem


def reach(value: Tensor, rate: Tensor) -> Tensor:
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
        height = reach(value, rate)
        turning = ((rate[:-1] > 0) & (rate[1:] < 0) & (height > torch.maximum(best, old))).nonzero()
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
