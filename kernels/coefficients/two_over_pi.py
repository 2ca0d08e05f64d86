"""Prints the bits of 2 / pi as the words of the table in kernels/math_trig.h."""

from __future__ import annotations

from mpmath import mp

WORDS = 40

mp.prec = 32 * WORDS + 64
bits = int(mp.floor(2 / mp.pi * 2 ** (32 * WORDS)))
words = [(bits >> (32 * (WORDS - 1 - i))) & 0xFFFFFFFF for i in range(WORDS)]
for row in range(0, WORDS, 6):
    print("    " + " ".join(f"0x{word:08x}u," for word in words[row : row + 6]))
