"""Gradients through kernels: a run that is taped, and a torch function that follows it backward.

The derivative is that of the numerical map with its step sequence frozen. Only states have one
here; outputs are evaluated by torch on the states, and so carry their own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.derivatives import methods_for
from twinml.engines.native.equations import equations
from twinml.engines.native.forward_gradient import forward_gradient
from twinml.engines.native.launch import Launch
from twinml.engines.native.once import refused_again
from twinml.engines.native.own import owned, owned_tensors
from twinml.engines.native.plan import kernel_for, spec_for
from twinml.engines.native.reverse import Backward, Derivatives, reverse_kernel, tree
from twinml.engines.native.rows import RowState
from twinml.engines.native.tape import Tape
from twinml.errors import NoGradientError
from twinml.lowering import Lowered
from twinml.lowering.adjoint import Wanted
from twinml.lowering.check_adjoint import check_adjoint
from twinml.lowering.program import Linear, Load, Program, Table
from twinml.physics import Signal
from twinml.solve.kernel import KernelReport
from twinml.solve.methods import method_named
from twinml.solve.problem import LaneState, Problem
from twinml.solve.status import FAILURE
from twinml.solve.tableau import ButcherTableau

_STIFF = 1 << 30  # kernels/control.h: hand the row over


def no_gradient(problem: Problem) -> str | None:
    """Why kernels have no derivative of a problem, whatever the method; None where they may."""
    if problem.keep == "quantities":
        return "a gradient of quantities is asked for, and kernels have that of states only"
    if problem.model.declared.events:
        return "a gradient is asked for and the model has events, which kernels have none across"
    if problem.path is not None:
        return "a gradient is asked for and the model has noise, which kernels have none along"
    for name, value in problem.inputs.items():
        if isinstance(value, Signal) and value.times.requires_grad:
            return f"a gradient by the knots' times of input '{name}' is asked for"
    return None


def _forward_alone(problem: Problem, method: str) -> str | None:
    """Why a problem cannot be followed backward from the start, or None."""
    for change in problem.changes:
        for time in (change.at, change.until):
            if isinstance(time, Tensor) and time.requires_grad:
                return f"the time of a change of '{change.target}' is among what it is asked by"
    if not isinstance(method_named(method), ButcherTableau):
        return f"method='{method}' is implicit"
    return None


@final
class _TurnedStiffError(Exception):
    """Rows of a taped run turned stiff."""


@final
class Leaves:
    """The tensors that a run may have a derivative by, and how it is found.

    Args:
        problem: The run.
        lowered: The model's programs.
    """

    def __init__(self, problem: Problem, lowered: Lowered) -> None:
        self.tensors: list[Tensor] = []
        self._parts: list[Callable[[Derivatives], Tensor]] = []
        declared = problem.model.declared
        parameters, inputs = list(declared.parameters), list(declared.inputs)
        p, u, w = set[int](), set[int](), set[int]()
        self.signals = set[str]()

        def column(kind: str, place: int | str) -> Callable[[Derivatives], Tensor]:
            return lambda d: getattr(d, kind)[place]

        if problem.y0.requires_grad:
            self._add(problem.y0, lambda d: d.states)
        for place, name in enumerate(parameters):
            if problem.parameters[name].requires_grad:
                p.add(place)
                self._add(problem.parameters[name], column("parameters", place))
        for place, name in enumerate(inputs):
            value = problem.inputs[name]
            if isinstance(value, Tensor) and value.requires_grad:
                u.add(place)
                self._add(value, column("inputs", place))
            elif isinstance(value, Signal) and value.values.requires_grad:
                u.add(place)
                self.signals.add(name)
                self._add(value.values, column("signals", name))
        for place, change in enumerate(problem.changes):
            value = change.value
            if isinstance(value, Tensor) and value.requires_grad:
                target = change.target
                (p if target in parameters else u).add(
                    (parameters if target in parameters else inputs).index(target)
                )
                self._add(value, column("changes", place))
        program = lowered.followed()
        if program is None:
            raise NoGradientError(
                "A gradient is asked for of a right-hand side in a header without rhs in torch "
                "beside it, which kernels cannot follow backward. Use engine='eager', or write it."
            )
        read, knots = _tensors_read(program)
        for place, ref in enumerate(lowered.tensors):
            if not ref.tensor.requires_grad:
                continue
            if place in knots:
                raise NoGradientError(
                    f"A gradient by the knots of a table is asked for ('{ref.path}'), which "
                    "kernels have none by. Use engine='eager', or keep them as a buffer."
                )
            if place in read:
                w.add(place)
                self._add(ref.tensor, column("tensors", place))
        self.wanted = Wanted(tuple(sorted(p)), tuple(sorted(u)), tuple(sorted(w)))

    def _add(self, tensor: Tensor, part: Callable[[Derivatives], Tensor]) -> None:
        self.tensors.append(tensor)
        self._parts.append(part)

    def gradients(self, found: Derivatives) -> list[Tensor]:
        """One for each of ``tensors``, of its shape and dtype."""
        result = []
        for tensor, part in zip(self.tensors, self._parts, strict=True):
            value = part(found)
            if tensor.ndim == 1 and tensor.shape[0] == 1 and value.ndim == 1:
                value = tree(value.to(torch.float64)).reshape(1)  # shared by all rows
            result.append(value.reshape(tensor.shape).to(tensor.dtype))
        return result


def _tensors_read(program: Program) -> tuple[set[int], set[int]]:
    """Numbers of the tensors that a program reads, and of those that are knots of tables."""
    read, knots = set[int](), set[int]()
    for node in program.nodes:
        match node:
            case Linear():
                read |= {node.weight} | ({node.bias} if node.bias is not None else set())
            case Load():
                read.add(node.tensor)
            case Table():
                read.add(node.values)
                knots.add(node.knots)
    return read, knots


@final
class TapedRun:
    """A run that has been taped, and what it takes to follow it backward."""

    def __init__(
        self, launch: Launch, tape: Tape, backward: Backward, leaves: Leaves, good: Tensor | None
    ) -> None:
        self.launch, self.tape, self.backward = launch, tape, backward
        self.leaves, self.good = leaves, good

    def follow(self, seeds: Tensor | None, ends: Tensor | None) -> list[Tensor]:
        """Gradients of the leaves, from those of the saved states and of the states at the end."""
        dtype = self.launch.problem.y0.dtype
        seeds, ends = (None if g is None else g.to(dtype).contiguous() for g in (seeds, ends))
        return self.leaves.gradients(self.backward.run(self.good, seeds, ends))


class _Follow(torch.autograd.Function):
    """States of a taped run as a function of its leaves."""

    @staticmethod
    def forward(
        ctx: Any, run: TapedRun, end: Tensor, states: Tensor | None, *leaves: Tensor
    ) -> Any:
        ctx.run = run
        ctx.set_materialize_grads(False)
        # The kernel reads them where they are: torch then tells when one was changed meanwhile.
        ctx.save_for_backward(*leaves)
        return (end,) if states is None else (end, states)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        leaves = ctx.saved_tensors
        ends, seeds = gradients[0], gradients[1] if len(gradients) > 1 else None
        if ends is None and seeds is None:
            return (None,) * (3 + len(leaves))
        with torch.no_grad():
            found = ctx.run.follow(seeds, ends)
        return None, None, None, *refused_again(found, leaves, gradients)


def gradient_run(problem: Problem, method: str, every: int | None = None) -> Outcome:
    """A run whose states can be differentiated, once.

    Args:
        problem: With tensors that ask for a gradient.
        method: As in ``simulate``.
        every: Steps from one kept state to the next; None to plan it by what is free.

    Raises:
        NoGradientError: kernels have no such derivative.
        LoweringError, NoCompilerError, CompileError: no kernel can be made.
    """
    first = methods_for(problem, method)[0]
    reason = _forward_alone(problem, first)
    if reason is not None:
        return forward_gradient(problem, method, reason)
    try:
        with torch.no_grad():
            lowered = equations(problem)
            leaves = Leaves(problem, lowered)
            outcome, run = _taped(problem, method, lowered, leaves, every)
    except _TurnedStiffError as error:
        return forward_gradient(problem, method, str(error))
    if not leaves.tensors:
        return outcome
    assert outcome.states is not None
    failed = (outcome.status & int(FAILURE)) != 0
    final = problem.keep == "final"
    found: Sequence[Tensor] = _Follow.apply(
        run, outcome.state.y.clone(), None if final else outcome.states, *leaves.tensors
    )  # type: ignore[assignment]
    end = found[0]
    states = torch.where(failed, torch.nan, end).unsqueeze(-1) if final else found[1]
    return outcome.replace(states=states, state=replace(outcome.state, y=end))


def _taped(
    problem: Problem, method: str, lowered: Lowered, leaves: Leaves, every: int | None
) -> tuple[Outcome, TapedRun]:
    bits = 64 if problem.y0.dtype == torch.float64 else 32
    names = methods_for(problem, method)
    hand_over = len(names) > 1
    spec = replace(spec_for(problem, names[0], hand_over, False), outputs=0, tape=True)
    kernel = kernel_for(lowered, spec, None, None)
    # Made before the run: where it cannot be, another engine takes the problem from its start.
    check_adjoint(problem.model, lowered, leaves.wanted)
    back = reverse_kernel(lowered, replace(spec, registers=1), leaves.wanted)
    state = RowState.of(problem, bits)
    # What the way back reads again must be what the run read.
    weights = owned_tensors(lowered, lowered.read(problem.y0.dtype))
    launch = Launch(owned(problem), state, bits, weights)
    tape = Tape(launch, spec.plain, every)
    report = tape.run(kernel)
    stiff = (state.status & _STIFF) != 0
    if bool(stiff.any()):
        raise _TurnedStiffError(f"{int(stiff.sum())} rows turned stiff")
    outcome = _outcome(problem, launch, names[0], report)
    failed = (state.status & int(FAILURE)) != 0
    good = None
    if not spec.plain:
        good = (~failed).nonzero()[:, 0]
        # Rows of about as many steps side by side; equal ones stay in their order.
        good = good[torch.argsort(tape.taken[good], stable=True)]
    elif bool(failed.any()):
        good = (~failed).nonzero()[:, 0]
    backward = Backward(launch, tape, back, frozenset(leaves.signals))
    return outcome, TapedRun(launch, tape, backward, leaves, good)


def _outcome(problem: Problem, launch: Launch, name: str, report: KernelReport) -> Outcome:
    state = launch.state
    failed = (state.status & int(FAILURE)) != 0
    states = launch.states
    if problem.keep == "final":
        states = torch.where(failed, torch.nan, state.y).unsqueeze(-1)
    return Outcome(
        states=states, quantities={}, status=state.status, fail_time=state.failed_at,
        steps=state.steps, rejected=state.rejected, method=name,
        state=LaneState(state.time, state.y, state.h.to(torch.float64)), kernels=(report,),
    )  # fmt: skip
