"""Derivatives of a simulation along given directions, by generated kernels.

They are those of the numerical map with its steps frozen. Directions are followed in passes of 1, 2
or 4 side by side; each pass takes the steps anew, which are the same in every bit.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.native.engine import NativeEngine
from twinml.engines.native.moving import MovingMemory, moving_for
from twinml.engines.seeds import ChangeSeed, Seeds
from twinml.errors import ArgumentError
from twinml.solve.problem import Problem
from twinml.solve.status import FAILURE

if TYPE_CHECKING:
    from twinml.engines.cuda.engine import CudaEngine

__all__ = ["ChangeSeed", "Seeds", "tangent_obstacle", "tangent_run"]

# Most directions of a pass, by the most states they are for. On two AVX2 cores a direction of four
# side by side took 0.8 to 1.5 times the run without derivatives, of two 1.0 to 2.0, of one 1.5 to
# 3.1, whatever the model (2 to 40 states, tsit5 and rodas5p); above 16 states the kernel of four
# took twice the time to compile, 4 to 7 s. A thread of a GPU has registers for two.
_WIDEST = {16: 4}
_WIDE = 2


def tangent_obstacle(problem: Problem, engine: str | None = None) -> str | None:
    """Why kernels cannot take a problem's derivatives, or None; ``engine`` as below."""
    if problem.path is not None:
        return "kernels follow no derivatives along a Brownian path"
    if problem.keep == "quantities":
        return "kernels take derivatives of states, and quantities are kept"
    with torch.no_grad():
        return _engine(problem, engine).obstacle(problem, "frozen")


def _engine(problem: Problem, name: str | None) -> NativeEngine | CudaEngine:
    """The engine of that name, else that of the device where the rows lie."""
    if name == "native" or (name is None and problem.y0.device.type == "cpu"):
        return NativeEngine()
    from twinml.engines.cuda.engine import CudaEngine

    return CudaEngine()


def widest_for(states: int) -> int:
    """How many directions a pass of a model with so many state components follows at most."""
    return next((width for most, width in _WIDEST.items() if states <= most), _WIDE)


def passes_of(directions: int, widest: int) -> tuple[int, int]:
    """How many passes there are, and how many directions wide: 1, 2 or 4, one kernel for all."""
    passes = -(-directions // widest)
    each = -(-directions // passes)
    return passes, 1 << (each - 1).bit_length()


def tangent_run(
    problem: Problem,
    method: str,
    seeds: Seeds,
    widest: int | None = None,
    engine: str | None = None,
) -> tuple[Outcome, Tensor]:
    """A simulation, and the derivative of its saved states along the directions of ``seeds``.

    Args:
        problem: The problem; gradients that its tensors ask for are not looked at.
        method: A method's name, or "auto".
        seeds: The directions, S of them.
        widest: Most directions of a pass, 1, 2 or 4; None to choose.
        engine: "native" or "cuda"; None for that of the device where the rows lie.

    Returns:
        The outcome as of ``NativeEngine.run``, and derivatives (n, B, T, S), T = 1 for ends; zero
        for rows that failed and samples that no step came to.

    Raises:
        ArgumentError: a problem whose derivatives kernels do not take.
        LoweringError, NoCompilerError, CompileError: no kernel can be made.
    """
    reason = tangent_obstacle(problem, engine)
    if reason is not None:
        raise ArgumentError(f"Kernels cannot take these derivatives: {reason}.")
    problem = replace(problem, disposable=False)
    total = seeds.directions
    executor = _engine(problem, engine)
    if not total:
        with torch.no_grad():
            outcome = executor.run(problem, method, "frozen")
        assert outcome.states is not None
        return outcome, outcome.states.new_zeros((*outcome.states.shape, 0))
    few = widest_for(problem.y0.shape[0]) if executor.name == "native" else _WIDE
    passes, width = passes_of(total, widest or few)
    first: Outcome | None = None
    found = []
    for number in range(passes):
        part = slice(number * width, min((number + 1) * width, total))
        memory = MovingMemory(problem, seeds.select(part), moving_for(problem, seeds, width))
        outcome = executor.moved(problem, method, memory)
        if first is None:
            first = outcome
            _warn_of_grazing(problem, memory)
        ends = memory.y.unsqueeze(-1) if memory.states is None else memory.states
        found.append(ends[: part.stop - part.start])
    assert first is not None
    tangents = found[0] if passes == 1 else torch.cat(found)
    failed = (first.status & int(FAILURE)) != 0
    if bool(failed.any()):
        tangents[:, :, failed] = 0.0
    return first, tangents.permute(1, 2, 3, 0)


def _warn_of_grazing(problem: Problem, memory: MovingMemory) -> None:
    """The time of an event that only touches zero has no derivative: say so."""
    for number, name in enumerate(problem.model.declared.events):
        if count := int(memory.grazes[number]):
            warnings.warn(
                f"event '{name}' of {type(problem.model).__name__} grazes zero {count} times: its "
                "time has no derivative there, and its gradient is left at zero. Move the guard, "
                "or leave those rows out of the gradient.",
                UserWarning,
                stacklevel=3,
            )
