"""Quantities of many rows together by ``kernels/reduce.h``: the bits of ``reduce_values``."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from twinml.engines.native.library import load
from twinml.errors import CompileError
from twinml.solve.moments import BLOCK
from twinml.solve.reduction import Reduced, Reduction, lesser, reduce_values

UNIT = '#define TW_BITS 64\n#define TW_REGS 1\n#include "lane.h"\n#include "reduce.h"\n'
_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_longlong


class _ReduceArgs(ctypes.Structure):
    """The same members in the same order as ``tw::ReduceArgs``."""

    _fields_ = [
        ("bytes", _COUNT), ("blocks", _COUNT), ("values", _POINTER), ("edges", _POINTER),
        ("edge_count", _COUNT), ("thresholds", _POINTER), ("threshold_count", _COUNT),
        ("moments", _POINTER), ("extremes", _POINTER), ("bins", _POINTER), ("exceeded", _POINTER),
        ("numbers", _POINTER),
    ]  # fmt: skip


def reduce_natively(
    reduction: Reduction, values: Tensor, failed: Tensor, first: int = 0
) -> Reduced:  # fmt: skip
    """As ``reduce_values``, whole blocks by a kernel.

    Raises:
        NoCompilerError, CompileError: there is no kernel.
    """
    rows = values.shape[0]
    cut = min((-first) % BLOCK, rows)
    whole = cut + (rows - cut) // BLOCK * BLOCK
    parts = [
        reduce_values(reduction, values[:cut], failed[:cut], first),
        _blocks(reduction, values[cut:whole], failed[cut:whole], first + cut),
        reduce_values(reduction, values[whole:], failed[whole:], first + whole),
    ]
    return parts[0].merge(parts[1]).merge(parts[2])


def _blocks(reduction: Reduction, values: Tensor, failed: Tensor, first: int) -> Reduced:
    values = torch.where(failed, torch.nan, values.detach().to(torch.float64)).contiguous()
    count = values.shape[0] // BLOCK
    edges = torch.tensor(reduction.edges, dtype=torch.float64)
    thresholds = torch.tensor(reduction.thresholds, dtype=torch.float64)
    moments = torch.empty((count, 4), dtype=torch.float64)
    extremes = torch.full((count, 2), torch.nan, dtype=torch.float64)
    bins = torch.zeros(max(2, edges.shape[0] + 1), dtype=torch.int64)
    exceeded = torch.zeros(thresholds.shape[0], dtype=torch.int64)
    numbers = torch.zeros(2, dtype=torch.int64)
    args = _ReduceArgs(
        ctypes.sizeof(_ReduceArgs), count, values.data_ptr(), edges.data_ptr(), edges.shape[0],
        thresholds.data_ptr(), thresholds.shape[0], moments.data_ptr(), extremes.data_ptr(),
        bins.data_ptr(), exceeded.data_ptr(), numbers.data_ptr(),
    )  # fmt: skip
    library = load(UNIT)
    if library.handle.tw_reduce(ctypes.byref(args)):
        raise CompileError(
            "A compiled kernel and this version of twinml disagree on the layout of their "
            f"arguments ({library.path}). Empty the kernel cache and run again."
        )
    lost = int(failed.sum())
    least, largest = torch.nan, torch.nan
    for low, high in extremes.tolist():
        least, largest = lesser(least, low), -lesser(-largest, -high)
    none = values[:0].clone()
    return Reduced(
        reduction=reduction, first=first, rows=values.shape[0], failed=lost,
        missing=int(numbers[0]) - lost, infinite=int(numbers[1]), bins=bins, exceeded=exceeded,
        minimum=least + 0.0, maximum=largest + 0.0, head=none, blocks=moments, tail=none,
    )  # fmt: skip
