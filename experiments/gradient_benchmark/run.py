"""What derivatives cost beside the run they belong to: tangents of an ensemble, and calibrations.

python experiments/gradient_benchmark/run.py [--rows 32768] [--repeats 7]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import torch

import twinml as tw
from twinml.engines.linearise import linearise
from twinml.engines.native.engine import NativeEngine
from twinml.engines.native.tangents import tangent_run
from twinml.engines.normalise import build_problem
from twinml.engines.seeds import seeds_along
from twinml.engines.tangent import state_tangents
from twinml.library import Lorenz, Outbreak, PredatorPrey
from twinml.solve.problem import Problem

NAMES = ("rho", "sigma", "beta", "initial.x")
CHECKED = 64


def build(theta: torch.Tensor) -> Problem:
    """Lorenz over one unit of time, ends only, by Tsit5 at 1e-6."""
    return build_problem(
        Lorenz(), [0.0, 1.0], {name: theta[:, k] for k, name in enumerate(NAMES[:3])},
        {"x": theta[:, 3]}, method="tsit5", rtol=1e-6, atol=1e-6, keep="final",
    )  # fmt: skip


def unknowns(rows: int) -> torch.Tensor:
    base = torch.tensor([[0.0, 10.0, 8.0 / 3.0, 1.0]], dtype=torch.float64).repeat(rows, 1)
    base[:, 0] = torch.linspace(0.0, 21.0, rows, dtype=torch.float64)
    return base


def least(work: Callable[[], float], repeats: int) -> float:
    """Seconds of the least disturbed of some calls."""
    return min(work() for _ in range(repeats))


def tangents(rows: int, repeats: int) -> None:
    theta = unknowns(rows)
    problem, every = build(theta), seeds_along(build, theta)

    def plain() -> float:
        return sum(k.seconds for k in NativeEngine().run(problem, "tsit5", "frozen").kernels)

    base = least(plain, repeats)
    print(f"Lorenz, tsit5 at 1e-6, {rows} rows, one thread each core: {1e3 * base:.2f} ms a run")
    few = unknowns(CHECKED)
    _, records = NativeEngine().recorded(build(few), "tsit5")
    want = state_tangents(build, few, build(few), records)
    for count in (1, 2, 4):
        seeds = every.select(slice(0, count))

        def moved(count: int = count, seeds=seeds) -> float:
            outcome, _ = tangent_run(problem, "tsit5", seeds)
            return sum(kernel.seconds for kernel in outcome.kernels)

        _, found = tangent_run(build(few), "tsit5", seeds_along(build, few).select(slice(0, count)))
        scale = want[..., :count].abs().amax()
        error = float(((found - want[..., :count]).abs() / scale).max())
        whole = least(moved, repeats)
        print(
            f"  {count} directions side by side: {1e3 * whole:.2f} ms, {whole / base / count:.2f} "
            f"runs a direction, {(whole - base) / base / count:.2f} beyond the run itself; "
            f"off torch along the same steps by {error:.1e}"
        )


def jacobian(repeats: int) -> None:
    """A Jacobian of 8 starts, as calibrate asks for it, by kernels and by torch."""
    theta = unknowns(8)
    found = {}
    for engine in ("native", "eager"):

        def one(engine: str = engine) -> float:
            begin = time.perf_counter()
            found[engine] = linearise(build, lambda p, s: s[0].T, theta, "tsit5", engine)[2]
            return time.perf_counter() - begin

        one()
        print(f"Jacobian of 8 rows, {engine}: {1e3 * least(one, repeats):.1f} ms")
    gap = (found["native"] - found["eager"]).abs().max() / found["eager"].abs().max()
    print(f"  the engines' own steps differ; their Jacobians by {float(gap):.1e}")


def calibrations(repeats: int) -> None:
    data = Path(str(files("twinml"))) / "library" / "data"
    folder = next(iter(data.parent.parent.rglob("influenza_1978.csv"))).parent
    flu = tw.Record.from_csv(
        folder / "influenza_1978.csv", time="day", time_unit="day",
        columns={"in_bed": "in_bed"}, units={"in_bed": "1"},
    )  # fmt: skip
    logs = ("log_hare", "log_lynx")
    pelts = tw.Record.from_csv(
        folder / "lynx_hare_1900_1920.csv", time="year", time_unit="year",
        columns={name: name for name in logs}, units=dict.fromkeys(logs, "1"),
    )  # fmt: skip
    cases = {
        "outbreak": (Outbreak(), flu, ["beta", "gamma"], ["infected"]),
        "predator_prey": (
            PredatorPrey(), pelts, ["alpha", "beta", "gamma", "delta"], ["prey", "predator"]
        ),
    }  # fmt: skip
    for name, (model, record, fit, start) in cases.items():

        def once(model=model, record=record, fit=fit, start=start) -> float:
            begin = time.perf_counter()
            tw.calibrate(model, record, fit=fit, fit_initial=start)
            return time.perf_counter() - begin

        first = once()
        print(f"calibrate {name}: {first:.2f} s at first, {least(once, repeats):.3f} s afterwards")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=32_768)
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    tangents(given.rows, given.repeats)
    jacobian(given.repeats)
    calibrations(given.repeats)
