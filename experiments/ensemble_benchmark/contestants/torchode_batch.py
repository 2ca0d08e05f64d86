"""torchode: every row has its own step, in torch operations."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from problems import Problem

from contestants.base import AbstractContestant, Run, Skipped, need


@final
class Torchode(AbstractContestant):
    """Tsit5 with the integral controller, as its documentation shows."""

    name = "torchode"

    def method(self, problem: Problem) -> str:
        return "tsit5"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        need("torchode")
        if problem.steps:
            raise Skipped("no classical RK4")
        if problem.stiff:
            raise Skipped("no method for stiff problems")
        import torch
        import torchode

        torch.set_num_threads(self.cores)
        p = torch.as_tensor(problem.parameters(rows))
        start = torch.as_tensor(problem.starts(rows).T.copy())
        ends = torch.tensor([[0.0, problem.end]], dtype=start.dtype).repeat(rows, 1)

        def slope(t: torch.Tensor, y: torch.Tensor, p: Any) -> torch.Tensor:
            return torch.stack(list(problem.rhs(y.unbind(1), p, torch)), 1)

        term = torchode.ODETerm(slope, with_args=True)
        solver = torchode.AutoDiffAdjoint(
            torchode.Tsit5(term=term),
            torchode.IntegralController(atol=tolerance * problem.floor, rtol=tolerance, term=term),
        )
        task = torchode.InitialValueProblem(y0=start, t_eval=ends)

        def run() -> np.ndarray:
            with torch.no_grad():
                done = solver.solve(task, args=p)
            self.counters = {"steps": float(done.stats["n_steps"].double().mean())}
            return done.ys[:, -1].T.numpy()

        return run
