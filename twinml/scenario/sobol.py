"""Sobol points reached directly by their index, scrambled by a key.

Direction numbers of Joe and Kuo (2008), SIAM J. Sci. Comput. 30(5), 2635-2654, as stored by
scipy; scrambled by a lower-triangular linear matrix and a digital shift (Matousek 1998,
J. Complexity 14(4), 527-556). Points come in natural instead of Gray-code order: every block
of 2^m points aligned to 2^m is the same set, and point i needs no other point.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from twinml.errors import ScenarioError

BITS = 52  # (integer + 1/2) / 2^52 is exact in float64 and lies strictly inside (0, 1)
MAX_DIMENSIONS = 21201


def sobol_points(start: int, stop: int, dimensions: int, seed: int) -> np.ndarray:
    """Points ``start`` to ``stop`` of the sequence, shape (stop - start, dimensions)."""
    if dimensions > MAX_DIMENSIONS:
        raise ScenarioError(
            f"The Sobol design has {dimensions} dimensions; at most {MAX_DIMENSIONS} exist. "
            "Use design: random."
        )
    if stop > 2**BITS:
        raise ScenarioError(
            f"The Sobol design was asked for sample {stop:,}; its points end at 2^{BITS}. "
            "Use design: random, or a second sweep with another seed."
        )
    columns, shift = _scrambled(dimensions, seed)
    index = np.arange(start, stop, dtype=np.uint64)
    points = np.empty((dimensions, len(index)))
    for dimension in range(dimensions):
        integer = np.full(len(index), shift[dimension])
        for bit in range((int(stop) - 1).bit_length()):
            # all ones where the bit is set: selects the direction number without a branch
            mask = np.uint64(0) - ((index >> np.uint64(bit)) & np.uint64(1))
            integer ^= mask & columns[dimension, bit]
        points[dimension] = (integer.astype(np.float64) + 0.5) * 2.0**-BITS
    return points.T


@lru_cache(maxsize=8)
def _scrambled(dimensions: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Scrambled direction numbers (dimensions, BITS) and shifts (dimensions,)."""
    from scipy.stats import qmc

    plain = qmc.Sobol(dimensions, scramble=False, bits=BITS)._sv.astype(np.uint64)
    columns, shift = np.empty_like(plain), np.empty(dimensions, dtype=np.uint64)
    for dimension in range(dimensions):
        # keyed by the dimension: one more varied quantity leaves the others' points as they are
        key = np.random.SeedSequence(seed, spawn_key=(_TAG, dimension))
        words = np.random.Philox(key).random_raw(BITS + 1) >> np.uint64(64 - BITS)
        shift[dimension] = words[BITS]
        result = np.zeros(BITS, dtype=np.uint64)
        for row in range(BITS):  # row 0 gives the most significant bit
            diagonal = np.uint64(1) << np.uint64(BITS - 1 - row)
            above = ~np.uint64(0) << np.uint64(BITS - row)
            picked = plain[dimension] & ((words[row] & above) | diagonal)
            result |= (np.bitwise_count(picked).astype(np.uint64) & np.uint64(1)) * diagonal
        columns[dimension] = result
    return columns, shift


_TAG = int.from_bytes(b"sobol", "big")
