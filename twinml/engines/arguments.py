"""Arguments of a simulation: times, parameters, inputs and changes as tensors that agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.physics import Physics, Signal
from twinml.physics.signal import as_numbers
from twinml.solve.change import ACTIONS, Change
from twinml.units import quantity

_DTYPES = (torch.float64, torch.float32)


class Batch:
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


def placed(values: Tensor, device: torch.device | None) -> Tensor:
    """Values of the host on a device; where that is a GPU, nobody waits for the copy."""
    if device is None or values.device == device:
        return values
    if device.type != "cuda" or values.device.type != "cpu":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def read_times(t: Any) -> Tensor:
    if isinstance(t, Tensor) and t.requires_grad:
        raise ArgumentError(
            "t asks for a gradient, and save points have none here. Pass t.detach(); the "
            "derivative by time is rhs itself."
        )
    try:
        times = torch.as_tensor(t, dtype=torch.float64).detach()
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


def read_column(what: str, value: Any, dtype: torch.dtype, device: Any, batch: Batch) -> Tensor:
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


def read_parameters(
    model: Physics, given: Mapping[str, Any], dtype: torch.dtype, device: Any, batch: Batch
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
                f"{what} of {type(model).__name__} has no default and was not given. Give it in "
                f"{parameter.unit!r}: parameters.{name}=<number>, in Python "
                f"parameters={{'{name}': ...}}."
            )
        if isinstance(value, str):
            value = quantity(value, parameter.unit, what)
        result[name] = read_column(what, value, dtype, device, batch)
    return result


def read_inputs(
    model: Physics,
    given: Mapping[str, Any],
    times: Tensor,
    dtype: torch.dtype,
    device: Any,
    batch: Batch,
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
                f"{what} of {type(model).__name__} has no default and was not given. Declare a "
                f"default, name its column in the twin's inputs, or in Python pass "
                f"inputs={{'{name}': tw.Signal(times, values)}} in {declaration.unit!r}."
            )
        if not isinstance(value, Signal):
            if isinstance(value, str):
                value = quantity(value, declaration.unit, what)
            result[name] = read_column(what, value, dtype, device, batch)
            continue
        known = value.times.detach()
        begin, end = float(known[0]), float(known[-1])
        if value.delay is not None:
            # before a delayed signal begins its first value holds; one that comes early must last
            early = min(float(value.delay.min()), 0.0)
            begin, end = (begin + early if early < 0 else first), end + early
            batch.see(f"the delay of {what}", value.delay.shape[0])
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
        delay = None if value.delay is None else value.delay.to(device=device)
        result[name] = Signal(value.times.to(device=device), signal_values, value.kind, delay)
    return result


def read_changes(
    model: Physics, changes: Sequence[Change], dtype: torch.dtype, device: Any, batch: Batch
) -> tuple[Change, ...]:
    declared = (*model.declared.parameters, *model.declared.inputs)
    result = []
    for number, change in enumerate(changes):
        if not isinstance(change, Change):
            raise ArgumentError(
                f"change {number + 1} is a {type(change).__name__}; expected a tw.Change, such as "
                "tw.Change(at=5.0, action='multiply', target='k', value=0.5)."
            )
        what = f"change {number + 1} of '{change.target}'"
        if change.target not in declared:
            raise ArgumentError(
                f"{what}: changes act on parameters and inputs, here {list(declared)}."
                + nearest(change.target, declared)
            )
        if change.action not in ACTIONS:
            raise ArgumentError(f"{what} has action={change.action!r}; expected {list(ACTIONS)}.")
        at = read_column(f"time of {what}", change.at, torch.float64, device, batch)
        until = None
        if change.until is not None:
            until = read_column(f"end of {what}", change.until, torch.float64, device, batch)
            if bool((until.detach() < at.detach()).any()):
                raise ArgumentError(
                    f"{what} ends before it begins in some row; expected until >= at."
                )
        if bool(torch.isnan(at.detach()).any()):
            raise ArgumentError(f"the time of {what} is nan in some row; use inf for never.")
        value = read_column(f"value of {what}", change.value, dtype, device, batch)
        result.append(Change(at, change.action, change.target, value, until))
    return tuple(result)
