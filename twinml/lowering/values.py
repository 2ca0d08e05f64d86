"""What a tensor is while an equation is followed: an array of places in a program.

The batch is one axis of length 1 in the array and of ``ROWS`` to whoever asks for the shape: rows
never meet, so one row stands for all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from twinml.lowering.program import (
    OPERATIONS,
    Builder,
    Item,
    Load,
    Truth,
    Wide,
    kind_of,
    width_of,
)

# The number of rows that shapes show: no axis of a real model has this length.
ROWS = 7919
# Stands for "the dtype of the state": no equation names it, so casts to others are told apart.
STATE_DTYPE = torch.bfloat16


class Refused(Exception):
    """An operation that has no kernel: why, and what to write instead."""

    def __init__(self, reason: str, rewrite: str) -> None:
        super().__init__(reason)
        self.reason, self.rewrite = reason, rewrite


class NotWide(Exception):
    """An operation that vectors do not have; it is done element by element."""


@final
class Emit:
    """Enters scalar operations: ``emit("mul", place, 2.0)``; a float is a number, an int a place.

    Over the places of vectors the operation is entered once for all elements.
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def __call__(self, op: str, *args: int | float) -> int:
        nodes = self.builder.nodes
        places = [self.builder.constant(a) if isinstance(a, float) else a for a in args]
        sizes = {width_of(nodes[p]) for p in places if kind_of(nodes[p]) == "vector"}
        if not sizes:
            return self.builder.apply(op, *places)
        known = OPERATIONS[op]
        if len(sizes) > 1 or "b" in known.operands or known.result != "real":
            raise NotWide
        return self.builder.add(Wide(op, tuple(places), sizes.pop()))

    def real(self, place: int) -> int:
        """A test as the number 1 or 0; a number as it is."""
        if kind_of(self.builder.nodes[place]) != "bool":
            return place
        return self("select", place, 1.0, 0.0)

    def truth(self, place: int) -> int:
        """A number as the test whether it is not zero; a test as it is."""
        if kind_of(self.builder.nodes[place]) == "bool":
            return place
        return self("ne", place, 0.0)


class Traced:
    """A tensor of an equation, followed and not computed.

    Args:
        recorder: Receives every operation on it.
        places: Places in the program, the batch axis of length 1; None for what is entered when
            asked for: a vector, or a tensor of the model.
        batch: Which axis is the batch; None for what all rows share.
        vector: Place of a vector that holds the elements of the last axis.
        tensor: Number of the tensor of the model that this is, element by element.
        shape: Shape of that tensor.
        turned: The tensor of the model of which this is the transpose.
    """

    __array_ufunc__ = None  # numpy leaves operators to the methods below

    def __init__(
        self,
        recorder: Any,
        places: np.ndarray | None,
        batch: int | None,
        vector: int | None = None,
        tensor: int | None = None,
        shape: tuple[int, ...] = (),
        turned: Traced | None = None,
    ) -> None:
        self._turned = turned
        self._recorder, self._places, self._batch = recorder, places, batch
        self._vector, self._tensor, self._own_shape = vector, tensor, shape

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Reached only outside the recorder's mode, as in a thread the equation has started.
        raise Refused("it runs outside the equation", "Compute it in the equation itself.")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._recorder.attribute(self, name)

    def __setitem__(self, key: Any, value: Any) -> None:
        self._recorder.call("__setitem__", (self, key, value), {})

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"a tensor of shape {places_shape(self)} that is followed, not computed"


def _operator(name: str) -> Callable[..., Any]:
    def method(self: Traced, *args: Any) -> Any:
        return self._recorder.call(name, (self, *args), {})

    method.__name__ = name
    return method


_OPERATORS = (
    "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul "
    "rmatmul neg pos abs invert and rand or ror xor rxor lt le gt ge getitem "
    "bool float int index complex len iter contains array round "
    "iadd isub imul itruediv ifloordiv imod ipow imatmul iand ior ixor"
)
for _name in _OPERATORS.split():
    setattr(Traced, f"__{_name}__", _operator(f"__{_name}__"))


def _equality(name: str) -> Callable[..., Any]:
    def method(self: Traced, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return self._recorder.call(name, (self, other), {})

    return method


Traced.__eq__ = _equality("__eq__")  # type: ignore[method-assign]
Traced.__ne__ = _equality("__ne__")  # type: ignore[method-assign]


def is_traced(value: Any) -> bool:
    return type(value) is Traced


def places_of(value: Traced) -> np.ndarray:
    """Places of all elements; those of a vector or a tensor are entered now."""
    if value._places is None:
        builder: Builder = value._recorder.builder
        if value._vector is not None:
            size = width_of(builder.nodes[value._vector])
            items = [builder.add(Item(value._vector, i)) for i in range(size)]
            places = np.array(items, dtype=np.intp)
            value._places = places if value._batch is None else places[None]
        elif value._turned is not None:
            value._places = places_of(value._turned).T
        else:
            assert value._tensor is not None
            value._recorder.small(value)
            count = int(np.prod(value._own_shape, dtype=int))
            loads = [builder.add(Load(value._tensor, i)) for i in range(count)]
            if value._recorder.is_bool(value._tensor):
                loads = [Emit(builder).truth(place) for place in loads]
            value._places = np.array(loads, dtype=np.intp).reshape(value._own_shape)
    return value._places


def places_shape(value: Traced) -> tuple[int, ...]:
    """Shape as the equation sees it."""
    if value._places is not None:
        shape = value._places.shape
    elif value._vector is not None:
        size = width_of(value._recorder.builder.nodes[value._vector])
        shape = (size,) if value._batch is None else (1, size)
    elif value._turned is not None:
        shape = value._turned._own_shape[::-1]
    else:
        shape = value._own_shape
    if value._batch is None:
        return tuple(shape)
    return (*shape[: value._batch], ROWS, *shape[value._batch + 1 :])


def is_bool(value: Traced) -> bool:
    if value._vector is not None:
        return False
    if value._turned is not None:
        return is_bool(value._turned)
    if value._places is None:
        return value._recorder.is_bool(value._tensor)
    if value._places.size == 0:
        return False
    return kind_of(value._recorder.builder.nodes[int(value._places.flat[0])]) == "bool"


def broadcast(values: Sequence[Traced]) -> tuple[list[np.ndarray], int | None]:
    """Arrays of one shape and their batch axis, by torch's rule.

    Raises:
        Refused: shapes that do not go together, or the batch of one on another axis of another.
    """
    arrays = [places_of(value) for value in values]
    batch, shape = values[0]._batch, arrays[0].shape
    if all(value._batch == batch for value in values) and all(a.shape == shape for a in arrays):
        return arrays, batch
    from_right = {v._batch - a.ndim for v, a in zip(values, arrays, strict=True)
                  if v._batch is not None}  # fmt: skip
    shapes = " and ".join(str(shown(places_shape(value))) for value in values)
    if len(from_right) > 1:
        raise Refused(
            f"it combines shapes {shapes}, whose batch axes do not meet",
            "Give a value without components an axis by x.unsqueeze(-1).",
        )
    axis = next(iter(from_right), None)
    if axis is not None:
        for value, array in zip(values, arrays, strict=True):
            if value._batch is None and array.ndim >= -axis and array.shape[axis] != 1:
                raise Refused(
                    f"it combines shapes {shapes}, which puts components on the axis of the batch",
                    "Give a value without components an axis by x.unsqueeze(-1).",
                )
    try:
        arrays = list(np.broadcast_arrays(*arrays))
    except ValueError:
        raise Refused(
            f"it combines shapes {shapes}", "Bring both to one number of components."
        ) from None
    return arrays, None if axis is None else arrays[0].ndim + axis


def shown(shape: tuple[int, ...]) -> str:
    """A shape in a message."""
    names = ["B" if size == ROWS else str(size) for size in shape]
    return f"({', '.join(names)}{',' if len(names) == 1 else ''})"


def elementwise(
    recorder: Any, function: Callable[..., int], operands: Sequence[Traced], numbers: bool = True
) -> Traced:
    """``function(emit, *places)`` for every element.

    Args:
        recorder: Of the equation.
        function: Enters the operations of one element and returns the place of its result.
        operands: Brought to one shape.
        numbers: Whether tests among the operands count as 1 and 0.
    """
    emit = recorder.emit
    if any(value._vector is not None for value in operands):
        wide = _over_vectors(recorder, function, operands)
        if wide is not None:
            return wide
    arrays, batch = broadcast(operands)
    columns = [array.ravel().tolist() for array in arrays]
    if numbers:
        columns = [[emit.real(place) for place in column] for column in columns]
    result = [function(emit, *row) for row in zip(*columns, strict=True)]
    return Traced(recorder, np.array(result, dtype=np.intp).reshape(arrays[0].shape), batch)


def _over_vectors(
    recorder: Any, function: Callable[..., int], operands: Sequence[Traced]
) -> Traced | None:
    """The same over whole vectors; None where shapes or operations do not allow it."""
    nodes = recorder.builder.nodes
    lead = next(value for value in operands if value._vector is not None)
    places = []
    for value in operands:
        if value._vector is not None:
            if places_shape(value)[-1] != places_shape(lead)[-1] or value._batch != lead._batch:
                return None
            places.append(value._vector)
        elif places_shape(value) in ((), (1,)) or (
            lead._batch == 0 and places_shape(value) in ((ROWS, 1), (1, 1))
        ):
            place = int(places_of(value).flat[0])
            if kind_of(nodes[place]) != "real":
                return None
            places.append(place)
        else:
            return None
    try:
        return Traced(recorder, None, lead._batch, vector=function(recorder.emit, *places))
    except NotWide:
        return None


def literal(recorder: Any, value: Tensor | float | bool | int) -> Traced:
    """A number, or a tensor of numbers, written in the equation.

    Raises:
        Refused: complex numbers.
    """
    if isinstance(value, Tensor):
        if value.is_complex():
            raise Refused("it uses complex numbers", "Write real and imaginary part apart.")
        array = value.detach().cpu().numpy() if value.dtype != torch.bfloat16 else None
        if array is None:
            array = value.detach().cpu().float().numpy()
    else:
        array = np.array(value)
    builder: Builder = recorder.builder
    enter: Callable[[Any], int] = (
        (lambda x: builder.add(Truth(bool(x)))) if array.dtype == bool else builder.constant
    )
    places = [enter(x) for x in array.ravel().tolist()]
    return Traced(recorder, np.array(places, dtype=np.intp).reshape(array.shape), None)
