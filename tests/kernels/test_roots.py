"""Roots of all lanes of a pack: those of the eager engine, each lane for itself."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch

from twinml.engines.native.library import load
from twinml.engines.rootfind import bracketed_root

# Simple, steep, flat (threefold) and broken functions, all with their root at s.
_UNIT = """
#define TW_BITS {bits}
#define TW_REGS {registers}
#include "lane.h"
#include "math.h"
#include "roots.h"
namespace tw {{
TW_BIG void find(const real* shift, int kind, bool beyond, real* root, real* steps) {{
  const Real s = load(shift), zero = Real(real(0)), one = Real(real(1));
  Real spent = zero;
  auto function = [&](const Real& x) {{
    const Real d = x - s;
    spent += one;
    if (kind == 0) return d * fma(Real(real(40)) * d, d, one);
    if (kind == 1) return d / fma(abs(d), Real(real(1000)), one);
    if (kind == 2) return d * d * d;
    return select(x > s, one / zero - one / zero, d);
  }};
  const Real low = zero, high = one, at_low = function(low), at_high = function(high);
  spent = zero;
  const Mask wanted = s >= zero;
  store(root, bracketed_root(function, wanted, low, high, at_low, select(kind == 3 ? wanted :
        Mask(false), one, at_high), beyond));
  store(steps, spent);
}}
}}
extern "C" __attribute__((visibility("default"))) int lanes() {{ return TW_LANES; }}
extern "C" __attribute__((visibility("default")))
void roots(long long count, const tw::real* shift, int kind, int beyond, tw::real* root,
           tw::real* steps) {{
  for (long long i = 0; i < count; i += TW_LANES)
    tw::find(shift + i, kind, beyond, root + i, steps + i);
}}
"""


def _roots(shift: np.ndarray, kind: int, beyond: bool = False, registers: int = 1):
    """Roots, and function calls of the pack that each was found in."""
    bits = shift.dtype.itemsize * 8
    handle = load(_UNIT.format(bits=bits, registers=registers)).handle
    width = handle.lanes()
    room = -(-len(shift) // width) * width
    padded = np.full(room, 0.5, dtype=shift.dtype)
    padded[: len(shift)] = shift
    root, steps = np.empty_like(padded), np.empty_like(padded)
    handle.roots(
        ctypes.c_longlong(room), padded.ctypes.data_as(ctypes.c_void_p), kind, int(beyond),
        root.ctypes.data_as(ctypes.c_void_p), steps.ctypes.data_as(ctypes.c_void_p),
    )  # fmt: skip
    return root[: len(shift)], steps[: len(shift)]


def _eager(shift: np.ndarray, kind: int, beyond: bool) -> np.ndarray:
    s = torch.from_numpy(shift)

    def function(x, index):
        d = x - s[index]
        return (d * (40 * d * d + 1), d / (1000 * d.abs() + 1), d**3)[kind]

    low, high = torch.zeros_like(s), torch.ones_like(s)
    everyone = torch.arange(len(shift))
    ends = function(low, everyone), function(high, everyone)
    return bracketed_root(function, low, high, *ends, beyond=beyond).numpy()


SHIFT = np.random.default_rng(1).uniform(1e-6, 1 - 1e-6, 2000)


@pytest.mark.parametrize("beyond", [False, True])
@pytest.mark.parametrize(("kind", "most"), [(0, 16), (1, 60), (2, 110)])
def test_roots_are_those_of_the_eager_engine(kind, most, beyond):
    found, steps = _roots(SHIFT, kind, beyond)
    error = 1e-15 if kind < 2 else 1e-7
    assert np.abs(found - SHIFT).max() <= error
    assert np.abs(found - _eager(SHIFT, kind, beyond)).max() <= 2 * error
    assert steps.max() <= most
    if beyond:
        assert (found >= SHIFT).all()


def test_float32_roots_are_as_near_as_its_numbers_allow():
    shift = SHIFT.astype(np.float32)
    found, _ = _roots(shift, 0, True)
    assert found.dtype == np.float32 and np.abs(found - shift).max() <= 4 * 2.0**-24
    assert (found >= shift).all()


@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_a_lane_does_not_see_its_neighbours(kind):
    whole, _ = _roots(SHIFT, kind)
    order = np.random.default_rng(2).permutation(len(SHIFT))
    mixed, _ = _roots(SHIFT[order], kind, registers=3)
    assert np.array_equal(mixed, whole[order])
    alone, _ = _roots(SHIFT[7:8], kind)
    assert alone[0] == whole[7]


def test_a_function_that_is_not_finite_ends_the_search():
    found, steps = _roots(np.full(4, 0.3), 3)
    assert np.isfinite(found).all() and steps.max() <= 3


def test_a_root_at_an_end_is_that_end():
    found, steps = _roots(np.tile([0.0, 1.0], 8), 0)
    assert found.tolist() == [0.0, 1.0] * 8 and steps.max() == 0
