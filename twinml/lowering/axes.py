"""Joining and picking components. Rows of the batch never meet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.lowering.operations import operation
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    Refused,
    Traced,
    broadcast,
    elementwise,
    is_bool,
    is_traced,
    places_of,
    places_shape,
    shown,
)


def made(recorder: Recorder, places: np.ndarray, batch: int | None) -> Traced:
    return Traced(recorder, np.asarray(places, dtype=np.intp), batch)


def axis_of(value: Traced, dim: Any, extra: int = 0) -> int:
    """A dimension counted from the left."""
    count = len(places_shape(value)) + extra
    if is_traced(dim) or isinstance(dim, bool) or not isinstance(dim, (int, np.integer)):
        raise TypeError(f"dim={dim!r}")
    if not -count <= dim < count:
        raise IndexError(f"dim={dim} of {count} dimensions")
    return int(dim) % count


def own_axis(value: Traced, dim: Any, what: str) -> int:
    """A dimension that is not the batch.

    Raises:
        Refused: it is the batch.
    """
    axis = axis_of(value, dim)
    if axis == value._batch:
        raise Refused(
            f"it {what} dim={dim}, the rows of the batch, and each row is a world of its own",
            "Write the equation for one row; components of a State(size=k) lie on dim=-1.",
        )
    return axis


@operation("stack")
def stacked(recorder: Recorder, tensors: Sequence[Any], dim: int = 0) -> Traced:
    values = [recorder.value(item) for item in tensors]
    if len({len(places_shape(value)) for value in values}) > 1:
        raise Refused("it joins tensors of unlike shapes", "Give all of them one shape.")
    values = _alike(recorder, values)
    arrays, batch = broadcast(values)
    axis = axis_of(values[0], dim, extra=1)
    moved = None if batch is None else batch + (axis <= batch)
    return made(recorder, np.stack(arrays, axis), moved)


def _alike(recorder: Recorder, values: list[Traced]) -> list[Traced]:
    """All tests, or all numbers."""
    if all(is_bool(value) for value in values):
        return values
    return [
        elementwise(recorder, lambda emit, x: x, [value]) if is_bool(value) else value
        for value in values
    ]


@operation("cat", "concat", "concatenate", "hstack")
def _cat(recorder: Recorder, tensors: Sequence[Any], dim: int = 0) -> Traced:
    values = _alike(recorder, [recorder.value(item) for item in tensors])
    axis = axis_of(values[0], dim)
    batches = {value._batch for value in values if value._batch is not None}
    if axis in batches:
        own_axis(values[0], dim, "joins along")
    if len(batches) > 1:
        raise Refused("it joins tensors whose batch axes do not meet", "Use dim=-1.")
    batch = next(iter(batches), None)
    arrays = [places_of(value) for value in values]
    if batch is not None and any(value._batch is None for value in values):
        raise Refused(
            "it joins values of each row with values that all rows share",
            "Bring the shared ones to all rows by c.expand(x.shape).",
        )
    return made(recorder, np.concatenate(arrays, axis), batch)


@operation("unbind")
def unbound(recorder: Recorder, input: Any, dim: int = 0) -> tuple[Traced, ...]:
    value = recorder.value(input)
    axis = own_axis(value, dim, "takes apart")
    places, batch = places_of(value), value._batch
    left = None if batch is None else batch - (axis < batch)
    return tuple(made(recorder, np.take(places, i, axis), left) for i in range(places.shape[axis]))


@operation("split")
def _split(recorder: Recorder, input: Any, split_size: Any, dim: int = 0) -> tuple[Traced, ...]:
    value = recorder.value(input)
    length = places_of(value).shape[own_axis(value, dim, "takes apart")]
    if isinstance(split_size, int):
        sizes = [min(split_size, length - a) for a in range(0, length, split_size)]
    else:
        sizes = list(split_size)
    ends = list(itertools.accumulate(sizes))
    if ends[-1] != length:
        raise ValueError(f"parts of {sizes} for {length} components")
    starts = [0, *ends[:-1]]
    return tuple(
        narrowed(recorder, value, dim, slice(a, b)) for a, b in zip(starts, ends, strict=True)
    )


@operation("chunk")
def _chunk(recorder: Recorder, input: Any, chunks: int, dim: int = 0) -> tuple[Traced, ...]:
    value = recorder.value(input)
    length = places_of(value).shape[own_axis(value, dim, "takes apart")]
    return _split(recorder, value, -(-length // chunks), dim)


@operation("getitem")
def _getitem(recorder: Recorder, input: Any, key: Any) -> Traced:
    value = recorder.value(input)
    places = places_of(value)
    keys = list(key) if isinstance(key, tuple) else [key]
    consumed = sum(1 for part in keys if part is not None and part is not Ellipsis)
    fill = [slice(None)] * (places.ndim - consumed)
    if any(part is Ellipsis for part in keys):
        at = next(i for i, part in enumerate(keys) if part is Ellipsis)
        keys[at : at + 1] = fill
    else:
        keys += fill
    found: list[Any] = []
    axis, batch, shape_axis, lists = 0, None, 0, 0
    for part in keys:
        if part is None:
            found.append(None)
            shape_axis += 1
            continue
        if axis >= places.ndim:
            raise IndexError(f"{len(keys)} indices for shape {shown(places_shape(value))}")
        if axis == value._batch:
            if part != slice(None):
                own_axis(value, axis, "picks from")
            batch = shape_axis
        plain = _index(recorder, part)
        lists += isinstance(plain, list)
        found.append(plain)
        shape_axis += not isinstance(plain, int)
        axis += 1
    if lists > 1:
        raise Refused("it picks by several lists", "Pick by one list after another.")
    return made(recorder, places[tuple(found)], batch)


def _index(recorder: Recorder, part: Any) -> int | slice | list[int]:
    if isinstance(part, slice) or (isinstance(part, int) and not isinstance(part, bool)):
        return part
    if isinstance(part, np.integer):
        return int(part)
    if isinstance(part, Tensor) and not is_traced(part) and not part.is_floating_point():
        if id(part) in recorder._literals and part.dtype != torch.bool:
            return part.tolist()
        raise Refused(
            "it picks by a tensor whose values may change",
            "Pick by numbers, slices or a list of numbers.",
        )
    if isinstance(part, (list, tuple, range)):
        return [int(i) for i in part]
    raise Refused("it picks by values", "Choose by torch.where(condition, a, b).")


@operation("select")
def _select(recorder: Recorder, input: Any, dim: int, index: int) -> Traced:
    return narrowed(recorder, input, dim, index)


@operation("narrow")
def _narrow(recorder: Recorder, input: Any, dim: int, start: int, length: int) -> Traced:
    return narrowed(recorder, input, dim, slice(start, start + length))


def narrowed(recorder: Recorder, input: Any, dim: int, part: Any) -> Traced:
    value = recorder.value(input)
    return _getitem(recorder, value, (slice(None),) * own_axis(value, dim, "picks from") + (part,))


@operation("index_select")
def _index_select(recorder: Recorder, input: Any, dim: int, index: Any) -> Traced:
    return narrowed(recorder, input, dim, index)


@operation("flip")
def _flip(recorder: Recorder, input: Any, dims: Any) -> Traced:
    value = recorder.value(input)
    axes = [own_axis(value, d, "turns round") for d in dims_of(dims)]
    return made(recorder, np.flip(places_of(value), tuple(axes)), value._batch)


@operation("roll")
def _roll(recorder: Recorder, input: Any, shifts: Any, dims: Any = None) -> Traced:
    value = recorder.value(input)
    if dims is None:
        raise Refused("it rolls all axes as one", "Say dims=-1.")
    axes = [own_axis(value, d, "rolls") for d in dims_of(dims)]
    return made(recorder, np.roll(places_of(value), dims_of(shifts), axes), value._batch)


def dims_of(dims: Any) -> tuple[int, ...]:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


@operation("pad")
def _pad(
    recorder: Recorder, input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Traced:
    source = recorder.value(input)
    places = places_of(source)
    widths = [(0, 0)] * places.ndim
    for i in range(len(pad) // 2):
        axis = own_axis(source, -1 - i, "pads")
        widths[axis] = (int(pad[2 * i]), int(pad[2 * i + 1]))
    if mode == "constant":
        filling = recorder.builder.constant(float(value or 0.0))
        return made(recorder, np.pad(places, widths, constant_values=filling), source._batch)
    modes: dict[str, Any] = {"replicate": "edge", "reflect": "reflect", "circular": "wrap"}
    return made(recorder, np.pad(places, widths, mode=modes[mode]), source._batch)
