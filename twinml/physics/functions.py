"""Functions for right-hand sides that plain torch would leave without a usable slope."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function_unary

# Below this argument the root is replaced by a cubic, so that its slope is bounded.
SQRT0_WIDTH = 1e-8


def sqrt0(x: Tensor) -> Tensor:
    """Square root with a finite slope at zero: 0 for x <= 0, sqrt(x) from 1e-8 up.

    Between, the cubic that joins both with a continuous slope: with s = x / w,
    sqrt(w) * s^2 * (2.5 - 1.5 s). Levels that a step carries a little below zero then stop
    flowing out instead of turning into nan; nan stays nan.

    Args:
        x: Any shape, floating dtype.

    Returns:
        Same shape and dtype as ``x``.
    """
    if has_torch_function_unary(x):
        # One operation to whoever follows the text: its cubic has no meaning of its own.
        return handle_torch_function(sqrt0, (x,), x)
    small = x < SQRT0_WIDTH
    root = torch.sqrt(torch.clamp(x, min=SQRT0_WIDTH))
    s = torch.clamp(x * (1.0 / SQRT0_WIDTH), 0.0, 1.0)
    ramp = SQRT0_WIDTH**0.5 * s * s * (2.5 - 1.5 * s)
    return torch.where(small, ramp, root)
