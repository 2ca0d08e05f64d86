"""A function has the same bits at every optimisation, target, vector width and register count."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.kernels.arguments import ONE, TWO
from tests.kernels.compiled import REAL, call, default_target, driver, runs
from tests.kernels.test_accuracy import samples

LANE = ("sqrt", "floor", "ceil", "trunc", "round_even", "sqrt0", "relu", "sign", "powi_4")
COUNT = 6_000

# The second has 48 lanes in 32 bits, more than an int has.
FEW = [("x86-64-v2", "-O1", 16, 2), ("x86-64-v4", "-O1", 64, 3)]
MANY = [
    (target, optimisation, width, registers)
    for target, width in (
        ("x86-64", 16),
        ("x86-64-v2", 16),
        ("x86-64-v3", 16),
        ("x86-64-v4", 32),
        ("x86-64-v4", 64),
    )
    for optimisation, registers in (("-O1", 1), ("-O3", 3))
] + [("x86-64-v3", "-O1", 32, 1), ("x86-64-v3", "-O3", 32, 2), ("x86-64-v3", "-O2", 32, 4)]


def outcome(library, bits: int) -> dict[str, np.ndarray]:
    """Bits of every function; every nan alike, since its sign and payload are not promised."""
    found = {}
    for name in [*ONE, *TWO]:
        for k, (a, b) in enumerate(samples(name, bits, COUNT)):
            found[f"{name} {k}"] = call(library, name, a, b)
    a = next(iter(samples("exp", bits, COUNT)))[0]
    for name in LANE:
        found[name] = call(library, name, 4 * a)
    found["step_log2"] = call(library, "step_log2", np.abs(a) + REAL[bits](1e-3))
    found["step_exp2"] = call(library, "step_exp2", a)
    integer = np.int64 if bits == 64 else np.int32
    return {
        name: np.where(np.isnan(values), -1, values.view(integer)) for name, values in found.items()
    }


def check(bits: int, target: str, optimisation: str, width: int, registers: int) -> None:
    if not runs(target):
        pytest.skip(f"this machine does not run {target}")
    options = (f"-DTW_VECTOR_BYTES={width}", f"-DTW_REGS={registers}")
    expected = outcome(driver(bits), bits)
    got = outcome(driver(bits, target, optimisation, *options), bits)
    different = [name for name in expected if not np.array_equal(expected[name], got[name])]
    assert not different, f"not as {default_target()} -O2: {different}"


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("build", FEW, ids=str)
def test_bits_do_not_depend_on_target_and_optimisation(bits, build):
    check(bits, *build)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("build", MANY, ids=str)
def test_bits_are_the_same_in_every_build(bits, build):
    check(bits, *build)


def test_a_lane_does_not_depend_on_its_neighbours():
    library = driver(64)
    rng = np.random.default_rng(5)
    a = rng.uniform(-3, 3, 960)
    for name in ONE:
        alone = call(library, name, a)
        spoiled = a.copy()
        spoiled[1::2] = rng.choice([np.nan, np.inf, -np.inf, 1e300, 1e-310, -0.0], len(a) // 2)
        np.testing.assert_array_equal(call(library, name, spoiled)[::2], alone[::2], err_msg=name)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("clang++") is None, reason="no clang++")
def test_clang_gives_the_bits_of_gcc(monkeypatch):
    expected = outcome(driver(64), 64)
    monkeypatch.setattr("tests.kernels.compiled.compiler", lambda: "clang++")
    got = outcome(driver(64, "", "-O2", "-DTW_CLANG"), 64)
    assert [name for name in expected if not np.array_equal(expected[name], got[name])] == []
