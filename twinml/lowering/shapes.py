"""Operations that change a shape only, and new values in the shape of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from twinml.lowering.axes import axis_of, made
from twinml.lowering.operations import operation
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    ROWS,
    Refused,
    Traced,
    broadcast,
    is_bool,
    is_traced,
    literal,
    places_of,
    places_shape,
    shown,
)


@operation("unsqueeze")
def unsqueezed(recorder: Recorder, input: Any, dim: int) -> Traced:
    value = recorder.value(input)
    axis = axis_of(value, dim, extra=1)
    batch = None if value._batch is None else value._batch + (axis <= value._batch)
    return made(recorder, np.expand_dims(places_of(value), axis), batch)


@operation("squeeze")
def _squeeze(recorder: Recorder, input: Any, dim: int | None = None) -> Traced:
    value = recorder.value(input)
    shape = places_shape(value)
    if dim is None:
        for axis in reversed([i for i, size in enumerate(shape) if size == 1]):
            value = squeezed(recorder, value, axis)
        return value
    return squeezed(recorder, value, dim) if shape[axis_of(value, dim)] == 1 else value


def squeezed(recorder: Recorder, value: Traced, dim: int) -> Traced:
    axis = axis_of(value, dim)
    batch = None if value._batch is None else value._batch - (axis < value._batch)
    return made(recorder, np.squeeze(places_of(value), axis), batch)


@operation("permute")
def _permute(recorder: Recorder, input: Any, *dims: Any) -> Traced:
    value = recorder.value(input)
    order = [axis_of(value, d) for d in (dims[0] if isinstance(dims[0], (tuple, list)) else dims)]
    batch = None if value._batch is None else order.index(value._batch)
    return made(recorder, places_of(value).transpose(order), batch)


@operation("transpose", "swapaxes", "swapdims")
def _transpose(recorder: Recorder, input: Any, dim0: int, dim1: int) -> Traced:
    value = recorder.value(input)
    order = list(range(len(places_shape(value))))
    a, b = axis_of(value, dim0), axis_of(value, dim1)
    if order == [0, 1] and a != b and value._tensor is not None:
        return Traced(recorder, None, None, turned=value)
    order[a], order[b] = b, a
    return _permute(recorder, value, order)


@operation("T", "t", "mT")
def transposed(recorder: Recorder, input: Any) -> Traced:
    value = recorder.value(input)
    if len(places_shape(value)) < 2:
        return value
    return _transpose(recorder, value, -2, -1)


@operation("movedim", "moveaxis")
def _movedim(recorder: Recorder, input: Any, source: int, destination: int) -> Traced:
    value = recorder.value(input)
    a, b = axis_of(value, source), axis_of(value, destination)
    order = [i for i in range(len(places_shape(value))) if i != a]
    order.insert(b, a)
    return _permute(recorder, value, order)


@operation("reshape", "view")
def _reshape(recorder: Recorder, input: Any, *shape: Any) -> Traced:
    value = recorder.value(input)
    wanted = list(shape[0] if isinstance(shape[0], (tuple, list)) else shape)
    places, batch = places_of(value), value._batch
    if batch is None:
        return made(recorder, places.reshape(wanted), None)
    lead = int(np.prod(places.shape[:batch], dtype=int))
    if ROWS not in wanted and -1 in wanted:
        wanted[wanted.index(-1)] = ROWS
    if wanted.count(ROWS) != 1:
        raise Refused(
            "it mixes rows of the batch with components", "Keep the rows as the first axis."
        )
    axis = wanted.index(ROWS)
    before = [size for size in wanted[:axis]]
    if -1 in before or int(np.prod(before, dtype=int)) != lead:
        raise Refused(
            "it mixes rows of the batch with components", "Keep the rows as the first axis."
        )
    return made(recorder, places.reshape([1 if size == ROWS else size for size in wanted]), axis)


@operation("flatten")
def _flatten(recorder: Recorder, input: Any, start_dim: int = 0, end_dim: int = -1) -> Traced:
    value = recorder.value(input)
    shape = list(places_shape(value))
    if not shape:
        return _reshape(recorder, value, 1)
    a, b = axis_of(value, start_dim), axis_of(value, end_dim)
    if value._batch is not None and a <= value._batch <= b and b > a:
        raise Refused("it mixes rows of the batch with components", "Use start_dim=1.")
    size = int(np.prod(shape[a : b + 1], dtype=int))
    return _reshape(recorder, value, [*shape[:a], size, *shape[b + 1 :]])


@operation("expand", "broadcast_to")
def _expand(recorder: Recorder, input: Any, *shape: Any) -> Traced:
    value = recorder.value(input)
    wanted = list(shape[0] if isinstance(shape[0], (tuple, list)) else shape)
    own = places_shape(value)
    for i in range(1, len(own) + 1):
        if wanted[-i] == -1:
            wanted[-i] = own[-i]
    batch = wanted.index(ROWS) if ROWS in wanted else None
    target = [1 if size == ROWS else size for size in wanted]
    frame = Traced(recorder, np.zeros(target, dtype=np.intp), batch)
    arrays, batch = broadcast([value, frame])
    if list(arrays[0].shape) != target:
        raise Refused(f"it spreads {shown(own)} to {shown(tuple(wanted))}", "Use x.unsqueeze(-1).")
    return made(recorder, arrays[0], batch)


@operation("expand_as")
def _expand_as(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _expand(recorder, input, tuple(places_shape(recorder.value(other))))


@operation("broadcast_tensors")
def _broadcast_tensors(recorder: Recorder, *tensors: Any) -> tuple[Traced, ...]:
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    arrays, batch = broadcast([recorder.value(item) for item in given])
    return tuple(made(recorder, array, batch) for array in arrays)


@operation("size")
def _size(recorder: Recorder, input: Any, dim: int | None = None) -> Any:
    shape = torch.Size(places_shape(recorder.value(input)))
    return shape if dim is None else shape[dim]


@operation("dim", "ndimension")
def _dim(recorder: Recorder, input: Any) -> int:
    return len(places_shape(recorder.value(input)))


@operation("len")
def _len(recorder: Recorder, input: Any) -> int:
    return places_shape(recorder.value(input))[0]


@operation("numel", "nelement")
def _numel(recorder: Recorder, input: Any) -> int:
    return int(np.prod(places_shape(recorder.value(input)), dtype=int))


def _filled(recorder: Recorder, shape: tuple[int, ...], number: Any) -> Traced:
    value = literal(recorder, number)
    return _expand(recorder, value, shape)


def _like(number: float | None) -> Callable[..., Traced]:
    def handler(recorder: Recorder, input: Any, fill_value: Any = None, **options: Any) -> Traced:
        value = recorder.value(input)
        filling = fill_value if number is None else number
        boolean = is_bool(value) and options.get("dtype") is None
        boolean = boolean or options.get("dtype") == torch.bool
        return _filled(recorder, places_shape(value), bool(filling) if boolean else filling)

    return handler


operation("zeros_like")(_like(0.0))
operation("ones_like")(_like(1.0))


def _number(recorder: Recorder, value: Any) -> Any:
    if is_traced(value):
        raise Refused("its filling is a tensor", "Use fill.expand(x.shape).")
    return value


@operation("full_like", "new_full")
def _full_like(recorder: Recorder, input: Any, *args: Any, **options: Any) -> Traced:
    value = recorder.value(input)
    shape = places_shape(value)
    given = list(args)
    if len(given) == 2 or "size" in options:
        shape = tuple(given.pop(0) if given and len(given) == 2 else options["size"])
    filling = given[0] if given else options["fill_value"]
    return _filled(recorder, shape, _number(recorder, filling))


@operation("new_zeros")
def _new_zeros(recorder: Recorder, input: Any, *size: Any, **options: Any) -> Traced:
    return _filled(recorder, _sizes(size), 0.0)


@operation("new_ones")
def _new_ones(recorder: Recorder, input: Any, *size: Any, **options: Any) -> Traced:
    return _filled(recorder, _sizes(size), 1.0)


def _sizes(size: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(size[0]) if size and isinstance(size[0], (tuple, list)) else size


@operation("new_tensor", "tensor", "as_tensor", "scalar_tensor", "asarray")
def _tensor(recorder: Recorder, *args: Any, **options: Any) -> Traced:
    data = args[-1]
    if is_traced(data):
        return data
    if not isinstance(data, (bool, int, float)):
        if any(is_traced(part) for part in data):
            raise Refused("it makes a tensor of tensors", "Use torch.stack([...], dim=-1).")
        data = torch.tensor(data, dtype=torch.float64)
    return literal(recorder, data)
