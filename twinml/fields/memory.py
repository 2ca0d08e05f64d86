"""Arguments of field kernels in memory, as ``kernels/field.h`` lays them out."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence

from torch import Tensor

_COUNT = ctypes.c_longlong


class SourceView(ctypes.Structure):
    """An argument: (row, cell) stands at ``values + row * by_row + cell * by_cell``."""

    _fields_ = [
        ("values", ctypes.c_void_p),
        ("tangents", ctypes.c_void_p),
        ("by_row", _COUNT),
        ("by_cell", _COUNT),
    ]


class TargetView(ctypes.Structure):
    """Where a result goes; a null pointer where it is not wanted."""

    _fields_ = [("values", ctypes.c_void_p), ("by_row", _COUNT), ("by_cell", _COUNT)]


@functools.cache
def layout(fields: int, coefficients: int, results: int) -> type[ctypes.Structure]:
    """The arguments of a kernel with so many arguments and results."""

    class FieldArgs(ctypes.Structure):
        _fields_ = [
            ("bytes", _COUNT),
            ("rows", _COUNT),
            ("nx", _COUNT),
            ("ny", _COUNT),
            ("tile", _COUNT),
            ("along_rows", _COUNT),
            ("fields", SourceView * (fields + 1)),
            ("coefficients", SourceView * (coefficients + 1)),
            ("cotangents", SourceView * (results + 1)),
            ("results", TargetView * (results + 1)),
            ("gradients", TargetView * (fields + 1)),
            ("sums", ctypes.c_void_p),
            ("next", ctypes.c_void_p),
        ]

    return FieldArgs


def strides(tensor: Tensor) -> tuple[int, int]:
    """Numbers from a row to the next and from a cell to the next, 0 where there is one only."""
    by_row = tensor.stride(0) if tensor.shape[0] > 1 else 0
    by_cell = tensor.stride(1) if tensor.ndim > 1 and tensor.shape[1] > 1 else 0
    return by_row, by_cell


def source(place: SourceView, values: Tensor, tangents: Tensor | None = None) -> None:
    """Point to an argument and, laid out the same, to its tangents."""
    place.values = values.data_ptr()
    place.tangents = None if tangents is None else tangents.data_ptr()
    place.by_row, place.by_cell = strides(values)


def target(place: TargetView, values: Tensor | None) -> None:
    """Point to where a result goes, if it is wanted."""
    if values is not None:
        place.values = values.data_ptr()
        place.by_row, place.by_cell = strides(values)


def fill(places: Sequence[SourceView], values: Sequence[Tensor], tangents: Sequence[Tensor | None]):
    """Point to arguments one by one."""
    for place, value, along in zip(places, values, tangents, strict=False):
        source(place, value, along)
