"""Compiles kernels/ for the tests and calls its functions over numpy arrays."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
KERNELS = HERE.parent.parent / "kernels"
REAL = {64: np.float64, 32: np.float32}
# A whole number of packs for every lane count up to 64.
PACKS = 192

CPU_FLAGS = [
    "-std=c++17",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-exceptions",
    "-fno-rtti",
    "-fPIC",
    "-shared",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    "-Werror",
]
# What /proc/cpuinfo must list before a binary for the target may run.
NEEDS = {
    "x86-64": "sse2",
    "x86-64-v2": "sse4_2",
    "x86-64-v3": "avx2",
    "x86-64-v4": "avx512dq",
    "native": "",
}


def compiler() -> str:
    found = shutil.which("g++")
    if found is None:
        pytest.skip("no g++ to compile kernels/ with")
    return found


def runs(target: str) -> bool:
    if platform.machine() != "x86_64":
        return target == "native"
    try:
        return NEEDS[target] in Path("/proc/cpuinfo").read_text()
    except OSError:
        return target in ("x86-64", "native")


def default_target() -> str:
    return "x86-64-v3" if runs("x86-64-v3") else "native"


def compile_shared(source: Path, *options: str) -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(prefix="twinml-kernels-") as folder:
        out = Path(folder) / "driver.so"
        command = [compiler(), *options, str(source), "-o", str(out)]
        if "-lquadmath" in options:
            command = [*(word for word in command if word != "-lquadmath"), "-lquadmath"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise AssertionError(f"{' '.join(command)}\n{done.stderr}")
        return ctypes.CDLL(str(out))


@functools.cache
def driver(bits: int, target: str = "", optimisation: str = "-O2", *defines: str) -> ctypes.CDLL:
    """tests/kernels/driver.cpp for one width and target."""
    return compile_shared(
        HERE / "driver.cpp",
        *CPU_FLAGS,
        optimisation,
        f"-march={target or default_target()}",
        f"-DTW_BITS={bits}",
        f"-I{KERNELS}",
        *defines,
    )


@functools.cache
def reference_library() -> ctypes.CDLL:
    if platform.machine() != "x86_64":
        pytest.skip("the reference needs the long double and __float128 of x86-64")
    return compile_shared(HERE / "reference.cpp", "-O1", "-fPIC", "-shared", "-lquadmath")


def pointer(array: NDArray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)


def call(library: ctypes.CDLL, name: str, a: NDArray, b: NDArray | None = None) -> NDArray:
    """``name`` of the driver over ``a`` (and ``b``), any length."""
    count = len(a)
    padding = -count % PACKS
    a = np.concatenate([a, np.ones(padding, a.dtype)])
    b = a if b is None else np.concatenate([b, np.ones(padding, a.dtype)])
    out = np.empty_like(a)
    getattr(library, f"over_{name}")(pointer(a), pointer(b), pointer(out), ctypes.c_long(len(a)))
    return out[:count]


def reference(name: str, a: NDArray, b: NDArray | None = None) -> NDArray:
    """The same in long double."""
    wide_a = a.astype(np.float64)
    wide_b = wide_a if b is None else b.astype(np.float64)
    out = np.empty(len(a), np.longdouble)
    function = getattr(reference_library(), f"reference_{name}")
    function(pointer(wide_a), pointer(wide_b), pointer(out), ctypes.c_long(len(a)))
    return out


def units_off(got: NDArray, wanted: NDArray) -> NDArray:
    """Distance in units of the last place of ``got``'s format; inf where one is not finite."""
    info = np.finfo(got.dtype)
    with np.errstate(over="ignore"):
        rounded = wanted.astype(got.dtype)
    _, exponent = np.frexp(np.abs(wanted))
    unit = np.ldexp(np.ones_like(wanted), np.maximum(exponent - 1, info.minexp) - info.nmant)
    with np.errstate(invalid="ignore"):
        error = np.abs(got.astype(np.longdouble) - wanted) / unit
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    finite = np.isfinite(got) & np.isfinite(rounded)
    return np.where(finite, error, np.where(same, 0, np.inf)).astype(np.float64)
