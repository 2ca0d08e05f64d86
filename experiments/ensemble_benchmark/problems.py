"""The problems: one right-hand side each, as text that every array library reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

CHECKED = 32  # the first rows of every batch, whose exact end values are known
# Every contestant sees the same distribution; a batch is a multiple of all register blocks.
BATCHES = (1536, 12288, 98304)


@dataclass(frozen=True, eq=False)
class Problem:
    """An ensemble of initial value problems that differ in one parameter or in their start.

    Attributes:
        name: Key in tables and files.
        title: One line for people.
        rhs: ``rhs(y, p, xp)``: y indexes states first, p is the parameter of each row (or the
            weights), xp is numpy, torch or jax.numpy; returns one derivative per state.
        start: Initial states that all rows share; empty when each row has its own.
        low, high: Range of the parameter.
        end: Integration runs from 0 to here.
        tolerance: rtol; atol is ``tolerance * floor``.
        steps: Number of fixed RK4 steps; 0 for adaptive ones.
        dtype: "float64" or "float32".
        stiff: Needs an implicit method at this tolerance.
    """

    name: str
    title: str
    rhs: Callable[[Any, Any, Any], Sequence[Any]]
    start: tuple[float, ...]
    end: float
    low: float = 0.0
    high: float = 0.0
    tolerance: float = 1e-6
    floor: float = 1.0
    steps: int = 0
    dtype: str = "float64"
    stiff: bool = False

    @property
    def states(self) -> int:
        """Number of states."""
        return len(self.start) or 4

    @property
    def network(self) -> bool:
        """Whether rows differ in their start and share the weights of a network."""
        return not self.start

    def parameters(self, rows: int) -> np.ndarray:
        """Parameter of each row, (rows,): the checked ones on a grid, then random ones."""
        drawn = np.random.default_rng(1).uniform(self.low, self.high, BATCHES[-1])
        drawn[:CHECKED] = np.linspace(self.low, self.high, CHECKED)
        return np.ascontiguousarray(drawn[:rows].astype(self.dtype))

    def starts(self, rows: int) -> np.ndarray:
        """Initial states, (states, rows)."""
        if self.start:
            return np.repeat(np.array(self.start, self.dtype)[:, None], rows, 1)
        drawn = np.random.default_rng(2).uniform(-1, 1, (BATCHES[-1], 4))
        return np.ascontiguousarray(drawn[:rows].T.astype(self.dtype))


def lorenz(y: Any, rho: Any, xp: Any) -> list[Any]:
    return [10.0 * (y[1] - y[0]), y[0] * (rho - y[2]) - y[1], y[0] * y[1] - (8.0 / 3.0) * y[2]]


def van_der_pol(y: Any, mu: Any, xp: Any) -> list[Any]:
    return [y[1], mu * (1.0 - y[0] * y[0]) * y[1] - y[0]]


def robertson(y: Any, k1: Any, xp: Any) -> list[Any]:
    decay, pairing, recycling = k1 * y[0], 3e7 * y[1] * y[1], 1e4 * y[1] * y[2]
    return [recycling - decay, decay - recycling - pairing, pairing]


def network(y: Any, weights: Any, xp: Any) -> Any:
    """y (4, rows); weights as made by ``network_weights``, in the library of xp."""
    w1, b1, w2, b2, w3, b3 = weights
    hidden = xp.tanh(w1 @ y + b1[:, None])
    hidden = xp.tanh(w2 @ hidden + b2[:, None])
    return w3 @ hidden + b3[:, None]


def network_weights() -> list[np.ndarray]:
    """Weights of the 4-32-32-4 network, float32: a damped start so that solutions stay bounded."""
    draw = np.random.default_rng(3)
    sizes = (4, 32, 32, 4)
    made: list[np.ndarray] = []
    for ins, outs in pairwise(sizes):
        made.append((draw.standard_normal((outs, ins)) / np.sqrt(ins)).astype("float32"))
        made.append((0.1 * draw.standard_normal(outs)).astype("float32"))
    return made


_LORENZ: dict[str, Any] = {"rhs": lorenz, "start": (1.0, 0.0, 0.0), "low": 0.0, "high": 21.0}
_VAN_DER_POL: dict[str, Any] = {
    "rhs": van_der_pol, "start": (2.0, 0.0), "low": 1.0, "high": 100.0, "end": 20.0,
}  # fmt: skip

PROBLEMS = {
    problem.name: problem
    for problem in (
        Problem("lorenz_rk4_float32", "Lorenz, 1000 RK4 steps, float32", end=1.0, steps=1000,
                dtype="float32", **_LORENZ),
        Problem("lorenz_rk4_float64", "Lorenz, 1000 RK4 steps, float64", end=1.0, steps=1000,
                **_LORENZ),
        Problem("lorenz", "Lorenz to t = 1, adaptive", end=1.0, **_LORENZ),
        Problem("van_der_pol_explicit", "Van der Pol, mu 1 to 100, t = 20, explicit method",
                **_VAN_DER_POL),
        Problem("van_der_pol", "Van der Pol, mu 1 to 100, t = 20, stiff method", stiff=True,
                **_VAN_DER_POL),
        Problem("robertson", "Robertson to t = 1e5", robertson, (1.0, 0.0, 0.0), 1e5, 0.02, 0.08,
                floor=1e-4, stiff=True),
        Problem("network", "4-32-32-4 tanh network, 200 RK4 steps, float32", network, (), 2.0,
                steps=200, dtype="float32"),
    )
}  # fmt: skip
