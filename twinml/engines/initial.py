"""Initial states: given, tied to others by the model, or declared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from twinml.engines.arguments import Batch, read_column
from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.physics import Physics, Signal
from twinml.physics.signal import as_numbers
from twinml.units import quantity

_DTYPES = (torch.float64, torch.float32)


def read_initial(
    model: Physics, name: str, value: Any, dtype: torch.dtype, device: Any, batch: Batch
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
        return read_column(what, value, dtype, device, batch)
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
            first = times[..., 0] if value.delay is None else times[..., 0] - value.delay
            begin = torch.searchsorted(value.times, first.contiguous(), right=True) - 1
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
            one = (1, *shape[1:])
            found[name] = torch.full(one, state.initial, dtype=dtype, device=device).expand(shape)
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
    if rows > 1 and all(block.stride(-1) == 0 for block in blocks):
        # The same start for all rows is kept once.
        return torch.cat([block[:, :1] for block in blocks]).expand(-1, rows)
    return torch.cat(blocks)


def _no_initial(model: Physics, name: str) -> str:
    return (
        f"state '{name}' of {type(model).__name__} has no initial value: none was given, declared "
        f"or returned by initial(). Declare it, as in State({model.declared.states[name].unit!r}, "
        f"initial=...), or give initial.{name}=<number>; in Python initial={{'{name}': ...}}."
    )
