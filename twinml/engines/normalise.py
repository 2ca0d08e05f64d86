"""From what a user passes to ``simulate`` to a ``Problem``, or an error in the user's words."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.expression import Expression, check_names, parse
from twinml.physics import Physics, Signal
from twinml.physics.signal import as_numbers
from twinml.solve.change import ACTIONS, Change
from twinml.solve.methods import AUTO, method_named
from twinml.solve.problem import LaneState, Problem
from twinml.solve.tableau import ButcherTableau
from twinml.units import quantity

_DTYPES = (torch.float64, torch.float32)


class _Batch:
    """The number of rows, agreed upon by everything that has a batch axis."""

    def __init__(self) -> None:
        self.sizes: dict[str, int] = {}

    def see(self, what: str, size: int) -> None:
        if size == 1:
            return
        for other, known in self.sizes.items():
            if known != size:
                raise ShapeError(
                    f"{what} has {size} rows but {other} has {known}; everything with a batch axis "
                    "must have the same number of rows, or one value shared by all."
                )
        self.sizes[what] = size

    @property
    def rows(self) -> int:
        return next(iter(self.sizes.values()), 1)


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
    batch = _Batch()
    times = _times(t, device)
    if times.ndim == 2:
        batch.see("t", times.shape[0])
    values = _parameters(model, parameters or {}, dtype, device, batch)
    signals = _inputs(model, inputs or {}, times, dtype, device, batch)
    extra = {
        key: _column(f"constant '{key}'", value, dtype, device, batch)
        for key, value in (constants or {}).items()
    }
    timed = _changes(model, changes, dtype, device, batch)
    h0 = None
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
    else:
        given = {
            key: _initial_value(model, key, value, dtype, device, batch)
            for key, value in (initial or {}).items()
        }
        y0 = initial_states(model, given, values, signals, times, batch.rows, dtype, device)
    rows = batch.rows
    _check_solver(model, method, rtol, dt, dtype, max_step, max_steps)
    quantities, mode = _keep(model, keep, extra)
    if times.ndim == 2 and times.shape[0] == 1:
        times = times[0]
    direction = (times[..., -1] - times[..., 0]).sign()
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
    return Problem(
        model=model, t=times, y0=y0, parameters=values, inputs=signals, changes=timed,
        quantities=quantities, constants=extra, keep=mode, rtol=float(rtol),
        atol=_atol(model, atol, dtype, device), dt=None if dt is None else float(dt),
        max_step=math.inf if max_step is None else float(max_step), max_steps=int(max_steps), h0=h0,
    )  # fmt: skip


def _times(t: Any, device: Any) -> Tensor:
    if isinstance(t, Tensor) and t.requires_grad:
        raise ArgumentError(
            "t asks for a gradient, and save points have none here. Pass t.detach(); the "
            "derivative by time is rhs itself."
        )
    try:
        times = torch.as_tensor(t, dtype=torch.float64, device=device).detach()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"t is {t!r}; expected save points as numbers, shape (T,) or (B, T) ({error})."
        ) from None
    if times.ndim not in (1, 2) or times.shape[-1] == 0 or times.shape[0] == 0:
        raise ShapeError(
            f"t has shape {tuple(times.shape)}; expected (T,) save points shared by all rows, "
            "or (B, T)."
        )
    if not bool(torch.isfinite(times).all()):
        raise ArgumentError("t holds nan or inf; expected finite save points.")
    steps = times.diff(dim=-1)
    rising, falling = (steps >= 0).all(-1), (steps <= 0).all(-1)
    if not bool((rising | falling).all()):
        row = int((~(rising | falling)).reshape(-1).nonzero()[0, 0])
        where = "" if times.ndim == 1 else f" in row {row}"
        raise ArgumentError(
            f"t is not sorted{where}; expected save points that rise (or fall, to go backward) "
            "from start to end. Sort them first."
        )
    return times


def _column(what: str, value: Any, dtype: torch.dtype, device: Any, batch: _Batch) -> Tensor:
    """A value as (1,) or (B,)."""
    try:
        tensor = as_numbers(value, device).to(dtype)
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"{what} is {value!r}; expected a number or a tensor of shape (B,)."
        ) from None
    if tensor.ndim == 0:
        return tensor.reshape(1)
    if tensor.ndim != 1 or tensor.shape[0] == 0:
        raise ShapeError(
            f"{what} has shape {tuple(tensor.shape)}; expected a number or (B,), one value per row."
        )
    batch.see(what, tensor.shape[0])
    return tensor


def _parameters(
    model: Physics, given: Mapping[str, Any], dtype: torch.dtype, device: Any, batch: _Batch
) -> dict[str, Tensor]:
    declared = model.declared.parameters
    for name in given:
        if name not in declared:
            raise ArgumentError(
                f"{type(model).__name__} has no parameter '{name}'; it has {list(declared)}."
                + nearest(str(name), declared)
            )
    result = {}
    for name, parameter in declared.items():
        what = f"parameter '{name}'"
        value = given.get(name, model.default(name))
        if value is None:
            raise ArgumentError(
                f"{what} of {type(model).__name__} has no default and was not given; "
                f"pass parameters={{'{name}': ...}} in {parameter.unit!r}."
            )
        if isinstance(value, str):
            value = quantity(value, parameter.unit, what)
        result[name] = _column(what, value, dtype, device, batch)
    return result


def _inputs(
    model: Physics,
    given: Mapping[str, Any],
    times: Tensor,
    dtype: torch.dtype,
    device: Any,
    batch: _Batch,
) -> dict[str, Signal | Tensor]:
    declared = model.declared.inputs
    for name in given:
        if name not in declared:
            raise ArgumentError(
                f"{type(model).__name__} has no input '{name}'; it has {list(declared)}."
                + nearest(str(name), declared)
            )
    result: dict[str, Signal | Tensor] = {}
    first, last = float(times.min()), float(times.max())
    for name, declaration in declared.items():
        what = f"input '{name}'"
        value = given.get(name, declaration.default)
        if value is None:
            raise ArgumentError(
                f"{what} of {type(model).__name__} has no default and was not given; pass "
                f"inputs={{'{name}': tw.Signal(times, values)}} or a constant in "
                f"{declaration.unit!r}."
            )
        if not isinstance(value, Signal):
            if isinstance(value, str):
                value = quantity(value, declaration.unit, what)
            result[name] = _column(what, value, dtype, device, batch)
            continue
        known = value.times.detach()
        begin, end = float(known[0]), float(known[-1])
        # The same time, computed in two ways, may differ by rounding.
        slack = 1e-12 * max(abs(first), abs(last))
        if first < begin - slack or (value.kind == "linear" and last > end + slack):
            raise ArgumentError(
                f"{what} is known from {begin:g} to {end:g} but the simulation needs {first:g} to "
                f"{last:g}. Extend the signal, or simulate inside it"
                + ("." if first < begin - slack else ", or use kind='hold' to keep its last value.")
            )
        if value.values.ndim == 2:
            batch.see(what, value.values.shape[0])
        signal_values = value.values.to(device=device, dtype=dtype)
        if signal_values.ndim == 2 and signal_values.shape[0] == 1:
            signal_values = signal_values[0]
        result[name] = Signal(value.times.to(device=device), signal_values, value.kind)
    return result


def _changes(
    model: Physics, changes: Sequence[Change], dtype: torch.dtype, device: Any, batch: _Batch
) -> tuple[Change, ...]:
    declared = (*model.declared.parameters, *model.declared.inputs)
    result = []
    for number, change in enumerate(changes):
        what = f"change {number + 1} of '{change.target}'"
        if change.target not in declared:
            raise ArgumentError(
                f"{what}: changes act on parameters and inputs, here {list(declared)}."
                + nearest(change.target, declared)
            )
        if change.action not in ACTIONS:
            raise ArgumentError(f"{what} has action={change.action!r}; expected {list(ACTIONS)}.")
        at = _column(f"time of {what}", change.at, torch.float64, device, batch)
        until = None
        if change.until is not None:
            until = _column(f"end of {what}", change.until, torch.float64, device, batch)
            if bool((until.detach() < at.detach()).any()):
                raise ArgumentError(
                    f"{what} ends before it begins in some row; expected until >= at."
                )
        if bool(torch.isnan(at.detach()).any()):
            raise ArgumentError(f"the time of {what} is nan in some row; use inf for never.")
        value = _column(f"value of {what}", change.value, dtype, device, batch)
        result.append(Change(at, change.action, change.target, value, until))
    return tuple(result)


def _initial_value(
    model: Physics, name: str, value: Any, dtype: torch.dtype, device: Any, batch: _Batch
) -> Tensor:
    states = model.declared.states
    if name not in states:
        raise ArgumentError(
            f"{type(model).__name__} has no state '{name}'; it has {list(states)}."
            + nearest(str(name), states)
        )
    what, size = f"initial value of '{name}'", states[name].size
    if isinstance(value, str):
        value = quantity(value, states[name].unit, what)
    if size is None:
        return _column(what, value, dtype, device, batch)
    tensor = as_numbers(value, device).to(dtype)
    if tensor.ndim == 0:
        tensor = tensor.expand(size)
    if tensor.ndim == 1:
        tensor = tensor.unsqueeze(0)
    if tensor.ndim != 2 or tensor.shape[1] != size:
        raise ShapeError(
            f"{what} has shape {tuple(tensor.shape)}; expected ({size},) or (B, {size})."
        )
    batch.see(what, tensor.shape[0])
    return tensor


def initial_states(
    model: Physics,
    given: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    inputs: Mapping[str, Signal | Tensor],
    times: Tensor,
    rows: int,
    dtype: torch.dtype,
    device: Any,
) -> Tensor:
    """Stacked initial states (n, B): given, else tied by ``initial()``, else declared."""
    states = model.declared.states
    values: dict[str, Tensor] = {key: value.expand(rows) for key, value in parameters.items()}
    values["t"] = times[..., 0].to(dtype).expand(rows)
    for name, value in inputs.items():
        if isinstance(value, Signal):
            begin = torch.searchsorted(value.times, times[..., 0].contiguous(), right=True) - 1
            picked = (
                value.values[..., begin.clamp(min=0)]
                if begin.ndim == 0
                else (
                    value.values[begin.clamp(min=0)]
                    if value.values.ndim == 1
                    else value.values.gather(1, begin.clamp(min=0)[:, None])[:, 0]
                )
            )
            values[name] = picked.expand(rows)
        else:
            values[name] = value.expand(rows)
    found: dict[str, Tensor] = {}
    for name, state in states.items():
        shape = (rows,) if state.size is None else (rows, state.size)
        if name in given:
            found[name] = given[name].expand(shape)
        elif state.initial is not None:
            found[name] = torch.full(shape, state.initial, dtype=dtype, device=device)
    if "initial" in type(model)._arguments:
        needed = [name for name in model.arguments("initial") if name in states]
        missing = [name for name in needed if name not in found]
        if missing:
            raise ArgumentError(_no_initial(model, missing[0]))
        tied = model.tied_initial({**values, **found})
        for name, value in tied.items():
            if name not in given:
                size = states[name].size
                block = torch.as_tensor(value, dtype=dtype, device=device)
                found[name] = block.expand((rows,) if size is None else (rows, size))
    for name in states:
        if name not in found:
            raise ArgumentError(_no_initial(model, name))
    blocks = []
    for name, state in states.items():
        block = found[name]
        blocks.append(block.unsqueeze(0) if state.size is None else block.movedim(-1, 0))
    return torch.cat(blocks)


def _no_initial(model: Physics, name: str) -> str:
    return (
        f"state '{name}' of {type(model).__name__} has no initial value: none was given, declared "
        f"or returned by initial(). Pass initial={{'{name}': ...}} in "
        f"{model.declared.states[name].unit!r}."
    )


def _check_solver(
    model: Physics,
    method: str,
    rtol: float,
    dt: float | None,
    dtype: torch.dtype,
    max_step: float | None,
    max_steps: int,
) -> None:
    if method != AUTO:
        tableau = method_named(method)
        if isinstance(tableau, ButcherTableau) and not tableau.adaptive and dt is None:
            raise ArgumentError(
                f"method={method!r} takes fixed steps and no dt was given; pass dt=..., in "
                f"{model.time_unit!r}, or use an adaptive method such as 'tsit5'."
            )
    for what, value in (("dt", dt), ("max_step", max_step), ("rtol", rtol)):
        if value is not None and not (
            isinstance(value, (int, float)) and math.isfinite(value) and value > 0
        ):
            raise ArgumentError(f"{what}={value!r}; expected a positive finite number.")
    if not isinstance(max_steps, int) or isinstance(max_steps, bool) or max_steps < 1:
        raise ArgumentError(f"max_steps={max_steps!r}; expected a whole number from 1.")
    floor = 4 * torch.finfo(dtype).eps
    if dt is None and rtol < floor:
        warnings.warn(
            f"rtol={rtol:g} is below what {str(dtype).removeprefix('torch.')} can give "
            f"({floor:.1e}); the step size will be limited by rounding.",
            UserWarning,
            stacklevel=4,
        )


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
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
            raise ArgumentError(
                f"atol of '{name}' is {value!r}; expected a finite number, zero or above."
            )
        # An exactly zero state with atol = 0 would divide by zero.
        rows += [max(float(value), torch.finfo(dtype).tiny)] * state.width
    return torch.tensor(rows, dtype=dtype, device=device)


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
        loose = sorted(expression.outer_names - set(fixed))
        if loose:
            raise ArgumentError(
                f"{where}: '{loose[0]}' changes along the path and stands alone; say which value "
                f"is meant, such as final({loose[0]}), max({loose[0]}) or at({loose[0]}, time)."
            )
        quantities[name] = expression
    return quantities, "quantities"
