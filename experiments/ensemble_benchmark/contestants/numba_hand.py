"""numba by hand: RK4 over blocks of rows that the compiler vectorises, Tsit5 row by row."""

from __future__ import annotations

import functools
from typing import Any, final

import numpy as np
from problems import Problem, network_weights

from contestants.base import AbstractContestant, Run, Skipped, need

BLOCK = 64  # rows of a block: its states stay in the first-level cache


@final
class Numba(AbstractContestant):
    """Structure of arrays; rows innermost, contraction to fma allowed."""

    name = "numba"

    def method(self, problem: Problem) -> str:
        return "rk4" if problem.steps else "tsit5"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        need("numba")
        if problem.stiff:
            raise Skipped("no stiff method written by hand")
        import numba

        numba.set_num_threads(self.cores)
        kernels = _kernels(self.cores > 1)
        out = np.empty((problem.states, rows), problem.dtype)
        number = np.dtype(problem.dtype).type
        if problem.network:
            starts, weights = problem.starts(rows), network_weights()
            h = number(problem.end / problem.steps)
            return _returning(
                out, lambda: kernels["network"](starts, *weights, h, problem.steps, out)
            )
        p = problem.parameters(rows)
        if problem.steps:
            h = number(problem.end / problem.steps)
            return _returning(out, lambda: kernels["rk4"](p, h, problem.steps, out))
        kernel = kernels["lorenz" if problem.name == "lorenz" else "van_der_pol"]
        atol = tolerance * problem.floor
        return _returning(out, lambda: kernel(p, problem.end, tolerance, atol, out))


def _returning(out: np.ndarray, call: Any) -> Run:
    def run() -> np.ndarray:
        call()
        return out

    return run


@functools.cache
def _kernels(parallel: bool) -> dict[str, Any]:
    """The kernels; ``parallel`` spreads blocks or rows over numba's threads."""
    from numba import njit, prange

    quick = {"fastmath": {"contract"}, "error_model": "numpy"}
    loop = njit(parallel=parallel, **quick)
    inline = njit(inline="always", **quick)

    @loop
    def rk4(p, h, steps, out):
        t = p.dtype.type
        half, sixth, third = h / t(2), h / t(6), h / t(3)
        ten, ratio = t(10), t(8.0 / 3.0)
        for block in prange(p.size // BLOCK):
            first = block * BLOCK
            x, y, z = np.ones(BLOCK, p.dtype), np.zeros(BLOCK, p.dtype), np.zeros(BLOCK, p.dtype)
            rho = p[first : first + BLOCK].copy()
            for _ in range(steps):
                for i in range(BLOCK):
                    a, b, c, r = x[i], y[i], z[i], rho[i]
                    ka, kb, kc = ten * (b - a), a * (r - c) - b, a * b - ratio * c
                    sa, sb, sc = a + sixth * ka, b + sixth * kb, c + sixth * kc
                    u, v, w = a + half * ka, b + half * kb, c + half * kc
                    ka, kb, kc = ten * (v - u), u * (r - w) - v, u * v - ratio * w
                    sa, sb, sc = sa + third * ka, sb + third * kb, sc + third * kc
                    u, v, w = a + half * ka, b + half * kb, c + half * kc
                    ka, kb, kc = ten * (v - u), u * (r - w) - v, u * v - ratio * w
                    sa, sb, sc = sa + third * ka, sb + third * kb, sc + third * kc
                    u, v, w = a + h * ka, b + h * kb, c + h * kc
                    ka, kb, kc = ten * (v - u), u * (r - w) - v, u * v - ratio * w
                    x[i], y[i], z[i] = sa + sixth * ka, sb + sixth * kb, sc + sixth * kc
            out[0, first : first + BLOCK] = x
            out[1, first : first + BLOCK] = y
            out[2, first : first + BLOCK] = z

    @inline
    def layer(w, b, given, found, bend):
        for o in range(w.shape[0]):
            for i in range(BLOCK):
                found[o, i] = b[o]
            for k in range(w.shape[1]):
                weight = w[o, k]
                for i in range(BLOCK):
                    found[o, i] += weight * given[k, i]
            if bend:
                for i in range(BLOCK):
                    found[o, i] = np.tanh(found[o, i])

    @loop
    def network(starts, w1, b1, w2, b2, w3, b3, h, steps, out):
        t = starts.dtype.type
        shares = np.array([h / t(6), h / t(3), h / t(3), h / t(6)], starts.dtype)
        ahead = np.array([h / t(2), h / t(2), h, t(0)], starts.dtype)
        for block in prange(starts.shape[1] // BLOCK):
            first = block * BLOCK
            y = starts[:, first : first + BLOCK].copy()
            one, two = np.empty((32, BLOCK), y.dtype), np.empty((32, BLOCK), y.dtype)
            k, at, total = np.empty_like(y), np.empty_like(y), np.empty_like(y)
            for _ in range(steps):
                at[:], total[:] = y, y
                for stage in range(4):
                    layer(w1, b1, at, one, True)
                    layer(w2, b2, one, two, True)
                    layer(w3, b3, two, k, False)
                    for j in range(4):
                        for i in range(BLOCK):
                            total[j, i] += shares[stage] * k[j, i]
                            at[j, i] = y[j, i] + ahead[stage] * k[j, i]
                y[:] = total
            out[:, first : first + BLOCK] = y

    from contestants.numba_tsit5 import adaptive

    return {
        "rk4": rk4, "network": network, "lorenz": adaptive(loop, inline, 3),
        "van_der_pol": adaptive(loop, inline, 2),
    }  # fmt: skip
