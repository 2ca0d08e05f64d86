"""The packages that kernels on a GPU need: whether they are there, and of one CUDA."""

from __future__ import annotations

import functools
from typing import Any

import torch

from twinml.errors import MissingDependencyError

# By CUDA's major version: the extra that brings its packages, and the first driver that runs it.
EXTRAS = {12: "cuda12", 13: "cuda13"}
DRIVERS = {12: "525", 13: "580"}
_NEWEST = max(EXTRAS)


def cupy() -> Any:
    """The module cupy, which loads and launches kernels.

    Raises:
        MissingDependencyError: it is missing or broken.
    """
    try:
        import cupy  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise MissingDependencyError(_missing("cupy", "cupy", error)) from error
    return cupy


def nvrtc() -> Any:
    """The module that compiles kernels: NVRTC by ``cuda.bindings``.

    Raises:
        MissingDependencyError: it is missing or broken.
    """
    try:
        from cuda.bindings import nvrtc  # pyright: ignore
    except ImportError as error:
        raise MissingDependencyError(_missing("cuda-bindings", "cuda", error)) from error
    return nvrtc


def wanted_extra() -> str:
    """The extra for this torch's CUDA, or the newest."""
    return EXTRAS.get(torch_cuda() or _NEWEST, EXTRAS[_NEWEST])


def torch_cuda() -> int | None:
    """CUDA's major version that torch is built for; None for a CPU build."""
    version = torch.version.cuda
    return int(version.partition(".")[0]) if version else None


def cupy_cuda() -> int:
    """CUDA's major version that cupy is built for."""
    return cupy().cuda.runtime.runtimeGetVersion() // 1000


@functools.cache
def nvrtc_version() -> tuple[int, int]:
    """CUDA's version of the compiler.

    Raises:
        MissingDependencyError: its library is missing.
    """
    module = nvrtc()
    try:
        error, major, minor = module.nvrtcVersion()
    except RuntimeError as failure:  # its shared library is not found
        raise MissingDependencyError(_missing("nvidia-cuda-nvrtc", "", failure)) from failure
    if int(error) != 0:
        raise MissingDependencyError(_missing("nvidia-cuda-nvrtc", "", RuntimeError(str(error))))
    return major, minor


def driver_version() -> int:
    """What the driver runs, as 1000 major + 10 minor; 0 where there is none."""
    runtime = cupy().cuda.runtime
    try:
        return runtime.driverGetVersion()
    except runtime.CUDARuntimeError:
        return 0


def mismatch() -> str | None:
    """Why the packages and the driver do not go together, or None.

    Raises:
        MissingDependencyError: one is missing.
    """
    torch_major, cupy_major, (major, minor) = torch_cuda(), cupy_cuda(), nvrtc_version()
    for what, found in (("cupy", cupy_major), ("the compiler NVRTC", major)):
        if torch_major is not None and found != torch_major:
            return (
                f"{what} is for CUDA {found} and torch for CUDA {torch_major}: pip uninstall what "
                f"is for CUDA {found}, and pip install 'twinml[{wanted_extra()}]'"
            )
    driver = driver_version()
    if driver and driver // 1000 < major:
        older = EXTRAS.get(driver // 1000)
        other = f", or install torch for CUDA {driver // 1000} and 'twinml[{older}]'"
        needed = DRIVERS.get(major, "of that time")
        return (
            f"the driver runs CUDA up to {driver // 1000}.{driver % 1000 // 10} and kernels are "
            f"compiled by NVRTC {major}.{minor}: install driver {needed} or newer"
            + (other if older else "")
        )
    return None


def _missing(what: str, module: str, error: Exception) -> str:
    absent = isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(module or "-")
    state = "is not installed" if absent else f"cannot be loaded ({str(error).splitlines()[0]})"
    return (
        f"Kernels on a GPU need the package {what}, which {state}. "
        f"Install it with pip install 'twinml[{wanted_extra()}]'."
    )
