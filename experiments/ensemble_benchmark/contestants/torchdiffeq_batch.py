"""torchdiffeq: the batch is one system, with one step size for all rows."""

from __future__ import annotations

from typing import final

import numpy as np
from problems import Problem, network_weights

from contestants.base import AbstractContestant, Run, Skipped, need


@final
class TorchDiffEq(AbstractContestant):
    """odeint on (states, rows); rk4 is the 3/8 rule there."""

    name = "torchdiffeq"

    def method(self, problem: Problem) -> str:
        return "rk4 (3/8)" if problem.steps else "dopri5"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        need("torchdiffeq")
        if problem.stiff:
            raise Skipped("no method for stiff problems")
        import torch
        from torchdiffeq import odeint

        torch.set_num_threads(self.cores)
        p = torch.as_tensor(problem.parameters(rows))
        weights = [torch.as_tensor(value) for value in network_weights()]
        start = torch.as_tensor(problem.starts(rows))
        times = torch.tensor([0.0, problem.end], dtype=start.dtype)

        def slope(t: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            if problem.network:
                return problem.rhs(y, weights, torch)  # type: ignore[return-value]
            return torch.stack(list(problem.rhs(y, p, torch)))

        if problem.steps:
            options = {"step_size": problem.end / problem.steps}
            given = {"method": "rk4", "options": options}
        else:
            # One tolerance for each row: torchdiffeq takes the root mean square over all rows.
            given = {"method": "dopri5", "rtol": tolerance, "atol": tolerance * problem.floor}

        def run() -> np.ndarray:
            try:
                with torch.no_grad():
                    return odeint(slope, start, times, **given)[-1].numpy()
            except AssertionError as error:
                raise Skipped(f"torchdiffeq gave up: {error}") from error

        return run
