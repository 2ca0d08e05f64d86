"""Layers of networks and tables: what reads tensors of the model by pointer."""

from __future__ import annotations

from typing import Any

import numpy as np

from twinml.lowering.folds import product_of
from twinml.lowering.operations import operation
from twinml.lowering.program import Linear, Pack, Table
from twinml.lowering.recorder import Recorder
from twinml.lowering.shapes import squeezed, transposed, unsqueezed
from twinml.lowering.values import (
    ROWS,
    Refused,
    Traced,
    elementwise,
    places_of,
    places_shape,
    shown,
)

# Products of at most so many numbers are written out: their slopes keep the pattern of zeros.
_WRITTEN_OUT = 100


@operation("linear")
def _linear(recorder: Recorder, input: Any, weight: Any, bias: Any = None) -> Traced:
    x, w = recorder.value(input), recorder.value(weight)
    b = None if bias is None else recorder.value(bias)
    given, wanted = places_shape(x), places_shape(w)
    if not given or len(wanted) != 2 or given[-1] != wanted[-1] or x._batch == len(given) - 1:
        raise Refused(
            f"it has an input of shape {shown(given)} and a weight of shape {shown(wanted)}",
            "Stack the inputs by torch.stack([...], dim=-1), as many as the layer has.",
        )
    by_pointer = w._tensor is not None and (b is None or b._tensor is not None)
    if not by_pointer:
        product = product_of(recorder, x, transposed(recorder, w))
        if b is None:
            return product
        return elementwise(recorder, lambda emit, p, q: emit("add", p, q), [product, b])
    assert w._tensor is not None
    outputs, inputs = wanted
    bias_number = None if b is None else b._tensor
    if b is not None and places_shape(b) != (outputs,):
        raise Refused(f"its bias has shape {shown(places_shape(b))}", f"Give it ({outputs},).")
    layer = Linear(w._tensor, bias_number, 0, inputs, outputs)
    if len(given) == 1 or (len(given) == 2 and x._batch == 0):
        vector = x._vector
        if vector is None:
            vector = recorder.builder.add(Pack(tuple(places_of(x).ravel().tolist())))
        return Traced(recorder, None, x._batch, vector=_over(recorder, layer, vector))
    places = places_of(x)
    rows = []
    for row in places.reshape(-1, inputs).tolist():
        vector = _over(recorder, layer, recorder.builder.add(Pack(tuple(row))))
        rows.append(places_of(Traced(recorder, None, None, vector=vector)))
    joined = np.array(rows, dtype=np.intp).reshape(*places.shape[:-1], outputs)
    return Traced(recorder, joined, x._batch)


def _over(recorder: Recorder, layer: Linear, vector: int) -> int:
    return recorder.builder.add(
        Linear(layer.weight, layer.bias, vector, layer.inputs, layer.outputs)
    )


@operation("matmul", "mm", "mv", "bmm", "dot", "inner", "vdot", "linalg_matmul")
def _matmul(recorder: Recorder, input: Any, other: Any) -> Traced:
    a, b = recorder.value(input), recorder.value(other)
    large = np.prod([s for s in places_shape(b) if s != ROWS], dtype=int) > _WRITTEN_OUT
    if b._turned is not None and large and _is_row(a):
        return _linear(recorder, a, b._turned)
    large = np.prod(places_shape(a), dtype=int) > _WRITTEN_OUT
    shape = places_shape(b)
    if a._tensor is not None and large and len(shape) == 3 and shape[-1] == 1 and b._batch == 0:
        return unsqueezed(recorder, _linear(recorder, squeezed(recorder, b, -1), a), -1)
    return product_of(recorder, a, b)


def _is_row(value: Traced) -> bool:
    """A vector for all rows, or one in each."""
    count = len(places_shape(value))
    return count == 1 or (count == 2 and value._batch == 0)


@operation("rmatmul")
def _rmatmul(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _matmul(recorder, other, input)


@operation("interp")
def _interp(recorder: Recorder, x: Any, knots: Any, values: Any) -> Traced:
    place, left, right = recorder.value(x), recorder.value(knots), recorder.value(values)
    shape = places_shape(left)
    if len(shape) != 1 or places_shape(right) != shape or shape[0] < 2:
        raise Refused(
            f"it has a table of shapes {shown(shape)} and {shown(places_shape(right))}",
            "Give knots and values of shape (K,), K from 2.",
        )
    if left._tensor is None or right._tensor is None:
        raise Refused(
            "its table is computed in the equation",
            "Keep knots and values as buffers: self.register_buffer('knots', torch.tensor([...])).",
        )
    number, heights = left._tensor, right._tensor

    def read(emit: Any, at: int) -> int:
        return emit.builder.add(Table(number, heights, shape[0], at))

    return elementwise(recorder, read, [Traced(recorder, places_of(place), place._batch)])
