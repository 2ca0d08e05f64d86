"""Tensors under torch's transforms (forward mode, ``torch.func``), which kernels cannot follow."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.autograd import forward_ad

from twinml.physics import Signal
from twinml.solve.problem import Problem

_WRAPPED = "is_functorch_wrapped_tensor"


def transform_of(problem: Problem) -> str | None:
    """What stands between a problem's tensors and their memory, or None."""
    # Torch has no public word for it; a version without this one has other transforms.
    wrapped = getattr(getattr(torch._C, "_functorch", None), _WRAPPED, lambda _: False)
    for tensor in _tensors(problem):
        if wrapped(tensor):
            return "a tensor is under a transform of torch.func, and kernels read plain memory"
        if forward_ad.unpack_dual(tensor).tangent is not None:
            return "a tensor carries a forward-mode tangent, which kernels do not take from torch"
    return None


def _tensors(problem: Problem) -> Iterator[Tensor]:
    yield from (problem.t, problem.y0, *problem.parameters.values(), *problem.constants.values())
    for value in problem.inputs.values():
        yield from (value.times, value.values) if isinstance(value, Signal) else (value,)
    for change in problem.changes:
        parts = (change.at, change.until, change.value)
        yield from (part for part in parts if isinstance(part, Tensor))
