"""The power that step control takes of an error estimate: the same bits on every engine.

``torch.pow`` differs between strided and contiguous tensors, between machines and from compiled
kernels, and a last bit in a step size ends as another trajectory. This one uses operations that
IEEE 754 rounds in one way only, in the order of ``step_pow`` in ``kernels/math_power.h``.
"""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

# log2(m) = s (LOG_0 + LOG_1 s^2) - 1/2 with s = (m - CENTRE) / (m + CENTRE);
# 2^f = (p + f) / (p - f) with p = EXP_0 + EXP_1 f^2. From tests/kernels/coefficients.
CENTRE: Final = float.fromhex("0x1.6a09e6p-1")
LOG_0: Final = float.fromhex("0x1.714f2ep1")
LOG_1: Final = float.fromhex("0x1.f79112p-1")
EXP_0: Final = float.fromhex("0x1.71550ep1")
EXP_1: Final = float.fromhex("0x1.d8019ap-4")
# Added and taken away again, it rounds to an integer; the sum's last bits are that integer.
SHIFT: Final = {torch.float64: float.fromhex("0x1.8p52"), torch.float32: float.fromhex("0x1.8p23")}
INTEGER: Final = {torch.float64: torch.int64, torch.float32: torch.int32}
MANTISSA: Final = {torch.float64: 52, torch.float32: 23}


def step_power(x: Tensor, exponent: float) -> Tensor:
    """``x ** exponent``, about 1e-6 off.

    Args:
        x: Any shape, float64 or float32; positive, normal and finite.
        exponent: At most 1/2 in size.

    Returns:
        Same shape and dtype as ``x``.
    """
    dtype = x.dtype
    mantissa, exponent_of_two = torch.frexp(x)  # mantissa in [1/2, 1)
    s = (mantissa - CENTRE) / (mantissa + CENTRE)
    log_mantissa = s * (s * s * LOG_1 + LOG_0)
    v = ((log_mantissa - 0.5) + exponent_of_two) * exponent
    shifted = v + SHIFT[dtype]
    f = v - (shifted - SHIFT[dtype])
    p = f * f * EXP_1 + EXP_0
    near_one = ((p + f) / (p - f)).view(INTEGER[dtype])
    return (near_one + (shifted.view(INTEGER[dtype]) << MANTISSA[dtype])).view(dtype)
