"""The native engine: the model's equations lowered, compiled and stepped on the CPU.

Each method is one kernel; a row that turns stiff is handed over to the next by its state in
memory. Gradients of explicit methods follow the steps backward (gradient.py); where kernels have
none, the eager engine runs.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import final

import numpy
import torch

from twinml.engines.base import AbstractEngine, Outcome
from twinml.engines.derivatives import methods_for
from twinml.engines.native.equations import equations
from twinml.engines.native.events import room_for_events
from twinml.engines.native.fragments import fragments
from twinml.engines.native.gradient import gradient_run, no_gradient
from twinml.engines.native.launch import Launch
from twinml.engines.native.moving import MovingMemory
from twinml.engines.native.plan import kernel_for, moving_spec, spec_for
from twinml.engines.native.recording import recorded_run
from twinml.engines.native.rows import RowState
from twinml.engines.record import Record
from twinml.engines.stepper import stepper_for
from twinml.engines.transforms import transform_of
from twinml.errors import ArgumentError, DerivativeError, LoweringError
from twinml.solve.methods import method_named
from twinml.solve.problem import LaneState, Problem
from twinml.solve.status import FAILURE

_STIFF = 1 << 30  # kernels/control.h: hand the row over


@final
class NativeEngine(AbstractEngine):
    """Generated kernels on the CPU."""

    name = "native"

    def obstacle(self, problem: Problem, gradient: str) -> str | None:
        """Why a problem cannot run here, or None."""
        if sys.platform == "win32":
            return "the kernels are built for Linux and macOS, and this is Windows"
        if problem.y0.device.type != "cpu":
            return f"the rows lie on {problem.y0.device}, and the kernels run on the CPU"
        if gradient == "adjoint":
            return "gradient='adjoint' belongs to the eager engine"
        reason = transform_of(problem)
        if reason is not None:
            return reason
        reason = no_gradient(problem) if problem.differentiable() else None
        if reason is not None:
            return f"{reason} (torch.no_grad() would say that none is needed)"
        return room_for_events(problem)

    def run(self, problem: Problem, method: str, gradient: str) -> Outcome:
        reason = self.obstacle(problem, gradient)
        if reason is not None:
            raise ArgumentError(
                f"engine='native' cannot run this: {reason}. Use engine='eager', or engine='auto' "
                "to choose what can."
            )
        if problem.differentiable():
            return gradient_run(problem, method)
        with torch.no_grad():
            return _run(problem, method)

    def recorded(self, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
        """As ``run``, with the accepted steps of each method; for models without events or noise.

        Raises:
            LoweringError, NoCompilerError, CompileError: no kernel can be made.
        """
        with torch.no_grad():
            records: list[Record] = []
            return _run(problem, method, records), records

    def moved(self, problem: Problem, method: str, memory: MovingMemory) -> Outcome:
        """As ``run``, with the derivatives along the directions of one pass in ``memory``.

        Raises:
            LoweringError, NoCompilerError, CompileError: no kernel can be made.
        """
        with torch.no_grad():
            return _run(problem, method, memory=memory)


def _run(
    problem: Problem, method: str, records: list[Record] | None = None,
    memory: MovingMemory | None = None,
) -> Outcome:  # fmt: skip
    bits = 64 if problem.y0.dtype == torch.float64 else 32
    lowered = equations(problem)
    methods = methods_for(problem, method, derived=records is not None or memory is not None)
    # With more than one kernel to come, a second one that cannot be made leaves the problem to the
    # eager engine, from its start.
    state = RowState.of(
        problem, bits,
        reuse=problem.disposable and len(methods) == 1 and records is None and memory is None,
    )  # fmt: skip
    launch = Launch(problem, state, bits, lowered.read(problem.y0.dtype), memory)
    names: numpy.ndarray | str = methods[0]
    rows, reports = None, []
    for phase, name in enumerate(methods):
        spec = spec_for(problem, name, phase + 1 < len(methods), records is not None)
        if memory is not None:
            spec = moving_spec(spec, memory.moving)
        try:
            kernel = kernel_for(lowered, spec, *fragments(problem, lowered))
        except DerivativeError as error:
            # Of a header whose twin torch can derive, and no kernel.
            raise LoweringError(lowered.twinless or str(error)) from error
        if records is None:
            reports.append(launch.run(kernel, rows))
        else:
            report, steps = recorded_run(launch, kernel, rows)
            reports.append(report)
            stepper = stepper_for(method_named(name), problem.dt is not None)
            records.append(Record(stepper, [steps] if steps.rows.shape[0] else []))
        if phase + 1 == len(methods):
            break
        stiff = (state.status & _STIFF).nonzero()[:, 0]
        if stiff.shape[0] == 0:
            break
        state.status[stiff] &= ~_STIFF
        rows = stiff
        if isinstance(names, str):
            names = numpy.full(problem.rows, names, dtype=object)
        names[rows.numpy()] = methods[phase + 1]
    path = None if problem.path is None else replace(problem.path, cell=state.grid)
    failed = (state.status & int(FAILURE)) != 0
    states = launch.states
    if problem.keep == "final":
        end = torch.where(failed, torch.nan, state.y) if bool(failed.any()) else state.y
        states = end.unsqueeze(-1)
    outputs = None if states is None else launch.observe(kernel, states)
    if not isinstance(names, str) and len(set(names)) == 1:
        names = names[0]
    book, quantities = launch.events, {}
    if launch.quantities is not None:
        found = launch.quantities.result(problem)
        quantities = {name: torch.where(failed, torch.nan, v) for name, v in found.items()}
    return Outcome(
        states=states, outputs=outputs, quantities=quantities,
        status=state.status, fail_time=state.failed_at,
        steps=state.steps, rejected=state.rejected, method=names,
        state=LaneState(
            state.time, state.y, state.h.to(torch.float64), path,
            book and book.side, book and book.near.to(torch.float64),
        ),
        events={} if book is None else book.times_by_event(problem),
        kernels=tuple(reports),
    )  # fmt: skip
