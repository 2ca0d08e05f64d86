"""Which engine runs a problem, and why."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TypeVar

from torch import Tensor

from twinml.engines.base import AbstractEngine, Outcome
from twinml.engines.derivatives import check_derivatives, remark
from twinml.engines.eager import EagerEngine
from twinml.engines.record import Record
from twinml.engines.seeds import Seeds
from twinml.errors import (
    ArgumentError,
    CompileError,
    LoweringError,
    NoCompilerError,
    NoGradientError,
    nearest,
)
from twinml.solve.problem import Problem

ENGINES = ("eager", "native")
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
    raise ArgumentError(
        f"engine={name!r} is not part of this version; expected 'auto' or one of "
        f"{list(ENGINES)}." + nearest(str(name), ENGINES)
    )


def check_engine(name: str) -> None:
    """Refuse an unknown engine before any work.

    Raises:
        ArgumentError: unknown name.
    """
    if name != "auto":
        engine_named(name)


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
        return engine_named(name).run(problem, method, gradient), name, "asked for"
    native = engine_named("native")
    reason = native.obstacle(problem, gradient)
    if reason is None:
        outcome, reason = _attempt(lambda: native.run(problem, method, gradient))
        if outcome is not None:
            return outcome, "native", "auto: a generated kernel"
    return engine_named("eager").run(problem, method, gradient), "eager", f"auto: {reason}"


def recorded_with(name: str, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
    """A problem without gradient, and the accepted steps of each method; engines as above."""
    check_derivatives(problem, method, derived=True)
    native = engine_named("native")
    # Kernels write no events or paths into their record.
    bare = problem.path is None and not problem.model.declared.events
    if name != "eager" and bare and native.obstacle(problem, "frozen") is None:
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

    reason = tangent_obstacle(problem)
    if reason is not None:
        return None, reason
    if name != "auto":
        return tangent_run(problem, method, seeds), ""
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
