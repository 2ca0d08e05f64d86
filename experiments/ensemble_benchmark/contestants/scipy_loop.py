"""SciPy's solve_ivp, one call a row, on a small sample."""

from __future__ import annotations

from typing import final

import numpy as np
from problems import Problem, network_weights

from contestants.base import AbstractContestant, Run, Skipped


@final
class Scipy(AbstractContestant):
    """What a Python loop over rows costs; rates come from a sample of rows."""

    name = "scipy"
    batches = (16,)

    def method(self, problem: Problem) -> str:
        return "LSODA" if problem.stiff else "RK45"

    def prepare(self, problem: Problem, rows: int, tolerance: float) -> Run:
        if problem.steps:
            raise Skipped("solve_ivp has no fixed steps")
        from scipy.integrate import solve_ivp

        parameters, starts = problem.parameters(rows), problem.starts(rows)
        weights = network_weights()
        method = self.method(problem)

        def run() -> np.ndarray:
            ends = []
            for row in range(rows):
                p = weights if problem.network else parameters[row]
                done = solve_ivp(
                    lambda t, y, p=p: problem.rhs(y, p, np), (0.0, problem.end), starts[:, row],
                    method, rtol=tolerance, atol=tolerance * problem.floor, t_eval=[problem.end],
                )  # fmt: skip
                ends.append(done.y[:, -1])
            return np.array(ends).T

        return run
