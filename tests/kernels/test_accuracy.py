"""Every function of kernels/math.h is within two units in the last place."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from tests.kernels.arguments import ONE, TWO
from tests.kernels.compiled import REAL, call, driver, reference, units_off

LIMIT = 2.0
FEW, MANY = 20_000, 1_000_000


def samples(name: str, bits: int, count: int):
    """Arguments of every range of a function, about ``count`` in all."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), bits])
    real = REAL[bits]
    ranges = ONE.get(name) or TWO[name]
    each = count // len(ranges)
    with np.errstate(over="ignore", invalid="ignore"):
        for item in ranges:
            if isinstance(item, tuple):
                yield item[0](rng, each).astype(real), item[1](rng, each).astype(real)
            else:
                yield item(rng, each).astype(real), None


def check(name: str, bits: int, count: int) -> float:
    worst = 0.0
    for a, b in samples(name, bits, count):
        got = call(driver(bits), name, a, b)
        wanted = reference(name, a, b)
        off = units_off(got, wanted)
        i = int(np.argmax(off))
        at = (a[i],) if b is None else (a[i], b[i])
        assert off[i] <= LIMIT, f"{name}{at} is {got[i]!r}, {off[i]:.3g} units from {wanted[i]!r}"
        worst = max(worst, float(off[i]))
    return worst


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_function_is_within_two_units_in_the_last_place(name, bits):
    check(name, bits, FEW)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_function_is_within_two_units_at_a_million_points(name, bits):
    print(f"{name} {bits}: {check(name, bits, MANY):.3f}")


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("power", [-32, -3, -2, -1, 0, 2, 3, 4, 5, 31])
def test_whole_constant_powers_are_within_two_units(power, bits):
    rng = np.random.default_rng([power + 100, bits])
    low, high = (-1074, 1024) if bits == 64 else (-149, 128)
    a = (np.exp2(rng.uniform(low, high, FEW)) * rng.choice([-1, 1], FEW)).astype(REAL[bits])
    got = call(driver(bits), f"powi_{power}".replace("-", "m"), a)
    wanted = reference("pow", a, np.full_like(a, power))
    assert units_off(got, wanted).max() <= LIMIT
