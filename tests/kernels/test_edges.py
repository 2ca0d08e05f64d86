"""At nan, inf, signed zeros, ties, subnormals and thresholds the functions do as torch does."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.kernels.compiled import REAL, call, driver
from twinml.physics.functions import sqrt0


def c_log1p(x: torch.Tensor) -> torch.Tensor:
    """Torch's own gives 0 at subnormals."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return torch.from_numpy(np.log1p(x.numpy()))


ONE = {
    "exp": torch.exp,
    "exp2": torch.exp2,
    "expm1": torch.expm1,
    "tanh": torch.tanh,
    "sinh": torch.sinh,
    "cosh": torch.cosh,
    "sigmoid": torch.sigmoid,
    "silu": functional.silu,
    "softplus": functional.softplus,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "erf": torch.erf,
    "erfc": torch.erfc,
    "log": torch.log,
    "log1p": c_log1p,
    "log2": torch.log2,
    "log10": torch.log10,
    "sin": torch.sin,
    "cos": torch.cos,
    "tan": torch.tan,
    "asin": torch.asin,
    "acos": torch.acos,
    "atan": torch.atan,
    "asinh": torch.asinh,
    "acosh": torch.acosh,
    "atanh": torch.atanh,
    "relu": torch.relu,
    "sign": torch.sign,
    "sqrt": torch.sqrt,
    "sqrt0": sqrt0,
    "abs": torch.abs,
    "floor": torch.floor,
    "ceil": torch.ceil,
    "trunc": torch.trunc,
    "round_even": torch.round,
}
# Torch computes them as a difference or a product that underflows: below 0 only its sign is sure.
CANCELS = ("silu", "gelu", "gelu_tanh", "sigmoid")


def c_fmod(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Torch's own gives nan for large quotients where C's does not."""
    with np.errstate(invalid="ignore"):
        return torch.from_numpy(np.fmod(a.numpy(), b.numpy()))


def remainder(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """torch.remainder's definition, on C's fmod."""
    r = c_fmod(a, b)
    return torch.where((r != 0) & ((r < 0) != (b < 0)), r + b, r)


TWO = {
    "atan2": torch.atan2,
    "pow": torch.pow,
    "fmod": c_fmod,
    "remainder": remainder,
    "hypot": torch.hypot,
    "minimum": torch.minimum,
    "maximum": torch.maximum,
    "copysign": torch.copysign,
}


def edges(bits: int) -> np.ndarray:
    info = np.finfo(REAL[bits])
    positive = [0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 7.0, 20.0, 20.5, 1e-9, 5e-9, 1e-8]
    positive += [np.pi / 2, np.pi, 100.0, 2.0**20 + 0.5, 1e30, np.inf]
    limits = [info.max, info.tiny, info.tiny / 2, info.smallest_subnormal, 1 - info.epsneg]
    near = [1 + info.eps, np.log(float(info.max)), -np.log(float(info.tiny))]
    values = np.array([*positive, *map(float, limits), *near, np.nan])
    return np.concatenate([values, -values]).astype(REAL[bits])


def agree(got: np.ndarray, wanted: np.ndarray, lost: np.ndarray) -> np.ndarray:
    """The same nan, inf and zero with its sign; else near. ``lost`` is what torch may have lost."""
    info = np.finfo(got.dtype)
    same = (np.isnan(got) & np.isnan(wanted)) | (got == wanted)
    with np.errstate(invalid="ignore", over="ignore"):
        near = np.abs(got - wanted) <= 8 * info.eps * np.abs(wanted) + lost
    finite = np.isfinite(got) & np.isfinite(wanted)
    return np.where(finite, near & (np.signbit(got) == np.signbit(wanted)), same)


def compare(name: str, bits: int, function, *arguments: np.ndarray) -> None:
    """In float32 too torch is asked in float64: its own float32 overflows and cancels earlier."""
    got = call(driver(bits), name, *arguments)
    result = function(*(torch.from_numpy(a.astype(np.float64)) for a in arguments)).numpy()
    with np.errstate(over="ignore"):
        wanted = result.astype(REAL[bits])
    lost = np.full_like(got, 8 * np.finfo(REAL[bits]).smallest_subnormal)
    if name in CANCELS:
        lost += 8 * np.finfo(np.float64).eps * np.minimum(np.abs(arguments[0]), 100)
    lines = [
        f"{name}({', '.join(str(a[i]) for a in arguments)}) is {got[i]}, torch: {wanted[i]}"
        for i in np.nonzero(~agree(got, wanted, lost))[0]
    ]
    assert not lines, "\n".join(lines)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", ONE)
def test_one_argument_at_the_edges(name, bits):
    compare(name, bits, ONE[name], edges(bits))


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", TWO)
def test_two_arguments_at_the_edges(name, bits):
    pairs = np.array(list(product(edges(bits), repeat=2)), REAL[bits])
    a, b = np.ascontiguousarray(pairs[:, 0]), np.ascontiguousarray(pairs[:, 1])
    if name in ("minimum", "maximum"):  # which of two zeros is kept is not defined
        keep = ~((a == 0) & (b == 0))
        a, b = a[keep], b[keep]
    compare(name, bits, TWO[name], a, b)
