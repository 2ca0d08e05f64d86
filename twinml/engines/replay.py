"""The recorded steps once more, with gradients.

The derivative is that of the numerical map with its step sequence frozen: step sizes and
acceptance are constants. Rejected trials are not in the graph, so a trial that left the
domain cannot turn a gradient into nan.
"""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep, rest
from twinml.engines.forcing import Forcing
from twinml.engines.quantities import Quantities
from twinml.engines.record import Record, Steps
from twinml.engines.saving import Trajectory
from twinml.engines.stepper import AbstractStepper
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
    pointers = forcing.start(t)
    still = (problem.first == problem.last).nonzero()[:, 0]
    if still.shape[0] and sinks:
        at = forcing.interval(pointers[:, still], still)
        step = rest(still, t[still], y[:, still], at)
        for sink in sinks:
            sink.add(step)
    for record in records:
        if not record.taken:
            continue
        steps, sizes = record.in_row_order()
        start = 0
        for size in sizes:
            part = steps.select(slice(start, start + size))
            start += size
            rows = part.rows
            index = pointers[:, rows]
            step = again(problem, forcing, record.stepper, part, rows, index, t[rows], y[:, rows])
            for sink in sinks:
                sink.add(step)
            t, y = t.index_copy(0, rows, step.t1), y.index_copy(1, rows, step.y1)
            if not forcing.constant and bool(part.clipped.any()):
                moved, _ = forcing.crossed(index, rows, part.t1)
                pointers = pointers.index_copy(1, rows, moved)
    return t, y


def again(
    problem: Problem, forcing: Forcing, stepper: AbstractStepper, steps: Steps, rows: Tensor,
    pointers: Tensor, t: Tensor, y: Tensor,
) -> DenseStep:  # fmt: skip
    """Recorded steps from given starts, with the value of the record and the gradient of both ends.

    Args:
        problem: Where the tensors that gradients are wanted for come from.
        forcing: Of the problem.
        stepper: The method that took the steps.
        steps: The record.
        rows: Row of ``problem`` for each step, (M,).
        pointers: Interval of each step, (sources, M).
        t, y: Starts (M,) and (n, M), which may carry gradients.
    """
    there = steps.t1
    if bool(steps.clipped.any()):
        # An arrival at a change carries the gradient of the change's time.
        for knot in forcing.next_knots(pointers, rows):
            there = torch.where(steps.clipped & (knot.detach() == steps.t1), knot, there)
    # A free arrival moves with its start: the step size is frozen.
    there = torch.where(steps.clipped, there, there + (t - t.detach()))
    width = problem.direction * steps.h + (there - there.detach()) - (t - t.detach())
    at = forcing.interval(pointers, rows)
    trial = stepper.step(at, t, there, width, y, None, estimate=False, noise=steps.noise)
    return DenseStep(rows, t, there, width, y, trial.y, trial.stages, at, stepper)
