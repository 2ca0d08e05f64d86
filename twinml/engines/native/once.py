"""Gradients that may not be differentiated again, and say so when they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from twinml.errors import NoGradientError


class _Once(torch.autograd.Function):
    """Depends on all that gradients depend on: as constants they would give a wrong number."""

    @staticmethod
    def forward(ctx: Any, count: int, *tensors: Tensor) -> Any:
        return tuple(tensor.clone() for tensor in tensors[:count])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Any:
        raise NoGradientError(
            "A second derivative of a simulation was asked for, and kernels have the first alone. "
            "Use engine='eager', which has both."
        )


def refused_again(
    found: Sequence[Tensor], leaves: Sequence[Tensor], given: Sequence[Tensor | None]
) -> Sequence[Tensor]:
    """Gradients as they are, or tied to a refusal where torch keeps a graph of them.

    Args:
        found: The gradients.
        leaves, given: What they depend on: the function's inputs, and the gradients it was given.
    """
    if not torch.is_grad_enabled():
        return found
    return _Once.apply(len(found), *found, *leaves, *(g for g in given if g is not None))  # type: ignore[return-value]
