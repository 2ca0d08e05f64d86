"""Time the kernels of twinml on a GPU: torch, numpy, cupy and NVRTC suffice. See README.md.

python experiments/ensemble_benchmark/gpu.py [--only NAME] [--rounds N] [--rows N] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import twinml as tw
from twinml.engines.cuda import device
from twinml.engines.cuda.engine import unavailable
from twinml.engines.cuda.packages import driver_version, nvrtc_version

# Multiply-adds that a multiprocessor starts in a cycle, by the first digit of its architecture:
# CUDA C++ Programming Guide, table "Throughput of Native Arithmetic Instructions".
LANES = {"sm_80": 64, "sm_86": 128, "sm_89": 128, "sm_90": 128, "sm_100": 128, "sm_120": 128}
LAYERS = ((4, 32), (32, 32), (32, 4))


class Lorenz(tw.Physics):
    """Lorenz (1963), without units, so that no package for them is needed."""

    time_unit = "1"
    x = tw.State("1", initial=1.0)
    y = tw.State("1", initial=0.0)
    z = tw.State("1", initial=0.0)
    rho = tw.Parameter("1", default=28.0)

    def rhs(self, x: Tensor, y: Tensor, z: Tensor, rho: Tensor) -> Mapping[str, Tensor]:
        return {"x": 10.0 * (y - x), "y": x * (rho - z) - y, "z": x * y - (8.0 / 3.0) * z}


class Hybrid(tw.Physics):
    """Four states, each pulled to zero and pushed by a 4-32-32-4 tanh network."""

    time_unit = "1"
    a = tw.State("1", initial=0.0)
    b = tw.State("1", initial=0.0)
    c = tw.State("1", initial=0.0)
    d = tw.State("1", initial=0.0)

    def __init__(self) -> None:
        super().__init__()
        self.net = tw.nn.mlp(4, 4, hidden=(32, 32), activation="tanh", seed=3)

    def rhs(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Mapping[str, Tensor]:
        slopes = self.net(a, b, c, d)
        return {n: s - y for n, s, y in zip("abcd", slopes, (a, b, c, d), strict=True)}


@dataclass(frozen=True)
class Case:
    """One ensemble.

    Attributes:
        title: One line for people.
        rows: How many.
        given: Model and keywords of ``simulate`` for so many rows on a device.
        published: What others reported for the like, in milliseconds, and on what.
        work: Floating-point operations of the layers in one row, 0 where they are not counted.
    """

    title: str
    rows: int
    given: Callable[[int, torch.device], dict[str, Any]]
    published: Mapping[str, float]
    work: int = 0


def lorenz_fixed(rows: int, place: torch.device) -> dict[str, Any]:
    rho = torch.linspace(0.0, 21.0, rows, device=place)
    return {
        "model": Lorenz(), "t": [0.0, 1.0], "dt": 1e-3, "method": "tsit5",
        "dtype": torch.float32, "parameters": {"rho": rho},
    }  # fmt: skip


def lorenz_adaptive(rows: int, place: torch.device) -> dict[str, Any]:
    rho = torch.linspace(0.0, 21.0, rows, dtype=torch.float64, device=place)
    return {
        "model": Lorenz(), "t": [0.0, 1.0], "rtol": 1e-8, "atol": 1e-8, "method": "tsit5",
        "parameters": {"rho": rho},
    }  # fmt: skip


def hybrid(rows: int, place: torch.device) -> dict[str, Any]:
    start = torch.linspace(-1.0, 1.0, rows, device=place)
    return {
        "model": Hybrid(), "t": [0.0, 2.0], "dt": 0.01, "method": "rk4", "dtype": torch.float32,
        "initial": {"a": start, "b": -start, "c": start * start, "d": 0.5 * start},
    }  # fmt: skip


CASES = {
    "lorenz_fixed": Case(
        "Lorenz, 1000 fixed Tsit5 steps, float32", 8_388_608, lorenz_fixed,
        {"DiffEqGPU.jl, V100": 145.0, "MPGOS, V100": 94.0},
    ),
    "lorenz_adaptive": Case(
        "Lorenz to t = 1, adaptive Tsit5 at 1e-8, float64", 524_288, lorenz_adaptive,
        {"GRADSOLVE, H200": 1.42},
    ),
    "hybrid": Case(
        "4-32-32-4 tanh network, 200 RK4 steps, float32", 1_048_576, hybrid, {},
        work=200 * 4 * sum(2 * ins * outs for ins, outs in LAYERS),
    ),
}  # fmt: skip


def wait() -> None:
    """Until the device has done all that it was given."""
    torch.cuda.synchronize()


def clock_rate(gpu: device.Gpu) -> float:
    """The most cycles a second that a multiprocessor is said to run at."""
    import cupy

    return 1e3 * cupy.cuda.Device(gpu.device.index).attributes["ClockRate"]


def measure(case: Case, gpu: device.Gpu, rows: int, rounds: int) -> dict[str, Any]:
    """Seconds of kernels and of whole calls, medians of some rounds after a first one."""
    given = case.given(rows, gpu.device)
    model, times = given.pop("model"), given.pop("t")

    def run() -> tw.Solution:
        return tw.simulate(
            model, times, engine="cuda", device=gpu.device, keep="final", **given
        )  # fmt: skip

    with torch.no_grad():
        start = time.perf_counter()
        run()
        wait()
        first = time.perf_counter() - start
        kernels, walls = [], []
        for _ in range(rounds):
            wait()
            start = time.perf_counter()
            sol = run()
            wait()
            walls.append(time.perf_counter() - start)
            kernels.append(sum(report.seconds for report in sol.kernels))
    kernel, wall = statistics.median(kernels), statistics.median(walls)
    (report,) = sol.kernels
    taken = report.occupancy
    found: dict[str, Any] = {
        "title": case.title, "rows": rows, "steps": float(sol.steps.double().mean()),
        "failed": int((~sol.ok).sum()), "reason": sol.reason,
        "first_call_seconds": first, "kernel_seconds": kernels, "wall_seconds": walls,
        "kernel_ms": 1e3 * kernel, "wall_ms": 1e3 * wall, "wall_over_kernel": wall / kernel,
        "lanes_used": report.lane_efficiency, "published_ms": dict(case.published),
    }  # fmt: skip
    if taken is not None:
        found |= {
            "registers": taken.registers, "local_bytes": taken.local, "spilled": taken.spills,
            "block": taken.block, "grid": taken.grid, "occupancy": taken.share,
        }  # fmt: skip
    if case.work:
        rate = case.work * rows / kernel
        found["layers_flops"] = rate
        lanes = LANES.get(gpu.architecture)
        if lanes is not None:
            peak = 2.0 * lanes * gpu.processors * clock_rate(gpu)
            found |= {"peak_flops": peak, "share_of_peak": rate / peak}
    return found


def describe(gpu: device.Gpu) -> dict[str, Any]:
    """The device and versions; no host name."""
    import cupy
    import numpy

    return {
        "device": gpu.name, "architecture": gpu.architecture, "multiprocessors": gpu.processors,
        "driver": driver_version(), "nvrtc": ".".join(map(str, nvrtc_version())),
        "torch": torch.__version__, "cupy": getattr(cupy, "__version__", "?"),
        "numpy": numpy.__version__, "python": platform.python_version(), "twinml": tw.__version__,
    }  # fmt: skip


def main(words: list[str]) -> dict[str, Any]:
    """Run the benchmark; returns what the JSON file holds."""
    parser = argparse.ArgumentParser(description="Time the kernels of twinml on a GPU.")
    parser.add_argument("--only", action="append", choices=list(CASES), help="repeat for several")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--rows", type=int, help="instead of each problem's own number")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(words)
    reason = unavailable()
    if reason is not None:
        sys.exit(f"nothing was measured: {reason}")
    gpu = device.describe(device.current())
    result: dict[str, Any] = {"machine": describe(gpu), "problems": {}}
    for name in options.only or CASES:
        case = CASES[name]
        found = measure(case, gpu, options.rows or case.rows, options.rounds)
        result["problems"][name] = found
        share = f", {100 * found['share_of_peak']:.0f} % of peak" if case.work else ""
        print(
            f"{found['title']}: {found['rows']} rows, kernel {found['kernel_ms']:.4g} ms, call "
            f"{found['wall_ms']:.4g} ms ({found['wall_over_kernel']:.2f}x){share}; "
            f"{found.get('registers')} registers, occupancy {found.get('occupancy', 0):.2f}",
            flush=True,
        )
        if options.json:  # after each: a device that is lost later takes nothing with it
            options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return result


if __name__ == "__main__":
    main(sys.argv[1:])
