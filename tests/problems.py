"""Stiff problems with published end values, to test any solver against.

The right-hand sides use only arithmetic, so that numbers, arrays, tensors and exact
types all pass through. The end values are those of the Bari test set: Mazzia, Magherini
(2008), Test Set for Initial Value Problem Solvers, release 2.4, University of Bari, where
they were computed with RADAU and RADAU5 in quadruple precision at tolerance 1.1e-18. The
problems are also in Hairer, Wanner (1996), Solving ODEs II, sec. IV.10.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ReferenceProblem:
    """An initial value problem y' = f(t, y) with its published end values.

    Attributes:
        name: Name in the test set.
        rhs: ``rhs(t, [y_1, ...])`` gives the list of slopes.
        initial: Values at ``start``.
        start: First time.
        end: Last time.
        published: Values at ``end`` as published.
        accuracy: Relative error within which SciPy's Radau at rtol 1e-12 agrees with ``published``.
        atol: Absolute tolerance for each state that goes with a relative tolerance of 1e-6:
            well below the smallest value that the state takes where it matters.
    """

    name: str
    rhs: Callable[[Any, Sequence[Any]], list[Any]]
    initial: tuple[float, ...]
    start: float
    end: float
    published: tuple[float, ...]
    accuracy: float
    atol: tuple[float, ...]


def _van_der_pol(t: Any, y: Sequence[Any]) -> list[Any]:
    return [y[1], 1e3 * (1.0 - y[0] * y[0]) * y[1] - y[0]]


def _robertson(t: Any, y: Sequence[Any]) -> list[Any]:
    slow = 0.04 * y[0]
    back = 1e4 * y[1] * y[2]
    fast = 3e7 * y[1] * y[1]
    return [back - slow, slow - back - fast, fast]


def _oregonator(t: Any, y: Sequence[Any]) -> list[Any]:
    return [
        77.27 * (y[1] + y[0] * (1.0 - 8.375e-6 * y[0] - y[1])),
        (y[2] - (1.0 + y[0]) * y[1]) / 77.27,
        0.161 * (y[0] - y[2]),
    ]


def _hires(t: Any, y: Sequence[Any]) -> list[Any]:
    pair = 280.0 * y[5] * y[7]
    release = 1.81 * y[6]
    return [
        -1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007,
        1.71 * y[0] - 8.75 * y[1],
        -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
        8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3],
        -1.745 * y[4] + 0.43 * y[5] + 0.43 * y[6],
        -pair + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6],
        pair - release,
        release - pair,
    ]


VAN_DER_POL = ReferenceProblem(
    name="vdpol",  # mu = 1e3 in unscaled time
    rhs=_van_der_pol,
    initial=(2.0, 0.0),
    start=0.0,
    end=2000.0,
    published=(1.706167732170469, -0.8928097010248125e-3),
    accuracy=1e-12,
    atol=(1e-9, 1e-12),
)

ROBERTSON = ReferenceProblem(
    name="rober",
    rhs=_robertson,
    initial=(1.0, 0.0, 0.0),
    start=0.0,
    end=1e11,
    published=(0.2083340149701255e-7, 0.8333360770334713e-13, 0.9999999791665050),
    accuracy=1e-12,
    atol=(1e-14, 1e-19, 1e-9),
)

OREGONATOR = ReferenceProblem(
    name="orego",
    rhs=_oregonator,
    initial=(1.0, 2.0, 3.0),
    start=0.0,
    end=360.0,
    published=(0.1000814870318523e1, 0.1228178521549917e4, 0.1320554942846706e3),
    accuracy=1e-12,
    atol=(1e-6, 1e-9, 1e-6),
)

HIRES = ReferenceProblem(
    name="hires",
    rhs=_hires,
    initial=(1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0057),
    start=0.0,
    end=321.8122,
    published=(
        0.7371312573325668e-3,
        0.1442485726316185e-3,
        0.5888729740967575e-4,
        0.1175651343283149e-2,
        0.2386356198831331e-2,
        0.6238968252742796e-2,
        0.2849998395185769e-2,
        0.2850001604814231e-2,
    ),
    accuracy=1e-12,
    atol=(1e-10,) * 8,
)

STIFF = (VAN_DER_POL, ROBERTSON, OREGONATOR, HIRES)
