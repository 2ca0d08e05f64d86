"""Binary logarithm and power for step control: the same bits on every engine.

``torch.pow`` differs between strided and contiguous tensors, between machines and from compiled
kernels, and a last bit in a step size ends as another trajectory. These use operations that IEEE
754 rounds in one way only, in the order of ``step_log2`` and ``step_exp2`` in
``kernels/step_log.h``. A step size needs three digits; these have four.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

# Best polynomials in the largest error, coefficients rounded to 24 bits so that they are the same
# numbers in float32: log2(m) on [1, 2] to 8.8e-5, 2^f on [-1/2, 1/2] to 7.5e-5 of itself.
LOG2: Final = tuple(
    map(
        float.fromhex,
        ("-0x1.41a538p+1", "0x1.047c5ep+2", "-0x1.0f7248p+1", "0x1.4a501ap-1", "-0x1.4e4c6p-4"),
    )
)
EXP2: Final = tuple(
    map(float.fromhex, ("0x1.fff692p-1", "0x1.62f31ap-1", "0x1.f0de1ap-3", "0x1.c3f76p-5"))
)


def step_log2(x: Tensor) -> Tensor:
    """Binary logarithm to 8.8e-5 of positive, normal, finite numbers; same shape and dtype."""
    half, exponent = torch.frexp(x)  # half in [1/2, 1)
    m = 2.0 * half
    square = m * m
    low = (exponent - 1).to(x.dtype) + (m * LOG2[1] + LOG2[0])
    middle = (m * LOG2[3] + LOG2[2]) * square
    return low + (middle + LOG2[4] * (square * square))


def step_exp2(x: Tensor) -> Tensor:
    """2^x to 7.5e-5 for |x| up to 100; same shape and dtype."""
    whole = torch.round(x)
    f = x - whole
    low = f * EXP2[1] + EXP2[0]
    high = (f * EXP2[3] + EXP2[2]) * (f * f)
    return torch.ldexp(low + high, whole.to(torch.int32))
