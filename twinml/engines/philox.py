"""Philox4x32: random integers as a pure function of a key and a counter.

Source: Salmon, Moraes, Dror, Shaw (2011), Parallel random numbers: as easy as 1, 2, 3,
Proc. SC'11, sec. 4.3: a Feistel-like network of 32-bit multiplications. Torch has no unsigned
integers of that width, so words are int64 tensors with values below 2^32; of a product modulo
2^64 both words can be read off whatever its sign.
"""

from __future__ import annotations

from torch import Tensor

ROUNDS = 10
WORD = 0xFFFFFFFF
_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_WEYL = (0x9E3779B9, 0xBB67AE85)  # golden ratio and sqrt(3) - 1: what the key grows by a round

Words = tuple[Tensor, Tensor, Tensor, Tensor]


def philox4x32(counter: Words, key: tuple[int, int], rounds: int = ROUNDS) -> Words:
    """Four random words for each counter.

    Args:
        counter: Four int64 tensors that broadcast, values in [0, 2^32), lowest word first.
        key: Two words, lowest first.
        rounds: 10 is the published recommendation.

    Returns:
        Four int64 tensors with values in [0, 2^32).
    """
    x0, x1, x2, x3 = counter
    k0, k1 = key
    for _ in range(rounds):
        high0, low0 = _product(x0, _MULTIPLIERS[0])
        high1, low1 = _product(x2, _MULTIPLIERS[1])
        x0, x1, x2, x3 = high1 ^ x1 ^ k0, low1, high0 ^ x3 ^ k1, low0
        k0, k1 = (k0 + _WEYL[0]) & WORD, (k1 + _WEYL[1]) & WORD
    return x0, x1, x2, x3


def _product(value: Tensor, factor: int) -> tuple[Tensor, Tensor]:
    """Upper and lower word of a 32 x 32 bit product."""
    product = value * factor
    return (product >> 32) & WORD, product & WORD
