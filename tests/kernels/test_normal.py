"""Random words and normals of kernels against those of the eager engine."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch

from tests.kernels.units import ENTRY, REAL, compiled, pointer
from twinml.engines.normal import normals, uniforms
from twinml.engines.philox import philox4x32

BODY = f"""
#include "philox.h"
#include "normal.h"
using namespace tw;
{ENTRY}(const long long* counters, long long packs, unsigned key0, unsigned key1, long long* words,
        real* normals) {{
  for (long long pack = 0; pack < packs; ++pack) {{
    Words x;
    for (int lane = 0; lane < TW_LANES; ++lane) {{
      const long long* counter = counters + 4 * (pack * TW_LANES + lane);
      set(x.x0, lane, integer(counter[0]));
      set(x.x1, lane, integer(counter[1]));
      set(x.x2, lane, integer(counter[2]));
      set(x.x3, lane, integer(counter[3]));
    }}
    x = philox(x, key0, key1);
    Real first = normal(x.x0, x.x1), second = normal(x.x2, x.x3);
    for (int lane = 0; lane < TW_LANES; ++lane) {{
      const long long place = pack * TW_LANES + lane;
      words[4 * place] = (unsigned)get(x.x0, lane);
      words[4 * place + 1] = (unsigned)get(x.x1, lane);
      words[4 * place + 2] = (unsigned)get(x.x2, lane);
      words[4 * place + 3] = (unsigned)get(x.x3, lane);
      normals[2 * place] = get(first, lane);
      normals[2 * place + 1] = get(second, lane);
    }}
  }}
}}
extern "C" __attribute__((visibility("default"))) long long lanes() {{ return TW_LANES; }}
extern "C" __attribute__((visibility("default"))) void of_words(
    const unsigned* high, const unsigned* low, long long packs, real* normals) {{
  for (long long pack = 0; pack < packs; ++pack) {{
    Int upper, lower;
    for (int lane = 0; lane < TW_LANES; ++lane) {{
      set(upper, lane, integer(high[pack * TW_LANES + lane]));
      set(lower, lane, integer(low[pack * TW_LANES + lane]));
    }}
    Real value = normal(upper, lower);
    for (int lane = 0; lane < TW_LANES; ++lane)
      normals[pack * TW_LANES + lane] = get(value, lane);
  }}
}}
"""
COUNT = 1 << 14
KEY = (0xA4093822, 0x299F31D0)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("registers", [1, 3])
def test_kernels_draw_the_eager_engines_words(bits, registers):
    library = compiled(bits, BODY, TW_REGS=registers)
    lanes = library.lanes()
    count = COUNT // lanes * lanes
    counters = np.random.default_rng(0).integers(0, 2**32, (count, 4), dtype=np.int64)
    counters[:2] = [[0, 0, 0, 0], [2**32 - 1] * 4]
    words = np.zeros((count, 4), np.int64)
    found = np.zeros((count, 2), REAL[bits])
    library.entry(
        pointer(counters), ctypes.c_longlong(count // lanes), ctypes.c_uint(KEY[0]),
        ctypes.c_uint(KEY[1]), pointer(words), pointer(found),
    )  # fmt: skip
    x = philox4x32(tuple(torch.tensor(counters).unbind(1)), KEY)
    assert np.array_equal(words, torch.stack(x, dim=1).numpy())
    expected = torch.stack([normals(uniforms(*x[:2])), normals(uniforms(*x[2:]))], dim=1).numpy()
    if bits == 64:
        assert np.array_equal(found, expected)
    else:
        assert np.allclose(found, expected, rtol=1e-6, atol=1e-7)


def test_normals_of_both_widths_reach_into_the_tails():
    random = np.random.default_rng(1)
    high = (random.integers(0, 2**32, COUNT) >> random.integers(0, 32, COUNT)).astype(np.uint32)
    high[::2] ^= np.uint32(0xFFFFFFFF)
    high[:4] = [0, 0, 0x7FFFFFFF, 0x80000000]
    low = random.integers(0, 2**32, COUNT).astype(np.uint32)
    pair = [torch.tensor(part.astype(np.int64)) for part in (high, low)]
    expected = normals(uniforms(*pair)).numpy()
    # Beyond 6 the uniform of 52 bits is coarse, and the float32 kernel's share of 57 bits is not.
    for bits, allowed in ((64, 0.0), (32, np.where(np.abs(expected) < 6.0, 1e-6, 1e-4))):
        library = compiled(bits, BODY)
        found = np.zeros(COUNT, REAL[bits])
        packs = ctypes.c_longlong(COUNT // library.lanes())
        library.of_words(pointer(high), pointer(low), packs, pointer(found))
        assert (np.abs(found - expected) <= allowed * np.abs(expected) + 1e-7 * (bits == 32)).all()
        assert np.abs(found).max() > 6.0


def test_normals_do_not_depend_on_the_width_of_registers():
    found = {}
    for target in ("x86-64-v2", "x86-64-v3"):
        library = compiled(64, BODY, target)
        count = COUNT // library.lanes() * library.lanes()
        counters = np.arange(4 * count, dtype=np.int64).reshape(count, 4)
        words, drawn = np.zeros((count, 4), np.int64), np.zeros((count, 2))
        library.entry(
            pointer(counters), ctypes.c_longlong(count // library.lanes()), ctypes.c_uint(1),
            ctypes.c_uint(2), pointer(words), pointer(drawn),
        )  # fmt: skip
        found[target] = drawn
    assert np.array_equal(found["x86-64-v2"], found["x86-64-v3"])
