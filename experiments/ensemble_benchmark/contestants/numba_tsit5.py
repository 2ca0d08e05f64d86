"""Adaptive Tsit5 for numba, one row at a time in scalars."""

from __future__ import annotations

from typing import Any

from twinml.solve.explicit import EXPLICIT

_TABLE = EXPLICIT["tsit5"]


def adaptive(loop: Any, inline: Any, states: int) -> Any:
    """The kernel for Lorenz (3 states) or Van der Pol (2): ``(p, end, rtol, atol, out)``."""
    from numba import prange

    a2, a3, a4, a5, a6, a7 = _TABLE.a[1:]
    e = _TABLE.b_error

    if states == 3:

        @inline
        def slope(y, p):
            return (
                10.0 * (y[1] - y[0]), y[0] * (p - y[2]) - y[1],
                y[0] * y[1] - (8.0 / 3.0) * y[2],
            )  # fmt: skip

        @inline
        def moved(y, h, k):
            return (y[0] + h * k[0], y[1] + h * k[1], y[2] + h * k[2])

        @inline
        def added(total, weight, k):
            return (total[0] + weight * k[0], total[1] + weight * k[1], total[2] + weight * k[2])

        @inline
        def norm(x, y, z, rtol, atol):
            return (
                (x[0] / (atol + rtol * max(abs(y[0]), abs(z[0])))) ** 2
                + (x[1] / (atol + rtol * max(abs(y[1]), abs(z[1])))) ** 2
                + (x[2] / (atol + rtol * max(abs(y[2]), abs(z[2])))) ** 2
            ) / 3.0

        start, nothing = (1.0, 0.0, 0.0), (0.0, 0.0, 0.0)
    else:

        @inline
        def slope(y, p):
            return (y[1], p * (1.0 - y[0] * y[0]) * y[1] - y[0])

        @inline
        def moved(y, h, k):
            return (y[0] + h * k[0], y[1] + h * k[1])

        @inline
        def added(total, weight, k):
            return (total[0] + weight * k[0], total[1] + weight * k[1])

        @inline
        def norm(x, y, z, rtol, atol):
            return (
                (x[0] / (atol + rtol * max(abs(y[0]), abs(z[0])))) ** 2
                + (x[1] / (atol + rtol * max(abs(y[1]), abs(z[1])))) ** 2
            ) / 2.0

        start, nothing = (2.0, 0.0), (0.0, 0.0)

    @inline
    def sum2(a, k1, k2):
        return added(added(nothing, a[0], k1), a[1], k2)

    @inline
    def sum4(a, k1, k2, k3, k4):
        return added(added(sum2(a, k1, k2), a[2], k3), a[3], k4)

    @loop
    def kernel(p, end, rtol, atol, out):
        for row in prange(p.size):
            y, mu, t, h, before, most = start, p[row], 0.0, 1e-3 * end, 1.0, 10.0
            k1 = slope(y, mu)
            while t < end:
                arrives = h * (1 + 1e-10) >= end - t
                if arrives:
                    h = end - t
                k2 = slope(moved(y, h, added(nothing, a2[0], k1)), mu)
                k3 = slope(moved(y, h, sum2(a3, k1, k2)), mu)
                k4 = slope(moved(y, h, added(sum2(a4, k1, k2), a4[2], k3)), mu)
                k5 = slope(moved(y, h, sum4(a5, k1, k2, k3, k4)), mu)
                k6 = slope(moved(y, h, added(sum4(a6, k1, k2, k3, k4), a6[4], k5)), mu)
                y1 = moved(y, h, added(added(sum4(a7, k1, k2, k3, k4), a7[4], k5), a7[5], k6))
                k7 = slope(y1, mu)
                error = added(added(added(sum4(e, k1, k2, k3, k4), e[4], k5), e[5], k6), e[6], k7)
                size = h * norm(moved(nothing, 1.0, error), y, y1, rtol, atol) ** 0.5
                if size <= 1.0:
                    t = end if arrives else t + h
                    y, k1 = y1, k7
                    size = max(size, 1e-10)
                    h *= min(max(0.9 * size**-0.14 * before**0.08, 0.2), most)
                    before, most = size, 10.0
                elif size > 1.0:
                    h *= min(max(0.9 * size**-0.2, 0.2), 0.9)
                    most = 1.0
                else:
                    h, most = 0.1 * h, 1.0
            for i in range(states):
                out[i, row] = y[i]

    return kernel
