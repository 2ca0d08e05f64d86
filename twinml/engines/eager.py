"""The eager engine: torch operations, the reference for every other engine.

Rows run side by side with their own step size. Gradients come from replaying the accepted
steps; torchdiffeq's adjoint (Chen et al. 2018) is the alternative for long smooth spans
where the memory of a replay is too much. torchdiffeq has its only home here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, final

import numpy
import torch
from torch import Tensor, nn

from twinml.engines.base import AbstractEngine, Outcome
from twinml.engines.derivatives import methods_for
from twinml.engines.events import EventLog
from twinml.engines.forcing import Forcing
from twinml.engines.lanes import Lanes, Rows
from twinml.engines.noise import check_gradient
from twinml.engines.quantities import Quantities
from twinml.engines.record import Record
from twinml.engines.replay import replay
from twinml.engines.saving import Trajectory
from twinml.engines.stepper import AbstractStepper, RosenbrockStepper, stepper_for
from twinml.errors import ArgumentError, MissingDependencyError, SolveError
from twinml.physics import Signal
from twinml.solve.methods import AUTO, method_named
from twinml.solve.problem import LaneState, Problem
from twinml.solve.status import FAILURE, Status

_BLOCK = 32_768  # rows that step side by side: bounds the memory of a step
_BLOCK_NUMBERS = 60_000_000  # entries of all their Jacobians, likewise
ADJOINT_METHODS = ("dopri5", "rk4", "euler")


@final
class EagerEngine(AbstractEngine):
    """Torch operations, one call per stage for all rows."""

    name = "eager"

    def obstacle(self, problem: Problem, gradient: str) -> str | None:
        return None

    def run(self, problem: Problem, method: str, gradient: str) -> Outcome:
        wanted = problem.differentiable()
        if gradient == "adjoint" and wanted:
            return _adjoint(problem, method)
        if wanted:
            check_gradient(problem)
        with torch.no_grad():
            plain = _detached(problem)
            outcome, records, log = _solve(plain, method, keep_record=wanted)
        if log is not None:
            outcome = outcome.replace(events=log.times())
        return _with_gradient(problem, outcome, records, log) if wanted else outcome

    def recorded(self, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
        """As ``run`` without gradient, with the accepted steps of each method."""
        with torch.no_grad():
            outcome, records, _ = _solve(problem, method, keep_record=True)
        return outcome, records


def _steppers(problem: Problem, method: str, derived: bool) -> list[AbstractStepper]:
    fixed = problem.dt is not None
    return [
        stepper_for(method_named(name), fixed) for name in methods_for(problem, method, derived)
    ]


def _solve(
    problem: Problem, method: str, keep_record: bool
) -> tuple[Outcome, list[Record], EventLog | None]:
    forcing = Forcing(problem)
    state = Rows(problem, forcing)
    sinks = _sinks(problem)
    rows = torch.arange(problem.rows, device=problem.y0.device)
    steppers = _steppers(problem, method, keep_record)
    names = numpy.full(problem.rows, steppers[0].name, dtype=object)
    records: list[Record] = []
    for phase, stepper in enumerate(steppers):
        if rows.shape[0] == 0:
            break
        hand_over = phase + 1 < len(steppers)
        if phase:
            names[rows.cpu().numpy()] = stepper.name
        record = Record(stepper) if keep_record else None
        parts = [
            Lanes(problem, forcing, stepper, state, block, sinks, hand_over, record).run()
            for block in rows.split(_block(problem, stepper))
        ]
        rows = torch.cat(parts)
        if record is not None:
            records.append(record)
    book = state.book
    path = None if problem.path is None else replace(problem.path, cell=state.grid)
    final_state = LaneState(
        state.t, state.y, state.h, path, book and book.side, book and book.near
    )  # fmt: skip
    outcome = Outcome(
        states=None, quantities={}, status=state.status, fail_time=state.fail_time,
        steps=state.steps, rejected=state.rejected, state=final_state,
        method=names[0] if len(set(names)) == 1 else names,
    )  # fmt: skip
    return _filled(problem, outcome, sinks, state.y), records, book and book.log


def _block(problem: Problem, stepper: AbstractStepper) -> int:
    """Rows that step side by side; a dense matrix for each leaves room for fewer."""
    if not isinstance(stepper, RosenbrockStepper):
        return _BLOCK
    return max(1, min(_BLOCK, _BLOCK_NUMBERS // problem.y0.shape[0] ** 2))


def _sinks(problem: Problem) -> list[Trajectory | Quantities]:
    if problem.keep == "all":
        return [Trajectory(problem)]
    return [Quantities(problem)] if problem.keep == "quantities" else []


def _filled(
    problem: Problem, outcome: Outcome, sinks: list[Trajectory | Quantities], y: Tensor
) -> Outcome:
    """The outcome with the values its sinks collected; failed rows have no end and no quantity."""
    failed = (outcome.status & int(FAILURE)) != 0
    if problem.keep == "all":
        (sink,) = sinks
        return outcome.replace(states=sink.result())
    if problem.keep == "quantities":
        (sink,) = sinks
        values = sink.result()
        assert isinstance(values, dict)
        return outcome.replace(
            quantities={name: torch.where(failed, torch.nan, v) for name, v in values.items()}
        )
    return outcome.replace(states=torch.where(failed, torch.nan, y).unsqueeze(-1))


def _map_problem(
    problem: Problem, change: Callable[[Tensor], Tensor], states: Callable[[Tensor], Tensor]
) -> Problem:
    """The problem with each tensor that a gradient may pass exchanged.

    ``change`` is given tensors whose first axis is the row (or of length 1, shared);
    ``states`` the initial states (n, B).
    """

    def one(value: Any) -> Any:
        if isinstance(value, Signal):
            shared = value.values.ndim == 1
            return value if shared else replace(value, values=change(value.values))
        return change(value) if isinstance(value, Tensor) else value

    return replace(
        problem,
        y0=states(problem.y0),
        parameters={name: one(value) for name, value in problem.parameters.items()},
        inputs={name: one(value) for name, value in problem.inputs.items()},
        constants={name: one(value) for name, value in problem.constants.items()},
        changes=tuple(
            replace(c, at=one(c.at), value=one(c.value), until=one(c.until))
            for c in problem.changes
        ),
    )


def _detached(problem: Problem) -> Problem:
    return _map_problem(problem, torch.Tensor.detach, torch.Tensor.detach)


def _with_gradient(
    problem: Problem, plain: Outcome, records: list[Record], log: EventLog | None
) -> Outcome:
    """Values of the plain run, gradients of the replay; failed rows get exactly zero."""
    failed = (plain.status & int(FAILURE)) != 0
    if bool(failed.any()):
        good = (~failed).nonzero()[:, 0]
        if good.shape[0] == 0:
            return _with_zero_gradient(problem, plain)
        # The inputs of failed rows are replaced before rhs sees them: masking afterwards
        # would multiply an infinite slope by zero.
        donor = int(good[0])

        def heal(value: Tensor) -> Tensor:
            if value.shape[0] == 1:
                return value
            mask = failed if value.ndim == 1 else failed[:, None]
            return torch.where(mask, value[donor].detach(), value)

        problem = _map_problem(problem, heal, lambda y: heal(y.T).T)
        records = [record.without(failed) for record in records]
    sinks = _sinks(problem)
    events = EventLog(problem)
    _, y = replay(problem, records, sinks, events)
    traced = _filled(problem, plain, sinks, y).replace(events=events.times(log, failed))

    def merge(value: Tensor, base: Tensor) -> Tensor:
        mask = failed if value.ndim == 1 else failed[:, None]
        return torch.where(mask, base, value)

    # Whoever goes on from here with start= keeps the gradient.
    traced = traced.replace(state=replace(plain.state, y=merge(y.T, plain.state.y.T).T))
    if plain.states is not None and traced.states is not None:
        return traced.replace(states=merge(traced.states, plain.states))
    return traced.replace(
        quantities={
            name: merge(value, plain.quantities[name]) for name, value in traced.quantities.items()
        }
    )


def _with_zero_gradient(problem: Problem, plain: Outcome) -> Outcome:
    """Every row failed: values that a loss can be differentiated through, to exactly zero."""
    tensors: list[Tensor] = [*problem.model.parameters()]

    def collect(value: Tensor) -> Tensor:
        tensors.append(value)
        return value

    _map_problem(problem, collect, collect)
    # An empty sum is zero whatever the values are, and so is its gradient.
    shared = [i.values for i in problem.inputs.values() if isinstance(i, Signal)]
    zero = sum(
        (v.reshape(-1)[:0].sum() for v in (*tensors, *shared) if v.requires_grad),
        start=torch.zeros((), dtype=problem.y0.dtype, device=problem.y0.device),
    ).to(problem.y0.dtype)
    traced = plain.replace(
        state=replace(plain.state, y=plain.state.y + zero),
        events={name: replace(e, at=e.at + zero) for name, e in plain.events.items()},
    )
    if plain.states is not None:
        return traced.replace(states=plain.states + zero)
    return traced.replace(quantities={n: v + zero for n, v in plain.quantities.items()})


@final
class _Field(nn.Module):
    """The right-hand side as torchdiffeq calls it, weights visible to its adjoint."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.model = problem.model
        forcing = Forcing(problem)
        rows = torch.arange(problem.rows, device=problem.y0.device)
        self.at = forcing.interval(forcing.start(problem.first), rows)

    def forward(self, t: Tensor, y: Tensor) -> Tensor:
        return self.at.rhs(t.expand(y.shape[1]), y)


def _adjoint(problem: Problem, method: str) -> Outcome:
    """Solve with torchdiffeq's adjoint: constant memory, one step size for the batch."""
    chosen = "dopri5" if method == AUTO else method
    reason = None
    if problem.path is not None:
        reason = "a model that has noise(); torchdiffeq's adjoint knows ordinary equations only"
    elif problem.model.declared.events:
        reason = f"events ({list(problem.model.declared.events)}); the adjoint knows no resets"
    elif chosen not in ADJOINT_METHODS:
        reason = f"method={method!r}; the adjoint knows {list(ADJOINT_METHODS)} and 'auto'"
    elif problem.keep == "quantities" or problem.t.ndim != 1:
        reason = "quantities or save points per row; the adjoint gives states at shared times"
    elif not Forcing(problem).constant:
        reason = "inputs with knots or timed changes; the adjoint takes smooth spans only"
    elif problem.t.shape[0] < 2 or bool((problem.t.diff() == 0).any()):
        reason = "a single or a repeated save point; the adjoint needs times that differ"
    elif chosen == "dopri5" and problem.dt is not None:
        reason = "dt and an adaptive method; the adjoint takes dt with 'rk4' and 'euler'"
    elif problem.max_step != float("inf"):
        reason = "max_step, which the adjoint does not know"
    if reason is not None:
        raise ArgumentError(
            f"gradient='adjoint' was asked for with {reason}. Use gradient='frozen', which "
            "differentiates every simulation."
        )
    try:
        from torchdiffeq import odeint_adjoint
    except ImportError as error:
        raise MissingDependencyError(
            "gradient='adjoint' needs torchdiffeq; install it with 'pip install \"twinml[train]\"'."
        ) from error
    field = _Field(problem)
    wanted = [p for p in problem.model.parameters() if p.requires_grad]
    wanted += [v for v in problem.parameters.values() if v.requires_grad]
    wanted += [v for v in problem.inputs.values() if isinstance(v, Tensor) and v.requires_grad]
    adaptive = chosen == "dopri5"
    options: dict[str, Any] = (
        {"max_num_steps": problem.max_steps} if adaptive else {"step_size": problem.dt}
    )
    try:
        result: Any = odeint_adjoint(
            field, problem.y0, problem.t, rtol=problem.rtol, atol=float(problem.atol.min()),
            method=chosen, options=options, adjoint_params=tuple(wanted),
        )  # fmt: skip
    except AssertionError as error:
        raise SolveError(
            f"torchdiffeq gave up ({error}); its adjoint takes one step size for the whole batch, "
            "so one bad row ends it. Use gradient='frozen', which marks bad rows and goes on."
        ) from error
    states = result.permute(1, 2, 0)
    zero = torch.zeros(problem.rows, dtype=torch.int64, device=problem.y0.device)
    end = states[..., -1]
    outcome = Outcome(
        states=states if problem.keep == "all" else end.unsqueeze(-1), quantities={},
        status=zero, fail_time=torch.full_like(problem.first, torch.nan), steps=zero,
        rejected=zero, method=chosen,
        state=LaneState(problem.last, end, torch.zeros_like(problem.last)),
    )  # fmt: skip
    bad = ~torch.isfinite(end.detach()).all(0)
    return outcome.replace(
        status=torch.where(bad, int(Status.NOT_FINITE), zero),
        fail_time=torch.where(bad, problem.last, torch.nan),
    )
