"""The recorded steps once more, with gradients.

The derivative is that of the numerical map with its step sequence frozen: step sizes and
acceptance are constants. Rejected trials are not in the graph, so a trial that left the
domain cannot turn a gradient into nan.
"""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep
from twinml.engines.forcing import Forcing
from twinml.engines.lanes import Record
from twinml.engines.quantities import Quantities
from twinml.engines.saving import Trajectory
from twinml.solve.problem import Problem


def replay(
    problem: Problem, records: list[Record], sinks: list[Trajectory | Quantities]
) -> tuple[Tensor, Tensor]:
    """Run recorded phases and feed the sinks.

    Args:
        problem: The problem, with the tensors gradients are wanted for.
        records: One per phase, as the loop recorded them.
        sinks: Receive every step, as in the loop.

    Returns:
        Final times (B,) and states (n, B).
    """
    forcing = Forcing(problem)
    t, y = problem.first.clone(), problem.y0
    pointers = forcing.start(t.detach())
    for record in records:
        if not record.taken:
            continue
        for rows, h, t1, clipped in _in_row_order(record):
            here, there = t[rows], t1
            index = pointers[:, rows]
            if clipped.any():
                # An arrival at a change carries the gradient of the change's time.
                for knot in forcing.next_knots(index, rows):
                    there = torch.where(clipped & (knot.detach() == t1), knot, there)
            free = here + problem.direction * h
            there = torch.where(clipped, there, free)
            # Value of the recorded step, gradient of both ends.
            width = problem.direction * h + (there - there.detach()) - (here - here.detach())
            at = forcing.interval(index, rows)
            start = y[:, rows]
            trial = record.stepper.step(at, here, there, width, start, None, estimate=False)
            step = DenseStep(
                rows, here, there, width, start, trial.y, trial.stages, at, record.stepper
            )
            for sink in sinks:
                sink.add(step)
            t, y = t.index_copy(0, rows, there), y.index_copy(1, rows, trial.y)
            moved, _ = forcing.crossed(index, rows, there.detach())
            pointers = pointers.index_copy(1, rows, moved)
    return t, y


def _in_row_order(record: Record) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """The k-th step of every row together, so that rows which rejected trials do not lag."""
    rows = torch.cat([entry[0] for entry in record.taken])
    parts = [torch.cat([entry[k] for entry in record.taken]) for k in (1, 2, 3)]
    order = torch.argsort(rows, stable=True)
    count = torch.bincount(rows)
    start = torch.cumsum(count, 0) - count
    ordinal = torch.empty_like(rows)
    ordinal[order] = torch.arange(rows.shape[0], device=rows.device) - start[rows[order]]
    by_step = torch.argsort(ordinal, stable=True)
    sizes = torch.bincount(ordinal).tolist()
    groups = torch.split(by_step, sizes)
    return [(rows[g], parts[0][g], parts[1][g], parts[2][g]) for g in groups]
