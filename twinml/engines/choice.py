"""Which engine runs a problem, and why."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from twinml.engines.base import AbstractEngine, Outcome
from twinml.engines.derivatives import check_derivatives, remark
from twinml.engines.eager import EagerEngine
from twinml.engines.record import Record
from twinml.engines.seeds import Seeds
from twinml.engines.size import left_alone, too_large
from twinml.errors import (
    ArgumentError,
    CompileError,
    LoweringError,
    NoCompilerError,
    NoGradientError,
    nearest,
)
from twinml.solve.problem import Problem

ENGINES = ("eager", "native", "cuda")
Found = TypeVar("Found")


@functools.cache
def engine_named(name: str) -> AbstractEngine:
    """The engine of that name.

    Raises:
        ArgumentError: unknown name.
    """
    if name == "eager":
        return EagerEngine()
    if name == "native":
        # Tracing and compiling are imported by those who use them.
        from twinml.engines.native.engine import NativeEngine

        return NativeEngine()
    if name == "cuda":
        from twinml.engines.cuda.engine import CudaEngine

        return CudaEngine()
    raise ArgumentError(
        f"engine={name!r} is not part of this version; expected 'auto' or one of "
        f"{list(ENGINES)}." + nearest(str(name), ENGINES)
    )


def check_engine(name: str, device: torch.device | None) -> torch.device | None:
    """Refuse an engine that is unknown or not for a device, before any work.

    Args:
        name: Of the engine, or "auto".
        device: That was asked for, None for none.

    Returns:
        The device to compute on: that, or the one that the engine is for.

    Raises:
        ArgumentError: unknown name, no GPU for "cuda", or another device beside it.
    """
    if name == "auto":
        return device
    engine_named(name)
    if name != "cuda":
        return device
    from twinml.engines.cuda.device import current, is_gpu
    from twinml.engines.cuda.engine import unavailable

    reason = unavailable()
    if reason is not None:
        raise ArgumentError(
            f"engine='cuda' cannot run here: {reason}. Use engine='native' for kernels on the CPU, "
            "or engine='auto' to choose what can."
        )
    if device is not None and not is_gpu(device):
        raise ArgumentError(
            f"engine='cuda' runs on a GPU and device={str(device)!r} was asked for. Leave device "
            "out, or name a GPU such as 'cuda:0'; tensors that lie elsewhere are copied there."
        )
    return current() if device is None else device


def run_with(
    name: str, problem: Problem, method: str, gradient: str
) -> tuple[Outcome, str, str]:  # fmt: skip
    """Run a problem with an engine, or with the one that "auto" chooses.

    Returns:
        The outcome, the engine's name and why it ran.
    """
    derived = problem.differentiable()
    check_derivatives(problem, method, derived)
    outcome, engine, reason = _chosen(name, problem, method, gradient)
    return outcome, engine, reason + remark(problem, method, derived)


def _chosen(
    name: str, problem: Problem, method: str, gradient: str
) -> tuple[Outcome, str, str]:  # fmt: skip
    if name != "auto":
        outcome = engine_named(name).run(problem, method, gradient)
        return outcome, name, _noted("asked for", outcome)
    kernels = engine_named("native" if problem.y0.device.type == "cpu" else "cuda")
    reason = kernels.obstacle(problem, gradient) or too_large(problem)
    if reason is None:
        outcome, reason = _attempt(lambda: kernels.run(problem, method, gradient))
        if outcome is not None:
            return outcome, kernels.name, _noted("auto: a generated kernel", outcome)
    reason = f"auto: {reason}{left_alone(problem, method)}"
    return engine_named("eager").run(problem, method, gradient), "eager", reason


def _noted(reason: str, outcome: Outcome) -> str:
    return f"{reason}, {outcome.note}" if outcome.note else reason


def recorded_with(name: str, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
    """A problem without gradient, and the accepted steps of each method; engines as above."""
    check_derivatives(problem, method, derived=True)
    native = engine_named("native")
    # Kernels write no events or paths into their record.
    bare = problem.path is None and not problem.model.declared.events
    lowers = native.obstacle(problem, "frozen") is None
    if name != "eager" and bare and lowers and (name != "auto" or too_large(problem) is None):
        found, _ = _attempt(lambda: native.recorded(problem, method))
        if found is not None:
            return found
    return engine_named("eager").recorded(problem, method)


def moved_with(
    name: str, problem: Problem, method: str, seeds: Seeds
) -> tuple[tuple[Outcome, Tensor] | None, str]:
    """A problem and derivatives of its saved states (n, B, T, S) by kernels, or why not.

    Raises:
        LoweringError, NoCompilerError, CompileError: an engine was asked for that has no kernel.
    """
    if name == "eager":
        return None, "asked for"
    from twinml.engines.native.tangents import tangent_obstacle, tangent_run

    check_derivatives(problem, method, derived=True)
    asked = None if name == "auto" else name
    reason = tangent_obstacle(problem, asked)
    if reason is None and name == "auto":
        reason = too_large(problem)
    if reason is not None:
        return None, reason
    if name != "auto":
        return tangent_run(problem, method, seeds, engine=asked), ""
    return _attempt(lambda: tangent_run(problem, method, seeds))


def _attempt(run: Callable[[], Found]) -> tuple[Found | None, str]:
    """What a run with kernels gives, or why there is no kernel."""
    try:
        return run(), ""
    except (LoweringError, NoCompilerError, NoGradientError) as error:
        return None, str(error)
    except CompileError as error:
        warnings.warn(f"engine='auto' goes on without kernels. {error}", UserWarning, 5)
        return None, str(error)
