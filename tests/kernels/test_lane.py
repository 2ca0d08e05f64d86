"""The operations of a lane, and the floating-point mode they run under."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
import torch

from tests.kernels.compiled import REAL, driver, pointer, runs

BUILDS = [("", 1), ("", 3), ("x86-64", 2), ("x86-64-v2", 1), ("x86-64-v4", 1)]


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("build", BUILDS[:1], ids=str)
def test_operations_are_those_of_scalars(bits, build):
    check(bits, *build)


@pytest.mark.slow
@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("build", BUILDS[1:], ids=str)
def test_operations_are_those_of_scalars_in_every_build(bits, build):
    check(bits, *build)


def check(bits: int, target: str, registers: int) -> None:
    if target and not runs(target):
        pytest.skip(f"this machine does not run {target}")
    options = (f"-DTW_REGS={registers}",) if registers > 1 else ()
    library = driver(bits, target, "-O2", *options)
    rng = np.random.default_rng(3)
    for _ in range(50):
        a = (rng.normal(size=64) * 1000).astype(REAL[bits])
        b = (rng.normal(size=64) * 1000).astype(REAL[bits])
        b[::5] = a[::5]
        assert library.lane_fault(pointer(a), pointer(b)) == 0, "line of driver.cpp"


@pytest.mark.skipif(not torch.set_flush_denormal(False), reason="no flush to zero here")
def test_subnormals_survive_a_thread_that_flushes_them():
    library = driver(64)
    a = np.full(64, 1e-310)
    kept, plain, after = np.empty(64), np.empty(64), np.empty(64)
    torch.set_flush_denormal(True)
    try:
        library.plain_half(pointer(a), pointer(plain), ctypes.c_long(64))
        library.ieee_half(pointer(a), pointer(kept), ctypes.c_long(64))
        library.plain_half(pointer(a), pointer(after), ctypes.c_long(64))
    finally:
        torch.set_flush_denormal(False)
    assert (kept == 5e-311).all()
    # The caller's mode was in force before, and is again.
    assert (plain == 0).all() and (after == 0).all()
