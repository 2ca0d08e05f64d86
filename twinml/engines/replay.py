"""The recorded steps once more, with gradients.

The derivative is that of the numerical map with its step sequence frozen: step sizes and
acceptance are constants. Rejected trials are not in the graph, so a trial that left the
domain cannot turn a gradient into nan.
"""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep, rest
from twinml.engines.events import EventLog, reset_states
from twinml.engines.forcing import Forcing
from twinml.engines.quantities import Quantities
from twinml.engines.record import Record, Steps
from twinml.engines.saltation import located
from twinml.engines.saving import Trajectory
from twinml.engines.stepper import AbstractStepper
from twinml.solve.problem import Problem


def replay(
    problem: Problem, records: list[Record], sinks: list[Trajectory | Quantities], log: EventLog
) -> tuple[Tensor, Tensor]:
    """Run recorded phases and feed the sinks.

    Args:
        problem: The problem, with the tensors gradients are wanted for.
        records: One per phase, as the loop recorded them.
        sinks: Receive every step, as in the loop.
        log: Receives the events.

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
            _show(step, part, sinks)
            if not forcing.constant and bool(part.clipped.any()):
                index, _ = forcing.crossed(index, rows, part.t1)
                pointers = pointers.index_copy(1, rows, index)
            t = t.index_copy(0, rows, step.t1)
            y = y.index_copy(1, rows, onward(forcing, step, part, rows, index))
            if part.ends is not None:
                happens = (part.ends.event >= 0).nonzero()[:, 0]
                if happens.shape[0]:
                    log.add(part.ends.event[happens], rows[happens], step.t1[happens])
    return t, y


def _show(step: DenseStep, part: Steps, sinks: list[Trajectory | Quantities]) -> None:
    """Hand a step to the sinks, without the rows they do not see."""
    ends = part.ends
    if ends is not None:
        step.jumps, step.stops = ends.jumps, ends.stops
        if not bool(ends.shown.all()):
            step = step.select(ends.shown.nonzero()[:, 0])
    for sink in sinks:
        sink.add(step)


def onward(
    forcing: Forcing, step: DenseStep, part: Steps, rows: Tensor, pointers: Tensor
) -> Tensor:
    """States (n, M) with which the rows go on after a step: after the reset of its event.

    Args:
        forcing: Of the problem.
        step: The step, as ``again`` gives it.
        part: Its record.
        rows: Row of the problem for each step, (M,).
        pointers: Interval behind each step, (sources, M).
    """
    if part.ends is None or bool((part.ends.event < 0).all()):
        return step.y1
    at = forcing.interval(pointers, rows)
    return reset_states(at, step.t1, step.y1, part.ends.event)[0]


def again(
    problem: Problem, forcing: Forcing, stepper: AbstractStepper, steps: Steps, rows: Tensor,
    pointers: Tensor, t: Tensor, y: Tensor, announce: bool = True,
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
        announce: Warn of events whose time has no derivative.
    """
    there = steps.t1 if steps.ends is None else steps.ends.reach
    if bool(steps.clipped.any()):
        # An arrival at a change carries the gradient of the change's time.
        for knot in forcing.next_knots(pointers, rows):
            there = torch.where(steps.clipped & (knot.detach() == there), knot, there)
    # A free arrival moves with its start: the step size is frozen.
    there = torch.where(steps.clipped, there, there + (t - t.detach()))
    width = problem.direction * steps.h + (there - there.detach()) - (t - t.detach())
    at = forcing.interval(pointers, rows)
    trial = stepper.step(at, t, there, width, y, None, estimate=False, noise=steps.noise)
    step = DenseStep(rows, t, there, width, y, trial.y, trial.stages, at, stepper)
    return step if steps.ends is None else located(step, steps.t1, steps.ends, announce)
