"""From what a user passes to ``simulate`` to a ``Problem``, or an error in the user's words."""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twinml.engines.arguments import (
    Batch,
    placed,
    read_changes,
    read_column,
    read_inputs,
    read_parameters,
    read_times,
)
from twinml.engines.initial import initial_states, read_initial
from twinml.engines.noise import check_method, noise_path, read_ids, read_seed
from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.expression import Expression, check_names, parse
from twinml.physics import Physics
from twinml.solve.change import Change
from twinml.solve.methods import AUTO, DENSE_STATES, method_named
from twinml.solve.problem import LaneState, Problem
from twinml.solve.rosenbrock import RosenbrockTableau

_DTYPES = (torch.float64, torch.float32)


def build_problem(
    model: Physics,
    t: Any,
    parameters: Mapping[str, Any] | None = None,
    initial: Mapping[str, Any] | None = None,
    inputs: Mapping[str, Any] | None = None,
    changes: Sequence[Change] = (),
    constants: Mapping[str, Any] | None = None,
    method: str = AUTO,
    rtol: float = 1e-6,
    atol: float | Mapping[str, float] = 1e-9,
    dt: float | None = None,
    dtype: torch.dtype = torch.float64,
    device: Any = None,
    max_step: float | None = None,
    max_steps: int = 100_000,
    keep: str | Mapping[str, str | float | Expression] = "all",
    start: LaneState | None = None,
    seed: int = 0,
    ids: Any = None,
    max_events: int = 100,
) -> Problem:
    """Check and normalise; see ``simulate`` for the meaning of the arguments."""
    if not isinstance(model, Physics):
        hint = " Call it: pass Model(), not Model." if isinstance(model, type) else ""
        raise ArgumentError(
            f"simulate was given {model!r} as model; expected an instance of tw.Physics.{hint}"
        )
    if not model.declared.states:
        raise ArgumentError(
            f"{type(model).__name__} declares no states; there is nothing to solve."
        )
    if dtype not in _DTYPES:
        raise ArgumentError(f"dtype={dtype}; expected torch.float64 or torch.float32.")
    name = type(model).__name__
    batch = Batch()
    # Checked where they are given: to look at them on a GPU is to wait for it.
    given_times = read_times(t)
    times = placed(given_times, device)
    if times.ndim == 2:
        batch.see("t", times.shape[0])
    values = read_parameters(model, parameters or {}, dtype, device, batch)
    signals = read_inputs(model, inputs or {}, given_times, dtype, device, batch)
    extra = {
        key: read_column(f"constant '{key}'", value, dtype, device, batch)
        for key, value in (constants or {}).items()
    }
    timed = read_changes(model, changes, dtype, device, batch)
    number, own = read_seed(seed), read_ids(ids, device, batch)
    h0 = side = near = None
    if start is not None:
        if initial:
            raise ArgumentError(
                "simulate was given both start= and initial=; start already holds the states. "
                "Drop one of them."
            )
        batch.see("start", start.t.shape[0])
        y0, h0 = start.y.to(dtype), start.h
        rows = batch.rows
        if y0.shape[0] != model.declared.width or y0.shape[1] not in (1, rows):
            raise ShapeError(
                f"start holds states of shape {tuple(y0.shape)}; expected "
                f"({model.declared.width}, {rows}) for {name}. Use sol.state of the same model."
            )
        other = (times[..., 0] != start.t).reshape(-1).nonzero()
        if other.shape[0]:
            row = int(other[0, 0])
            stopped = start.t[min(row, start.t.shape[0] - 1)]
            begin = float(times[..., 0].expand(max(times[..., 0].numel(), start.t.shape[0]))[row])
            raise ArgumentError(
                f"t begins at {begin:g} but row {row} of start stopped at "
                f"{float(stopped):g}; "
                "begin t where the earlier solution ended, and leave out rows that failed."
            )
        y0, h0 = y0.expand(-1, rows), h0.expand(rows)
        side, near = _sides(model, start, rows)
    else:
        given = {
            key: read_initial(model, key, value, dtype, device, batch)
            for key, value in (initial or {}).items()
        }
        y0 = initial_states(model, given, values, signals, times, batch.rows, dtype, device)
    rows = batch.rows
    _check_solver(model, method, rtol, dt, dtype, max_step, max_steps, max_events)
    quantities, mode = _keep(model, keep, extra)
    if times.ndim == 2 and times.shape[0] == 1:
        times = times[0]
    path = None
    if model.has_noise:
        assert dt is not None
        path = noise_path(model, number, own, float(dt), times, rows, start)
    direction = (given_times[..., -1] - given_times[..., 0]).sign()
    backward = bool((direction < 0).any())
    if backward and bool((direction > 0).any()):
        raise ArgumentError(
            "t runs forward in some rows and backward in others; simulate them in two calls."
        )
    if backward and timed:
        raise ArgumentError(
            "t runs backward and there are timed changes; a change has no meaning backward in "
            "time. Simulate forward, or fold the change into the inputs."
        )
    if backward and model.declared.events:
        raise ArgumentError(
            f"t runs backward and {name} has events {list(model.declared.events)}; what a reset "
            "replaced cannot be found again. Simulate forward, or take the events out of a "
            "subclass by writing <event> = None."
        )
    return Problem(
        model=model, t=times, y0=y0, parameters=values, inputs=signals, changes=timed,
        quantities=quantities, constants=extra, keep=mode, rtol=float(rtol),
        atol=_atol(model, atol, dtype, device), dt=None if dt is None else float(dt),
        max_step=math.inf if max_step is None else float(max_step), max_steps=int(max_steps), h0=h0,
        path=path, side=side, near=near, max_events=int(max_events), backward=backward,
    )  # fmt: skip


def _sides(
    model: Physics, start: LaneState, rows: int
) -> tuple[Tensor | None, Tensor | None]:  # fmt: skip
    """Sides of the guards where an earlier solution stopped, (E, B) each."""
    count = len(model.declared.events)
    if not count or start.side is None or start.near is None:
        return None, None
    if start.side.shape[0] != count:
        raise ShapeError(
            f"start knows {start.side.shape[0]} events and {type(model).__name__} has {count} "
            f"({list(model.declared.events)}). Use sol.state of the same model."
        )
    return start.side.expand(-1, rows), start.near.expand(-1, rows)


def _check_solver(
    model: Physics,
    method: str,
    rtol: float,
    dt: float | None,
    dtype: torch.dtype,
    max_step: float | None,
    max_steps: int,
    max_events: int,
) -> None:
    if method != AUTO:
        tableau = method_named(method)
        adaptive = isinstance(tableau, RosenbrockTableau) or tableau.adaptive
        if not (adaptive or model.has_noise) and dt is None:
            raise ArgumentError(
                f"method={method!r} takes fixed steps and no dt was given; pass dt=..., in "
                f"{model.time_unit!r}, or use an adaptive method such as 'tsit5'."
            )
        states = model.declared.width
        if isinstance(tableau, RosenbrockTableau) and states > DENSE_STATES:
            raise ArgumentError(
                f"method={method!r} was asked for with {states:,} states; each of its steps solves "
                f"a dense linear system of that size ({8e-9 * states**2:.2g} GB a row), and it "
                f"takes up to {DENSE_STATES:,}. Use an explicit method such as 'tsit5', or a "
                "coarser grid."
            )
    if model.has_noise:
        check_method(model, method, dt)
    for what, value in (("dt", dt), ("max_step", max_step), ("rtol", rtol)):
        if value is not None and not (
            isinstance(value, numbers.Real) and math.isfinite(value) and value > 0
        ):
            raise ArgumentError(f"{what}={value!r}; expected a positive finite number.")
    if not _whole(max_steps):
        raise ArgumentError(f"max_steps={max_steps!r}; expected a whole number from 1 to 2^62.")
    if not _whole(max_events):
        raise ArgumentError(
            f"max_events={max_events!r}; expected a whole number from 1, how often each event may "
            "happen in a row."
        )
    floor = 4 * torch.finfo(dtype).eps
    if dt is None and rtol < floor:
        warnings.warn(
            f"rtol={rtol:g} is below what {str(dtype).removeprefix('torch.')} can give "
            f"({floor:.1e}); the step size will be limited by rounding.",
            UserWarning,
            stacklevel=4,
        )


def _whole(value: Any) -> bool:
    """Whether it is a whole number that counts something and fits a kernel's counters."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        return False
    return 1 <= int(value) <= 2**62


def _atol(
    model: Physics, atol: float | Mapping[str, float], dtype: torch.dtype, device: Any
) -> Tensor:
    states = model.declared.states
    table = dict(atol) if isinstance(atol, Mapping) else dict.fromkeys(states, atol)
    for name in table:
        if name not in states:
            raise ArgumentError(
                f"atol names '{name}', which is not a state; expected {list(states)}."
                + nearest(str(name), states)
            )
    rows: list[float] = []
    for name, state in states.items():
        value = table.get(name, 1e-9)
        if not isinstance(value, numbers.Real) or not math.isfinite(value) or value < 0:
            raise ArgumentError(
                f"atol of '{name}' is {value!r}; expected a finite number, zero or above."
            )
        # An exactly zero state with atol = 0 would divide by zero.
        rows += [max(float(value), torch.finfo(dtype).tiny)] * state.width
    return placed(torch.tensor(rows, dtype=dtype), device)


def _keep(
    model: Physics, keep: Any, constants: Mapping[str, Tensor]
) -> tuple[dict[str, Expression], str]:
    if isinstance(keep, str):
        if keep not in ("all", "final"):
            raise ArgumentError(
                f"keep={keep!r}; expected 'all', 'final', or quantities such as "
                "{'peak': 'max(h2)'}."
            )
        return {}, keep
    if not isinstance(keep, Mapping) or not keep:
        raise ArgumentError(
            f"keep={keep!r}; expected 'all', 'final', or quantities such as {{'peak': 'max(h2)'}}."
        )
    declared = model.declared
    along = ["t", *declared.names, *constants]
    fixed = [*declared.parameters, *declared.inputs, *constants]
    quantities = {}
    for name, source in keep.items():
        where = f"quantity '{name}'"
        expression = source if isinstance(source, Expression) else parse(source, where)
        check_names(expression, along, where)
        wide = [n for n, s in declared.states.items() if s.size is not None]
        for wide_name in sorted(expression.names.intersection(wide)):
            raise ArgumentError(
                f"{where} uses '{wide_name}', a state of size {declared.states[wide_name].size}; a "
                "quantity is one number per row. Declare a tw.Output for the component or "
                "combination that is meant, and use its name."
            )
        loose = sorted(expression.outer_names - set(fixed))
        if loose:
            raise ArgumentError(
                f"{where}: '{loose[0]}' changes along the path and stands alone; say which value "
                f"is meant, such as final({loose[0]}), max({loose[0]}) or at({loose[0]}, time)."
            )
        quantities[name] = expression
    return quantities, "quantities"
