"""The hand-written C++ kernels of ``reference.cpp``, compiled on first use."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import numpy as np
from machine import wide_vectors
from problems import Problem, network_weights

from contestants.base import AbstractContestant, Run, Skipped

HERE = Path(__file__).resolve().parents[1]
FLAGS = (
    "-std=c++17", "-O3", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden",
    "-Wno-psabi", "-fPIC", "-shared",
)  # fmt: skip
AVX2 = ("-march=x86-64-v3",)
AVX512 = ("-march=x86-64-v4", "-mprefer-vector-width=512")
KERNELS = {
    "lorenz_rk4_float32": "lorenz_rk4_float32",
    "lorenz_rk4_float64": "lorenz_rk4_float64",
    "lorenz": "lorenz_tsit5",
    "van_der_pol_explicit": "van_der_pol_tsit5",
    "van_der_pol": "van_der_pol_rodas5p",
    "robertson": "robertson_rodas5p",
    "network": "network_rk4",
}
# One register of one pack at a time: what the blocks gain.
NO_BLOCKS = {problem: f"{kernel}_no_blocks" for problem, kernel in KERNELS.items()}
NO_REFILL = {
    problem: f"{kernel}_no_refill"
    for problem, kernel in KERNELS.items()
    if not kernel.endswith(("rk4", "float32", "float64"))
}
RODAS4 = {"van_der_pol": "van_der_pol_rodas4", "robertson": "robertson_rodas4"}


def library(target: tuple[str, ...]) -> ctypes.CDLL:
    """The kernels for a target, kept in the temporary folder by a digest of their source.

    Raises:
        Skipped: no compiler, or it refused.
    """
    compiler = shutil.which("g++")
    if compiler is None:
        raise Skipped("no g++ on the path")
    flags = (*FLAGS, *target)
    source = [HERE / "reference.cpp", *sorted(HERE.glob("reference_*.h"))]
    text = b"".join(path.read_bytes() for path in source) + " ".join(flags).encode()
    made = Path(tempfile.gettempdir()) / f"ensemble_{hashlib.sha256(text).hexdigest()[:16]}.so"
    if not made.exists():
        with tempfile.TemporaryDirectory() as folder:
            fresh = Path(folder) / "reference.so"
            command = [compiler, *flags, str(source[0]), "-o", str(fresh)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise Skipped(f"g++ refused reference.cpp: {done.stderr.strip()[:300]}")
            shutil.move(fresh, made)
    return ctypes.CDLL(str(made))


@final
class Reference(AbstractContestant):
    """Kernels by hand, one thread per core over equal parts of the rows."""

    def __init__(
        self, cores: int, name: str, kernels: dict[str, str], target: tuple[str, ...] = AVX2
    ) -> None:
        super().__init__(cores)
        self.name, self.kernels, self.target = name, kernels, target

    def method(self, problem: Problem) -> str:
        name = self.kernels.get(problem.name, "")
        return next((m for m in ("tsit5", "rodas4", "rodas5p", "rk4") if m in name), "")

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        if problem.name not in self.kernels:
            raise Skipped("the same as the reference here")
        if self.target == AVX512 and not wide_vectors():
            raise Skipped("this processor has no AVX-512")
        kernel = getattr(library(self.target), self.kernels[problem.name])
        parts = [self._part(problem, kernel, tolerance, share) for share in self._shares(rows)]
        inputs = problem.starts(rows) if problem.network else problem.parameters(rows)
        pool = ThreadPoolExecutor(self.cores) if self.cores > 1 else None

        def run() -> np.ndarray:
            cut = np.array_split(inputs, self.cores, axis=-1)
            if pool is None:
                found = [parts[0](cut[0])]
            else:
                found = list(pool.map(lambda pair: pair[0](pair[1]), zip(parts, cut, strict=True)))
            counts = sum(count for _, count in found)
            if not problem.steps:
                useful, executed, rejected = (int(c) for c in counts)
                self.counters = {
                    "steps": useful / rows, "rejected": rejected / rows,
                    "lane_efficiency": useful / executed,
                }  # fmt: skip
            return np.concatenate([out for out, _ in found], axis=1)

        return run

    def _shares(self, rows: int) -> list[int]:
        return [len(part) for part in np.array_split(np.arange(rows), self.cores)]

    def _part(self, problem: Problem, kernel: Any, tolerance: float, rows: int) -> Any:
        double, step = ctypes.c_double, ctypes.c_double(problem.end / max(problem.steps, 1))
        flat = np.concatenate([value.ravel() for value in network_weights()])

        def run(inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            inputs = np.ascontiguousarray(inputs)
            out = np.empty((problem.states, rows), problem.dtype)
            counts = np.zeros(3, np.int64)
            given = [ctypes.c_long(rows), _pointer(inputs)]
            if problem.network:
                given.append(_pointer(flat))
            given.append(_pointer(out))
            if problem.steps:
                given += [ctypes.c_long(problem.steps), step]
            else:
                atol = double(tolerance * problem.floor)
                given += [double(problem.end), double(tolerance), atol, _pointer(counts)]
            kernel(*given)
            return out, counts

        return run


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return array.ctypes.data_as(ctypes.c_void_p)
