"""The machine: pinned cores, thread counts, clocks, and a description without names.

``prepare`` must run before numpy, torch or jax are imported: they read their thread counts once.
"""

from __future__ import annotations

import os
import platform
import resource
import time
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_PACKAGES = ("torch", "torchdiffeq", "torchode", "jax", "diffrax", "numba", "scipy", "numpy")


def prepare(cores: int) -> None:
    """Pin this process to ``cores`` cores and give every library that many threads."""
    free = sorted(os.sched_getaffinity(0))
    # The last cores: the first one usually serves the machine's interrupts.
    os.sched_setaffinity(0, free[-cores:])
    for name in _THREADS:
        os.environ[name] = str(cores)
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_ENABLE_X64"] = "1"
    if cores == 1:
        os.environ["XLA_FLAGS"] = (
            "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        )


@dataclass(frozen=True)
class Seconds:
    """What a call took: of all threads and children, and by the clock on the wall."""

    cpu: float
    wall: float


class Clock:
    """Measures from its making to ``read``."""

    def __init__(self) -> None:
        self._cpu, self._wall = _cpu_seconds(), time.perf_counter()

    def read(self) -> Seconds:
        """Seconds since the making."""
        return Seconds(_cpu_seconds() - self._cpu, time.perf_counter() - self._wall)


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def describe(cores: int) -> dict[str, object]:
    """Processor, compiler and versions; no host name."""
    found: dict[str, object] = {
        "processor": _processor(),
        "cores used": cores,
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "load at start": round(os.getloadavg()[0], 2),
    }
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def wide_vectors() -> bool:
    """Whether the processor has what x86-64-v4 asks for."""
    return {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"} <= _features()


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            wide = sorted(_features() & {"avx2", "fma", "avx512f"})
            return f"{line.split(':')[1].strip()} ({', '.join(wide)})"
    return platform.machine()


def _features() -> set[str]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())
