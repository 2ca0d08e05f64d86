"""Factorisations of s I - J, written out and as loops, against dense solves with pivoting."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest

from tests.kernels.units import ENTRY, REAL, compiled, pointer
from twinml.lowering.lu import lu_text, plan

BODY = """
namespace tw {{
{functions}
}}
#if TW_LU_LOOP
#include "lu.h"
#endif
using namespace tw;
{entry}(const real* s, const real* entries, real* x, long long packs, char* sound) {{
  for (long long pack = 0; pack < packs; ++pack, s += TW_LANES, x += TW_N * TW_LANES) {{
    Real jacobian[TW_NZ], factors[TW_LU_SIZE], right[TW_N];
    for (int e = 0; e < TW_NZ; ++e) jacobian[e] = load(entries + (pack * TW_NZ + e) * TW_LANES);
    for (int i = 0; i < TW_N; ++i) right[i] = load(x + i * TW_LANES);
    Mask good = factor(load(s), jacobian, factors);
    solve(factors, right);
    for (int i = 0; i < TW_N; ++i) store(x + i * TW_LANES, right[i]);
    for (int lane = 0; lane < TW_LANES; ++lane) *sound++ = get(good, lane);
  }}
}}
extern "C" __attribute__((visibility("default"))) long long lanes() {{ return TW_LANES; }}
"""

CHAIN = tuple((i, j) for i in range(12) for j in (i - 1, i, i + 1) if 0 <= j < 12)
ARROW = tuple({(0, j) for j in range(9)} | {(i, 0) for i in range(9)} | {(i, i) for i in range(9)})
DENSE = tuple((i, j) for i in range(8) for j in range(8))
ROBERTSON = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2, 1))
PATTERNS = {"chain": (12, CHAIN), "arrow": (9, ARROW), "dense": (8, DENSE),
            "robertson": (3, ROBERTSON), "triangle": (3, ((1, 0), (2, 1), (2, 0)))}  # fmt: skip


def solved(width, pattern, s, entries, right, bits=64, written_out=10**9):
    """Solutions (rows, n) and soundness (rows,), rows filled up to whole packs."""
    macros, functions = lu_text(plan(width, pattern), written_out)
    defines = dict(line.split()[1:3] for line in macros.splitlines() if "(" not in line)
    body = "\n".join(
        line for line in macros.splitlines() if "(" in line
    ) + BODY.format(functions=functions, entry=ENTRY)  # fmt: skip
    library = compiled(
        bits, body, TW_N=width, TW_NZ=len(pattern), TW_STIFF_METHOD=1,
        **{name: int(value) for name, value in defines.items()},
    )  # fmt: skip
    rows, lanes = len(s), library.lanes()
    packs = -(-rows // lanes)
    take = np.arange(packs * lanes) % rows

    def packed(array):
        table = np.asarray(array, REAL[bits])[take].reshape(packs, lanes, -1)
        return np.ascontiguousarray(table.transpose(0, 2, 1))

    diagonal, jacobian, x = packed(s), packed(entries), packed(right)
    sound = np.zeros(packs * lanes, np.int8)
    library.entry(
        pointer(diagonal), pointer(jacobian), pointer(x), ctypes.c_longlong(packs), pointer(sound)
    )
    return x.transpose(0, 2, 1).reshape(-1, width)[:rows], sound[:rows].astype(bool)


def system(width, pattern, s, entries):
    matrix = np.zeros((len(s), width, width))
    for number, (i, j) in enumerate(pattern):
        matrix[:, i, j] = -entries[:, number]
    return matrix + s[:, None, None] * np.eye(width)


@pytest.mark.parametrize("name", PATTERNS)
def test_solutions_are_those_of_a_dense_solve(name):
    width, pattern = PATTERNS[name]
    random = np.random.default_rng(0)
    s = 10.0 ** random.uniform(-1, 3, 40)
    entries = random.normal(size=(40, len(pattern)))
    right = random.normal(size=(40, width))
    matrix = system(width, pattern, s, entries)
    expected = np.linalg.solve(matrix, right[..., None])[..., 0]
    found, sound = solved(width, pattern, s, entries, right)
    error = np.abs(found - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert (error <= 1e-10)[sound].all() and sound.mean() > 0.9
    loops, sound_too = solved(width, pattern, s, entries, right, written_out=0)
    assert np.array_equal(found, loops) and np.array_equal(sound, sound_too)
    narrow, _ = solved(width, pattern, s, entries, right, bits=32)
    error = np.abs(narrow - expected).max(axis=1) / np.abs(expected).max(axis=1)
    assert np.median(error[sound]) < 1e-5


def test_the_order_fills_little():
    assert len(plan(12, CHAIN).places) == len(CHAIN)
    assert len(plan(9, ARROW).places) == len(ARROW)
    assert plan(3, ROBERTSON).steps[0].pivot in (0, 2)


def test_zero_and_nan_pivots_are_unsound_and_lost_digits_too():
    pattern = ((0, 0), (0, 1), (1, 0), (1, 1))
    s = np.array([1.0, 1.0, 1.0, 1.0, 1.0])
    entries = np.array([
        [0.5, 0.25, 0.25, 0.5],      # sound
        [1.0, 0.5, 0.5, 1.0],        # a zero on the diagonal
        [0.0, 1.0, 1.0, 0.0],        # singular
        [np.nan, 0.5, 0.5, 0.0],
        [-1e17, 1e17, 1e17, -1e17],  # singular but for rounding
    ])  # fmt: skip
    _, sound = solved(2, pattern, s, entries, np.ones((5, 2)))
    assert sound.tolist() == [True, False, False, False, False]


def test_growth_counts_where_both_factors_grow():
    """Fast rotation loses digits; a change of units or a fast reaction does not."""
    pattern = ((0, 0), (0, 1), (1, 0), (1, 1))
    s = np.ones(3)
    entries = np.array([
        [0.0, 1e5, -1e5, 0.0],      # rotation: the pivot 1 stands beside 1e5 on both sides
        [0.0, 1e-5, -1e9, 0.0],     # units only
        [-1e4, 1e8, 1e4, -1e8],     # A <-> B, mass conserved: multipliers are at most 1
    ])  # fmt: skip
    right = np.ones((3, 2))
    found, sound = solved(2, pattern, s, entries, right)
    assert sound.tolist() == [False, True, True]
    expected = np.linalg.solve(system(2, pattern, s, entries), right[..., None])[..., 0]
    assert np.allclose(found[1:], expected[1:], rtol=1e-7)
