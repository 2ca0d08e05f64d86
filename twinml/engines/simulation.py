"""The verb ``simulate``: one call, every engine, one meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.choice import check_engine, run_with
from twinml.engines.jacobian import Derivatives
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.engines.reduce import check_reduce, reduced_solution
from twinml.errors import ArgumentError
from twinml.expression import Expression
from twinml.physics import Physics
from twinml.solve.change import Change
from twinml.solve.methods import AUTO
from twinml.solve.problem import LaneState, Problem
from twinml.solve.reduction import Reduction
from twinml.solve.solution import Solution
from twinml.solve.status import FAILURE


def simulate(
    model: Physics,
    t: Any,
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    method: str = AUTO,
    rtol: float = 1e-6,
    atol: float | Mapping[str, float] = 1e-9,
    dt: float | None = None,
    engine: str = "auto",
    dtype: torch.dtype = torch.float64,
    device: Any = None,
    max_steps: int = 100_000,
    keep: str | Mapping[str, str | float | Expression] = "all",
    seed: int = 0,
    ids: Any = None,
    start: LaneState | None = None,
    changes: Sequence[Change] = (),
    constants: Mapping[str, Any] | None = None,
    max_step: float | None = None,
    max_events: int = 100,
    gradient: str = "frozen",
    reduce: Mapping[str, Reduction] | None = None,
) -> Solution:
    """Integrate a batch of scenarios, each with its own steps, status and values.

    Args:
        model: The physics.
        t: Save points in the model's time unit, (T,) shared or (B, T); the first is the start,
            the last the end. Falling times integrate backward.
        parameters: Numbers, text with a unit ("1.8/day") or tensors (B,) that replace defaults.
        initial: Initial states by name, a number, (B,), or (B, k) for a state of size k.
        inputs: ``Signal`` or constant (number or (B,)) per input.
        method: "auto" (tsit5, and rodas5p for rows that turn stiff; euler_maruyama for a model
            with noise) or a name in ``twinml.solve.methods.METHODS``.
        rtol, atol: Tolerances of adaptive methods; ``atol`` a number or {state: number}.
        dt: Fixed step in the time unit; None for adaptive steps. A model with noise needs one:
            its path lies on the grid t[0] + k dt. Between steps the solution is a straight line,
            for save points and quantities alike: a largest value misses what the path does in
            between, which is of the order of sqrt(dt).
        engine: "eager" (torch), "native" (generated kernels on the CPU), "cuda" (the same on a
            GPU), or "auto": kernels where they can run the problem, else eager; ``sol.engine`` and
            ``sol.reason`` say which and why.
        dtype: torch.float64 or torch.float32; time itself is always float64.
        device: Where to compute and where the results lie; None for the CPU, and with
            engine="cuda" for torch's current GPU. What is given elsewhere is copied there. On a GPU
            the call returns before the work is done; reading a value waits for it.
        max_steps: Steps a row may attempt.
        keep: "all" for trajectories, "final" for end states, or {name: quantity}.
        seed: Key of the noise of a model with ``noise()``, a whole number below 2^64.
        ids: Row numbers of the noise, (B,) whole numbers below 2^48; None for 0, 1, 2, ... A row's
            noise depends on (seed, id) only, so a row is the same alone or among millions, rows
            with one id share their noise, and ``ids=torch.arange(1000)`` asks for 1000
            replicates.
        start: ``sol.state`` of an earlier solution, to go on from there, along the same noise.
        changes: Timed changes of parameters and inputs.
        constants: Further names that quantities may use, a number or (B,).
        max_step: Largest step, for inputs or peaks narrower than the solver would see.
        max_events: Times that each event of the model may happen in a row; one more is a failure,
            ``EVENT_LIMIT``.
        gradient: "frozen" (derivative of the numerical map with its steps frozen) or "adjoint"
            (torchdiffeq's adjoint: one step size for the batch, constant memory).
        reduce: Quantities of ``keep`` that are wanted of all rows together: moments, extremes, and
            what each ``tw.Reduction`` counts, in ``sol.reduced``. Rows then run a chunk at a time
            and these quantities are not stored, so that memory grows by the arguments, the initial
            states and a byte of status a row.

    Returns:
        The solution. Rows that fail are marked, not raised.

    Raises:
        ArgumentError: a name, value or combination that cannot be used.
        ShapeError: shapes or batch sizes that disagree, both named.
        UnitError: text with a unit of another dimension.
    """
    place = check_engine(engine, _device(device))
    reduction = check_reduce(reduce, keep)
    if gradient not in ("frozen", "adjoint"):
        raise ArgumentError(f"gradient={gradient!r}; expected 'frozen' or 'adjoint'.")
    _check_start(start)
    arguments = {
        "model": model, "t": t, "parameters": parameters, "initial": initial, "inputs": inputs,
        "changes": changes, "constants": constants, "method": method, "rtol": rtol, "atol": atol,
        "dt": dt, "dtype": dtype, "device": place, "max_step": max_step,
        "max_steps": max_steps, "keep": keep, "start": start, "seed": seed, "ids": ids,
        "max_events": max_events,
    }  # fmt: skip
    problem = build_problem(**arguments)
    if reduction:

        def run(part: Problem) -> tuple[Outcome, str, str]:
            return run_with(engine, part, method, gradient)

        return reduced_solution(problem, reduction, run)
    # States that came with start= belong to the solution they are from.
    problem = replace(problem, disposable=start is None)
    solution = _solution(problem, *run_with(engine, problem, method, gradient))
    return replace(solution, derivatives=Derivatives(arguments, solution.engine))


def _check_start(start: Any) -> None:
    if start is not None and not isinstance(start, LaneState):
        raise ArgumentError(
            f"start is a {type(start).__name__}; expected where an earlier solution stopped. "
            "Pass start=sol.state."
        )


def _device(device: Any) -> torch.device | None:
    """The device, once torch has shown that it can place a number there."""
    if device is None:
        return None
    try:
        found = torch.device(device)
        if found.type == "meta":
            raise ValueError("tensors there have no numbers")
        torch.zeros(1, device=found)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArgumentError(
            f"device={device!r} cannot be used by this torch ({reason}). Leave device out for the "
            "CPU, or install a torch built for that device."
        ) from error
    return found


def _solution(problem: Problem, outcome: Outcome, engine: str, reason: str) -> Solution:
    declared = problem.model.declared
    values: dict[str, Tensor] = {}
    units: dict[str, str] = {}
    if outcome.states is not None:
        final = problem.keep == "final"
        times = problem.t[..., -1:] if final else problem.t
        failed = (outcome.status & int(FAILURE)) != 0
        for name, rows in declared.slices.items():
            state = declared.states[name]
            block = outcome.states[rows]
            block = block[0] if state.size is None else block.movedim(0, -1)
            values[name] = block[:, 0] if final else block
            units[name] = state.unit
        observed = outcome.outputs
        if observed is None:
            observed = outputs_at(problem, outcome.states, times, failed)
        for name, value in observed.items():
            values[name] = value[:, 0] if final else value
            units[name] = declared.outputs[name].unit
    values.update(outcome.quantities)
    return Solution(
        t=problem.t, values=values, units=units, status=outcome.status,
        fail_time=outcome.fail_time, steps=outcome.steps, rejected=outcome.rejected,
        method=outcome.method, engine=engine, reason=reason, state=outcome.state,
        events=outcome.events, time_unit=problem.model.time_unit, keep=problem.keep,
        kernels=outcome.kernels,
    )  # fmt: skip
