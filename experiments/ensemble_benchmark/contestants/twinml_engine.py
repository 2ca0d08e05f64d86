"""twinml: the generated kernel, and the eager engine as a measure of what it gains."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from problems import Problem

from contestants.base import AbstractContestant, Run, Skipped


def model_of(problem: Problem) -> Any:
    """The problem as a twinml model."""
    from models import Network

    from twinml import library

    if problem.network:
        return Network()
    if problem.name.startswith("lorenz"):
        return library.Lorenz()
    if problem.name.startswith("van_der_pol"):
        return library.VanDerPol()
    return library.Robertson()


def arguments_of(problem: Problem, rows: int, tolerance: float) -> dict[str, Any]:
    """Keywords of ``simulate`` for a problem, tensors made."""
    import torch

    model = model_of(problem)
    varied = {"lorenz": "rho", "van_der_pol": "mu", "robertson": "k1"}
    found: dict[str, Any] = {
        "model": model, "t": [0.0, problem.end], "keep": "final",
        "dtype": getattr(torch, problem.dtype), "method": method_of(problem),
    }  # fmt: skip
    if problem.network:
        starts = torch.as_tensor(problem.starts(rows))
        found["initial"] = dict(zip("abcd", starts, strict=True))
    else:
        name = next(value for key, value in varied.items() if problem.name.startswith(key))
        found["parameters"] = {name: torch.as_tensor(problem.parameters(rows))}
    if problem.steps:
        found["dt"] = problem.end / problem.steps
    else:
        found |= {"rtol": tolerance, "atol": tolerance * problem.floor}
    return found


def method_of(problem: Problem) -> str:
    """The method that the problem asks for."""
    return "rk4" if problem.steps else "rodas5p" if problem.stiff else "tsit5"


class _Simulate(AbstractContestant):
    """``tw.simulate`` with tensors in and tensors out."""

    engine = ""

    def method(self, problem: Problem) -> str:
        return method_of(problem)

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        import torch

        import twinml as tw
        from twinml.errors import TwinmlError

        torch.set_num_threads(self.cores)
        given = arguments_of(problem, rows, tolerance)
        states = list(given["model"].declared.states)
        try:
            with torch.no_grad():
                tw.simulate(engine=self.engine, **given)
        except TwinmlError as error:
            raise Skipped(str(error)) from error

        def run() -> np.ndarray:
            with torch.no_grad():
                sol = tw.simulate(engine=self.engine, **given)
            self.counters = {
                "steps": float(sol.steps.double().mean()),
                "rejected": float(sol.rejected.double().mean()),
                "failed": float((~sol.ok).sum()),
            }
            kernels = getattr(sol, "kernels", ())
            if kernels:
                self.counters["kernel_seconds"] = sum(kernel.seconds for kernel in kernels)
                used = kernels[-1].lane_efficiency
                if used is not None:
                    self.counters["lane_efficiency"] = used
            return torch.stack([sol[name] for name in states]).numpy()

        return run


@final
class Native(_Simulate):
    """The generated kernel on the CPU."""

    name, engine = "twinml", "native"


@final
class Eager(_Simulate):
    """Torch operations, row by row steps; runs small batches only."""

    name, engine = "twinml (eager)", "eager"
    batches = (1536,)
