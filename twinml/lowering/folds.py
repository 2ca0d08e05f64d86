"""Sums and products over components, written out from left to right."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from torch import Tensor

from twinml.lowering.axes import axis_of, dims_of, made, narrowed, own_axis, stacked, unbound
from twinml.lowering.operations import operation
from twinml.lowering.recorder import Recorder
from twinml.lowering.shapes import squeezed, unsqueezed
from twinml.lowering.values import (
    STATE_DTYPE,
    Refused,
    Traced,
    elementwise,
    is_traced,
    places_of,
    places_shape,
    shown,
)


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
        axes = tuple(own_axis(value, d, what) for d in dims_of(dim))
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
    ) -> Traced:
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
    axis = own_axis(value, dim, "sums along")
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
        above = narrowed(recorder, value, dim, slice(1, None))
        below = narrowed(recorder, value, dim, slice(0, length - 1))
        value = elementwise(recorder, lambda emit, a, b: emit("sub", a, b), [above, below])
    return value


@operation("any", "all")
def _any(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
    raise Refused("it folds tests", "Combine them by | and &.")


def product_of(recorder: Recorder, a: Traced, b: Traced) -> Traced:
    """A matrix product: sums of products from left to right, each written out."""
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
        [unsqueezed(recorder, left, -1), unsqueezed(recorder, right, -3)],
    )
    product = sum_over(recorder, terms, -2)
    if a is not left:
        product = squeezed(recorder, product, -2)
    if b is not right:
        product = squeezed(recorder, product, -1)
    return product


def _with_axes(recorder: Recorder, value: Traced, dim: int) -> Traced:
    """A vector as a matrix of one row or one column."""
    shape = places_shape(value)
    if not shape:
        raise Refused("it multiplies a number as a matrix", "Use * for numbers.")
    if len(shape) > 1:
        return value
    return unsqueezed(recorder, value, dim)


@operation("outer", "ger")
def _outer(recorder: Recorder, input: Any, vec2: Any) -> Traced:
    raise Refused("it takes vectors without a batch", "Use a.unsqueeze(-1) * b.unsqueeze(-2).")


@operation("cross", "linalg_cross")
def _cross(recorder: Recorder, input: Any, other: Any, dim: int = -1) -> Traced:
    a, b = recorder.value(input), recorder.value(other)
    x, y = unbound(recorder, a, dim), unbound(recorder, b, dim)
    if len(x) != 3 or len(y) != 3:
        raise Refused("it takes vectors of three components", "Write its components.")

    def component(i: int, j: int) -> Traced:
        return elementwise(
            recorder,
            lambda emit, p, q, r, s: emit("sub", emit("mul", p, q), emit("mul", r, s)),
            [x[i], y[j], x[j], y[i]],
        )

    return stacked(recorder, [component(1, 2), component(2, 0), component(0, 1)], dim)
