"""Operations on the axes of small arrays: joining, picking, summing. Rows of the batch never meet."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.lowering.operations import operation
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    ROWS,
    STATE_DTYPE,
    Refused,
    Traced,
    broadcast,
    elementwise,
    is_bool,
    is_traced,
    literal,
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


def _own_axis(value: Traced, dim: Any, what: str) -> int:
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


# Joining


@operation("stack")
def _stack(recorder: Recorder, tensors: Sequence[Any], dim: int = 0) -> Traced:
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
        _own_axis(values[0], dim, "joins along")
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
def _unbind(recorder: Recorder, input: Any, dim: int = 0) -> tuple[Traced, ...]:
    value = recorder.value(input)
    axis = _own_axis(value, dim, "takes apart")
    places, batch = places_of(value), value._batch
    left = None if batch is None else batch - (axis < batch)
    return tuple(made(recorder, np.take(places, i, axis), left) for i in range(places.shape[axis]))


@operation("split", "tensor_split", "chunk")
def _split(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    raise Refused("it has no kernel", "Take the parts by x[..., a:b].")


# Picking


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
                _own_axis(value, axis, "picks from")
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
    return _narrowed(recorder, input, dim, index)


@operation("narrow")
def _narrow(recorder: Recorder, input: Any, dim: int, start: int, length: int) -> Traced:
    return _narrowed(recorder, input, dim, slice(start, start + length))


def _narrowed(recorder: Recorder, input: Any, dim: int, part: Any) -> Traced:
    value = recorder.value(input)
    return _getitem(recorder, value, (slice(None),) * _own_axis(value, dim, "picks from") + (part,))


@operation("index_select")
def _index_select(recorder: Recorder, input: Any, dim: int, index: Any) -> Traced:
    return _narrowed(recorder, input, dim, index)


@operation("flip")
def _flip(recorder: Recorder, input: Any, dims: Any) -> Traced:
    value = recorder.value(input)
    axes = [_own_axis(value, d, "turns round") for d in _dims(dims)]
    return made(recorder, np.flip(places_of(value), axes), value._batch)


@operation("roll")
def _roll(recorder: Recorder, input: Any, shifts: Any, dims: Any = None) -> Traced:
    value = recorder.value(input)
    if dims is None:
        raise Refused("it rolls all axes as one", "Say dims=-1.")
    axes = [_own_axis(value, d, "rolls") for d in _dims(dims)]
    return made(recorder, np.roll(places_of(value), _dims(shifts), axes), value._batch)


def _dims(dims: Any) -> tuple[int, ...]:
    return tuple(dims) if isinstance(dims, (tuple, list)) else (dims,)


@operation("pad")
def _pad(
    recorder: Recorder, input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None
) -> Traced:
    source = recorder.value(input)
    places = places_of(source)
    widths = [(0, 0)] * places.ndim
    for i in range(len(pad) // 2):
        axis = _own_axis(source, -1 - i, "pads")
        widths[axis] = (int(pad[2 * i]), int(pad[2 * i + 1]))
    if mode == "constant":
        filling = recorder.builder.constant(float(value or 0.0))
        return made(recorder, np.pad(places, widths, constant_values=filling), source._batch)
    modes: dict[str, Any] = {"replicate": "edge", "reflect": "reflect", "circular": "wrap"}
    return made(recorder, np.pad(places, widths, mode=modes[mode]), source._batch)


# Folding


def _fold(
    recorder: Recorder, value: Traced, dim: Any, keepdim: bool, op: Callable[..., int], what: str
) -> Traced:
    """One number of the elements along one or all own axes, from left to right."""
    shape = places_shape(value)
    if dim is None or dim == ():
        if value._batch is not None:
            raise Refused(
                f"it {what} everything, the rows of the batch too",
                "Say dim=-1 for the components of a State(size=k).",
            )
        axes = tuple(range(len(shape)))
    else:
        axes = tuple(_own_axis(value, d, what) for d in _dims(dim))
    places = places_of(value)
    kept = [axis for axis in range(places.ndim) if axis not in axes]
    flat = places.transpose(*kept, *axes).reshape(*(places.shape[a] for a in kept), -1)
    if flat.shape[-1] == 0:
        raise Refused(f"it {what} no elements", "Leave it out.")
    emit = recorder.emit
    result = np.array(
        [
            reduce(lambda a, b: op(emit, a, b), [emit.real(p) for p in row])
            for row in flat.reshape(-1, flat.shape[-1]).tolist()
        ],
        dtype=np.intp,
    ).reshape(flat.shape[:-1])
    batch = None if value._batch is None else kept.index(value._batch)
    if keepdim:
        result = np.expand_dims(result, axes)
        batch = value._batch
    return made(recorder, result, batch)


def _folding(op: str, what: str) -> Callable[..., Traced]:
    def handler(
        recorder: Recorder, input: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None
    ) -> Traced:  # noqa: E501
        _check_dtype(dtype)
        value = recorder.value(input)
        return _fold(recorder, value, dim, keepdim, lambda emit, a, b: emit(op, a, b), what)

    return handler


def _check_dtype(dtype: Any) -> None:
    if dtype not in (None, STATE_DTYPE):
        raise Refused(f"it casts to {dtype}", "Leave dtype= out.")


sum_over = operation("sum")(_folding("add", "sums"))
operation("prod")(_folding("mul", "multiplies"))
amax = operation("amax")(_folding("maximum", "takes the largest of"))
amin = operation("amin")(_folding("minimum", "takes the smallest of"))


@operation("mean")
def _mean(
    recorder: Recorder, input: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Traced:
    value = recorder.value(input)
    total = sum_over(recorder, value, dim, keepdim, dtype)
    count = places_of(value).size // max(places_of(total).size, 1)
    return elementwise(recorder, lambda emit, x: emit("div", x, float(count)), [total])


@operation("norm", "linalg_norm", "linalg_vector_norm", "vector_norm")
def _norm(
    recorder: Recorder, input: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, p: Any = 2
) -> Traced:
    if ord not in (2, 2.0, None, "fro") or p not in (2, 2.0, "fro"):
        raise Refused("it is another norm than the Euclidean", "Write it by sums.")
    value = recorder.value(input)
    squares = elementwise(recorder, lambda emit, x: emit("mul", x, x), [value])
    total = sum_over(recorder, squares, dim, keepdim)
    return elementwise(recorder, lambda emit, x: emit("sqrt", x), [total])


@operation("max", "min")
def _extremum(recorder: Recorder, *args: Any, **kwargs: Any) -> Any:
    raise Refused(
        "it takes the extremum of an array", "Use torch.amax(x, dim=-1) or torch.maximum(a, b)."
    )


def _extremum_of(pair: str, name: str) -> Callable[..., Traced]:
    def handler(recorder: Recorder, input: Any, other: Any = None, **kwargs: Any) -> Traced:
        if other is None or kwargs or not (is_traced(other) or isinstance(other, Tensor)):
            return _extremum(recorder)
        values = [recorder.value(input), recorder.value(other)]
        return elementwise(recorder, lambda emit, a, b: emit(pair, a, b), values)

    return operation(name)(handler)


_extremum_of("maximum", "max")
_extremum_of("minimum", "min")


@operation("softmax")
def _softmax(recorder: Recorder, input: Any, dim: int, dtype: Any = None, **_: Any) -> Traced:
    _check_dtype(dtype)
    value = recorder.value(input)
    top = amax(recorder, value, dim, True)
    raised = elementwise(recorder, lambda emit, x, m: emit("exp", emit("sub", x, m)), [value, top])
    total = sum_over(recorder, raised, dim, True)
    return elementwise(recorder, lambda emit, x, s: emit("div", x, s), [raised, total])


@operation("cumsum")
def _cumsum(recorder: Recorder, input: Any, dim: int, dtype: Any = None) -> Traced:
    _check_dtype(dtype)
    value = recorder.value(input)
    axis = _own_axis(value, dim, "sums along")
    rows = np.moveaxis(places_of(value), axis, -1)
    emit = recorder.emit
    result = [
        list(itertools.accumulate(row, lambda a, b: emit("add", a, b)))
        for row in rows.reshape(-1, rows.shape[-1]).tolist()
    ]
    folded = np.array(result, dtype=np.intp).reshape(rows.shape)
    return made(recorder, np.moveaxis(folded, -1, axis), value._batch)


@operation("diff")
def _diff(recorder: Recorder, input: Any, n: int = 1, dim: int = -1) -> Traced:
    value = recorder.value(input)
    for _ in range(n):
        length = places_shape(value)[axis_of(value, dim)]
        above = _narrowed(recorder, value, dim, slice(1, None))
        below = _narrowed(recorder, value, dim, slice(0, length - 1))
        value = elementwise(recorder, lambda emit, a, b: emit("sub", a, b), [above, below])
    return value


@operation("any", "all")
def _any(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
    raise Refused("it folds tests", "Combine them by | and &.")


# Products


@operation("matmul", "mm", "mv", "bmm", "dot", "inner", "vdot", "linalg_matmul")
def matmul(recorder: Recorder, input: Any, other: Any) -> Traced:
    """Sums of products from left to right, each written out."""
    a, b = recorder.value(input), recorder.value(other)
    left, right = _with_axes(recorder, a, 0), _with_axes(recorder, b, 1)
    x, y = places_of(left), places_of(right)
    if left._batch == x.ndim - 1 or right._batch == y.ndim - 2:
        raise Refused(
            f"it sums over the rows of the batch in shapes {shown(places_shape(a))} and "
            f"{shown(places_shape(b))}",
            "Keep the rows out of the sum: x @ A.T for x of shape (B, k).",
        )
    if x.shape[-1] != y.shape[-2]:
        raise Refused(
            f"it multiplies shapes {shown(places_shape(a))} and {shown(places_shape(b))}",
            "Bring both to one number of components.",
        )
    terms = elementwise(
        recorder,
        lambda emit, p, q: emit("mul", p, q),
        [_unsqueeze(recorder, left, -1), _unsqueeze(recorder, right, -3)],
    )
    product = sum_over(recorder, terms, -2)
    if a is not left:
        product = _squeezed(recorder, product, -2)
    if b is not right:
        product = _squeezed(recorder, product, -1)
    return product


def _with_axes(recorder: Recorder, value: Traced, dim: int) -> Traced:
    """A vector as a matrix of one row or one column."""
    shape = places_shape(value)
    if not shape:
        raise Refused("it multiplies a number as a matrix", "Use * for numbers.")
    if len(shape) > 1:
        return value
    return _unsqueeze(recorder, value, dim)


@operation("rmatmul")
def _rmatmul(recorder: Recorder, input: Any, other: Any) -> Traced:
    return matmul(recorder, other, input)


@operation("outer", "ger")
def _outer(recorder: Recorder, input: Any, vec2: Any) -> Traced:
    raise Refused("it takes vectors without a batch", "Use a.unsqueeze(-1) * b.unsqueeze(-2).")


@operation("cross", "linalg_cross")
def _cross(recorder: Recorder, input: Any, other: Any, dim: int = -1) -> Traced:
    a, b = recorder.value(input), recorder.value(other)
    x, y = _unbind(recorder, a, dim), _unbind(recorder, b, dim)
    if len(x) != 3 or len(y) != 3:
        raise Refused("it takes vectors of three components", "Write its components.")

    def component(i: int, j: int) -> Traced:
        return elementwise(
            recorder,
            lambda emit, p, q, r, s: emit("sub", emit("mul", p, q), emit("mul", r, s)),
            [x[i], y[j], x[j], y[i]],
        )

    return _stack(recorder, [component(1, 2), component(2, 0), component(0, 1)], dim)


# Shape only


@operation("unsqueeze")
def _unsqueeze(recorder: Recorder, input: Any, dim: int) -> Traced:
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
            value = _squeezed(recorder, value, axis)
        return value
    return _squeezed(recorder, value, dim) if shape[axis_of(value, dim)] == 1 else value


def _squeezed(recorder: Recorder, value: Traced, dim: int) -> Traced:
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
    order[a], order[b] = b, a
    return _permute(recorder, value, order)


@operation("T", "t", "mT")
def _transposed(recorder: Recorder, input: Any) -> Traced:
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


# New values in the shape of others


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
