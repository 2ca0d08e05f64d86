"""Near-minimax polynomials for kernels/math*.h, with coefficients rounded to the format.

Least squares on Chebyshev's points stays within a factor of about two of the minimax error, less
than the rounding of the evaluation. Needs mpmath only.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from mpmath import mp, mpf

mp.dps = 80


@dataclass(frozen=True)
class Fit:
    """``f(x)`` is near ``sum c[i] x^i`` on [low, high]; the error counts times the weight."""

    name: str
    f: Callable[[mpf], mpf]
    weight: Callable[[mpf], mpf]
    low: mpf
    high: mpf
    degree: dict[int, int]  # of the polynomial, by width in bits


def rounded(value: mpf, bits: int) -> mpf:
    """The nearest float64 or float32."""
    if bits == 64:
        return mpf(float(value))
    return mpf(struct.unpack("f", struct.pack("f", float(value)))[0])


def evaluate(c: list[mpf], x: mpf) -> mpf:
    total = mpf(0)
    for value in reversed(c):
        total = total * x + value
    return total


def solved(fit: Fit, degree: int, fixed: list[mpf]) -> list[mpf]:
    """Least squares on Chebyshev's points, weighted; the coefficients in ``fixed`` stay."""
    first = len(fixed)
    count = degree + 1 - first
    points = 5 * (degree + 2)
    middle, half = (fit.low + fit.high) / 2, (fit.high - fit.low) / 2
    x = [middle - half * mp.cos(mp.pi * (2 * i + 1) / (2 * points)) for i in range(points)]
    w = [fit.weight(at) for at in x]
    system = mp.matrix(count, count)
    right = mp.matrix(count, 1)
    rest = [fit.f(at) - evaluate(fixed, at) for at in x]
    powers = [[at ** (first + j) for j in range(count)] for at in x]
    for i in range(count):
        right[i] = mp.fsum(wk * wk * p[i] * r for wk, p, r in zip(w, powers, rest, strict=True))
        for j in range(count):
            system[i, j] = mp.fsum(wk * wk * p[i] * p[j] for wk, p in zip(w, powers, strict=True))
    solution = mp.lu_solve(system, right)
    return [solution[j] for j in range(count)]


def fitted(fit: Fit, bits: int) -> tuple[list[mpf], mpf]:
    """Rounded coefficients and the largest weighted error that is left.

    A coefficient is rounded, then the later ones are fitted again.
    """
    degree = fit.degree[bits]
    done: list[mpf] = []
    while len(done) <= degree:
        done.append(rounded(solved(fit, degree, done)[0], bits))
    points = [fit.low + (fit.high - fit.low) * i / 400 for i in range(1, 400)]
    worst = max(abs((fit.f(x) - evaluate(done, x)) * fit.weight(x)) for x in points)
    return done, worst


def text(value: mpf, bits: int) -> str:
    """A hexadecimal literal, with ``f`` for 32 bits."""
    digits = float(value).hex()
    head, _, exponent = digits.partition("p")
    head = head.rstrip("0").rstrip(".") if "." in head else head
    return f"{head}p{int(exponent)}" + ("f" if bits == 32 else "")


def parts(value: mpf, lengths: tuple[int, ...]) -> list[mpf]:
    """``value`` as a sum of numbers of so many bits each, the first nearest."""
    out = []
    for length in lengths:
        scale = mpf(2) ** (length - 1 - mp.floor(mp.log(abs(value), 2)))
        part = mp.nint(value * scale) / scale
        out.append(part)
        value -= part
    return out
