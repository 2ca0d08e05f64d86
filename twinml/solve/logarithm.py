"""Binary logarithm and power for step control: the same bits on every engine.

``torch.pow`` differs between strided and contiguous tensors, between machines and from compiled
kernels, and a last bit in a step size ends as another trajectory. These use operations that IEEE
754 rounds in one way only, in the order of ``step_log2`` and ``step_exp2`` in
``kernels/control.h``. A step size needs three digits; these have five.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

# Best polynomials in the largest error, coefficients rounded to 24 bits so that they are the same
# numbers in float32: log2(m) on [1, 2] to 1.3e-5, 2^f on [-1/2, 1/2] to 3.7e-6.
LOG2: Final = tuple(
    map(
        float.fromhex,
        ("-0x1.667252p+1", "0x1.45de92p+2", "-0x1.c68056p+1", "0x1.a192e6p+0", "-0x1.aa8f94p-2",
         "0x1.6f9aaep-5"),
    )
)  # fmt: skip
EXP2: Final = tuple(
    map(
        float.fromhex,
        ("0x1.000002p+0", "0x1.62e0c2p-1", "0x1.ebf7c2p-3", "0x1.ca1cfcp-5", "0x1.3d61a2p-7"),
    )
)  # fmt: skip


def step_log2(x: Tensor) -> Tensor:
    """Binary logarithm to 1.3e-5 of positive, normal, finite numbers; same shape and dtype."""
    half, exponent = torch.frexp(x)  # half in [1/2, 1)
    return (exponent - 1).to(x.dtype) + _horner(LOG2, 2.0 * half)


def step_exp2(x: Tensor) -> Tensor:
    """2^x to 3.7e-6 for |x| up to 100; same shape and dtype."""
    whole = torch.round(x)
    return torch.ldexp(_horner(EXP2, x - whole), whole.to(torch.int32))


def _horner(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    total = torch.full_like(x, coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        total = total * x + coefficient
    return total
