"""What a call of twinml costs beside its kernel: one row, first compile, fresh process, memory.

python experiments/ensemble_benchmark/calls.py [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import machine

HERE = Path(__file__).resolve().parent
ROWS = 98304
MANY = 1_000_000


def whole_against_kernel() -> dict[str, Any]:
    """Wall time of ``simulate`` over that of its kernel; the least disturbed of seven calls."""
    import torch
    from contestants.twinml_engine import arguments_of
    from problems import PROBLEMS

    import twinml as tw

    found = {}
    for name in ("lorenz_rk4_float64", "lorenz", "van_der_pol", "robertson"):
        given = arguments_of(PROBLEMS[name], ROWS, PROBLEMS[name].tolerance)
        best: tuple[float, float] = (float("inf"), 1.0)
        with torch.no_grad():
            for _ in range(7):
                begin = time.perf_counter()
                sol = tw.simulate(engine="native", **given)
                whole = time.perf_counter() - begin
                best = min(best, (whole, sum(kernel.seconds for kernel in sol.kernels)))
        found[name] = {"whole": best[0], "kernel": best[1], "ratio": best[0] / best[1]}
    return found


def one_row() -> dict[str, Any]:
    """A call with one row, traced and compiled before."""
    import torch

    import twinml as tw
    from twinml.library import Lorenz

    model = Lorenz()
    rho = torch.tensor([20.0], dtype=torch.float64)

    def whole() -> None:
        tw.simulate(model, [0.0, 1.0], {"rho": rho}, keep="final", method="tsit5", rtol=1e-6,
                    atol=1e-6, engine="native")  # fmt: skip

    def step() -> None:
        tw.simulate(model, [0.0, 1e-3], {"rho": rho}, keep="final", method="rk4", dt=1e-3,
                    engine="native")  # fmt: skip

    return {"to t = 1": _median(whole), "one step": _median(step)}


def _median(call: Callable[[], None]) -> dict[str, float]:
    for _ in range(20):
        call()
    taken = []
    for _ in range(300):
        clock = machine.Clock()
        call()
        taken.append(clock.read())
    # CPU time ticks too coarsely for one call: its mean, but the wall's median.
    return {
        "cpu": statistics.fmean(one.cpu for one in taken),
        "wall": statistics.median(one.wall for one in taken),
    }


def first_compile() -> dict[str, Any]:
    """The first call less the second, with an empty cache: trace, lower, compile, load."""
    import torch
    from contestants.twinml_engine import arguments_of
    from problems import PROBLEMS

    import twinml as tw

    cases: dict[str, Callable[[], Any]] = {}
    for name in ("lorenz_rk4_float64", "lorenz", "van_der_pol", "robertson", "network"):
        given = arguments_of(PROBLEMS[name], 1536, PROBLEMS[name].tolerance)
        cases[name] = lambda given=given: tw.simulate(engine="native", **given)
    cases["fifty states, tsit5"] = _fifty
    found = {}
    with torch.no_grad():
        for name, call in cases.items():
            seconds = []
            for _ in range(2):
                clock = machine.Clock()
                call()
                seconds.append(clock.read())
            first, second = seconds
            found[name] = {"cpu": first.cpu - second.cpu, "wall": first.wall - second.wall}
    return found


def _fifty() -> Any:
    """Fifty states with a nonlinear coupling in a ring."""
    from models import Ring

    import twinml as tw

    return tw.simulate(Ring(), [0.0, 0.1], keep="final", method="tsit5", engine="native")


def fresh_process() -> dict[str, Any]:
    """From torch imported to the first result, with a full cache."""
    import torch  # noqa: F401 - what a user has paid already

    clock = machine.Clock()
    import twinml as tw
    from twinml.library import Lorenz

    imported = clock.read()
    clock = machine.Clock()
    tw.simulate(Lorenz(), [0.0, 1.0], keep="final", method="tsit5", engine="native")
    called = clock.read()
    return {"import twinml": vars(imported), "first call": vars(called)}


def memory() -> dict[str, float]:
    """Largest resident memory beyond that of the process, against inputs and outputs."""
    import torch

    import twinml as tw
    from twinml.library import Lorenz

    torch.set_num_threads(1)
    model = Lorenz()

    def run(rows: int) -> tw.Solution:
        rho = torch.linspace(0.0, 21.0, rows, dtype=torch.float64)
        return tw.simulate(model, [0.0, 1.0], {"rho": rho}, keep="final", method="tsit5",
                           rtol=1e-6, atol=1e-6, engine="native")  # fmt: skip

    run(64)
    before = _status("VmRSS")
    sol = run(MANY)
    used = _status("VmHWM") - before
    values = MANY * 8 * (1 + len(sol.names))  # the parameter, and the end value of each state
    held = sum(t.nbytes for t in _tensors(sol)) + MANY * 8
    return {"bytes": used, "inputs and values": values, "ratio": used / values,
            "inputs and whole solution": held, "ratio to the solution": used / held}  # fmt: skip


def _tensors(what: Any) -> list[Any]:
    """Tensors of a solution, its lane state included, each storage once."""
    import dataclasses

    import torch

    found: dict[int, Any] = {}

    def look(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[value.untyped_storage().data_ptr()] = value
        elif isinstance(value, dict):
            for item in value.values():
                look(item)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                look(getattr(value, field.name))

    look(what)
    return list(found.values())


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return float(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {key}")


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "whole_against_kernel": whole_against_kernel,
    "one_row": one_row,
    "first_compile": first_compile,
    "fresh_process": fresh_process,
    "memory": memory,
}


def measure() -> dict[str, Any]:
    """Every part in a process of its own; ``first_compile`` with an empty cache."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as empty:
        for name in PARTS:
            environment = dict(os.environ)
            if name == "first_compile":
                environment["TWINML_CACHE"] = empty
            runs = 3 if name == "fresh_process" else 1  # the first of them fills the cache
            for _ in range(runs):
                done = subprocess.run(
                    [sys.executable, str(HERE / "calls.py"), "--part", name],
                    env=environment, capture_output=True, text=True, check=False,
                )  # fmt: skip
            if done.returncode:
                lines = done.stderr.strip().splitlines() or [f"exit {done.returncode}"]
                found[name] = {"failed": lines[-1]}
            else:
                found[name] = json.loads(done.stdout)
    return found


def main(given: list[str]) -> None:
    parser = argparse.ArgumentParser(description="What a call of twinml costs.")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    machine.prepare(1)
    if options.part:
        print(json.dumps(PARTS[options.part]()))
        return
    text = json.dumps({"machine": machine.describe(1), **measure()}, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
