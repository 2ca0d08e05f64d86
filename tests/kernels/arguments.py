"""Arguments that find where a function of kernels/math.h is weakest: ranges, not single points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Sampler = Callable[[np.random.Generator, int], NDArray[np.float64]]


def between(low: float, high: float) -> Sampler:
    return lambda rng, count: rng.uniform(low, high, count)


def whole(low: int, high: int) -> Sampler:
    return lambda rng, count: rng.integers(low, high + 1, count).astype(np.float64)


def sizes(low: float, high: float, *, signed: bool = True) -> Sampler:
    """2^u with u uniform between the two."""

    def sample(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
        values = np.exp2(rng.uniform(low, high, count))
        return values * rng.choice([-1.0, 1.0], count) if signed else values

    return sample


def near_one(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    return 1.0 + sizes(-52, -1)(rng, count)


def near_quarter_turns(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """What float64 or float32 has nearest to multiples of pi / 2."""
    turns = rng.integers(1, 500, count) * (np.pi / 2)
    return np.where(rng.random(count) < 0.5, turns, turns.astype(np.float32))


def any_bits(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Every exponent alike, of float64 or of float32, with nan, inf and subnormals."""
    with np.errstate(invalid="ignore"):
        narrow = rng.integers(0, 2**32, count, dtype=np.uint32).view(np.float32).astype(np.float64)
    wide = rng.integers(0, 2**64, count, dtype=np.uint64).view(np.float64)
    return np.where(rng.random(count) < 0.5, wide, narrow)


WIDE: tuple[Sampler, ...] = (any_bits, sizes(-60, 0), sizes(-1074, -60), sizes(-149, -120))
UNIT = between(-1, 1)

ONE: dict[str, tuple[Sampler, ...]] = {
    "exp": (UNIT, between(-746, 711), between(-104, -80), between(80, 90), *WIDE),
    "exp2": (UNIT, between(-1080, 1030), between(-155, 130), *WIDE),
    "expm1": (UNIT, between(-60, 60), between(690, 711), between(78, 90), *WIDE),
    "tanh": (UNIT, between(-23, 23), *WIDE),
    "sinh": (UNIT, between(-25, 25), between(-711, 711), between(85, 90), *WIDE),
    "cosh": (UNIT, between(-25, 25), between(-711, 711), between(85, 90), *WIDE),
    "sigmoid": (UNIT, between(-40, 40), between(-120, -80), between(-760, -690), *WIDE),
    "silu": (UNIT, between(-40, 40), between(-120, -80), between(-760, -690), *WIDE),
    "softplus": (UNIT, between(-40, 40), between(-120, -80), between(-760, -690), *WIDE),
    "gelu": (UNIT, between(-5, 5), between(-15, -8), between(-40, -30), *WIDE),
    "gelu_tanh": (UNIT, between(-5, 5), between(-15, -5), between(-40, -15), *WIDE),
    "erf": (UNIT, between(-3, 3), between(-7, 7), *WIDE),
    "erfc": (UNIT, between(-3, 3), between(0, 12), between(20, 30), *WIDE),
    "log": (between(0.5, 2), between(0, 1e3), near_one, *WIDE),
    "log1p": (UNIT, between(-1, -0.99), between(0, 1e3), near_one, *WIDE),
    "log2": (between(0.5, 2), between(0, 1e3), near_one, *WIDE),
    "log10": (between(0.5, 2), between(0, 1e3), near_one, *WIDE),
    "sin": (between(-4, 4), between(-1600, 1600), between(-2e6, 2e6), near_quarter_turns, *WIDE),
    "cos": (between(-4, 4), between(-1600, 1600), between(-2e6, 2e6), near_quarter_turns, *WIDE),
    "tan": (between(-4, 4), between(-1600, 1600), between(-2e6, 2e6), near_quarter_turns, *WIDE),
    "asin": (UNIT, between(0.99, 1), between(0.49, 0.51), *WIDE),
    "acos": (UNIT, between(0.99, 1), between(-1, -0.99), between(-0.51, 0.51), *WIDE),
    "atan": (UNIT, between(-10, 10), between(0.41, 0.42), *WIDE),
    "asinh": (UNIT, between(-10, 10), sizes(-30, 35), *WIDE),
    "acosh": (between(1, 2), between(1, 100), near_one, *WIDE),
    "atanh": (UNIT, between(0.99, 1), *WIDE),
}

Pairs = tuple[tuple[Sampler, Sampler], ...]
EVERYWHERE: Pairs = (
    (any_bits, any_bits),
    (UNIT, UNIT),
    (sizes(-100, 100), sizes(-100, 100)),
    (sizes(-1074, -1000), sizes(-1074, -1000)),
    (sizes(-149, -110), sizes(-149, -110)),
    (sizes(1000, 1024), sizes(1000, 1024)),
    (sizes(100, 128), sizes(100, 128)),
)
TWO: dict[str, Pairs] = {
    "pow": (
        (between(0, 10), between(-10, 10)),
        (between(0.5, 2), between(-1000, 1000)),
        (sizes(-1074, 1000, signed=False), between(-2, 2)),
        (near_one, sizes(0, 60)),
        (sizes(-10, 10), whole(-20, 20)),
        (any_bits, any_bits),
    ),
    "atan2": EVERYWHERE,
    "hypot": EVERYWHERE,
    "fmod": (*EVERYWHERE, (whole(-100, 100), whole(-9, 9))),
    "remainder": (*EVERYWHERE, (whole(-100, 100), whole(-9, 9))),
}
