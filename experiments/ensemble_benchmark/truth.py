"""End values of the checked rows to about eleven digits, and the error of a contestant's.

The values are kept in ``exact.json``; ``python truth.py`` computes them anew, in a minute.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from problems import CHECKED, PROBLEMS, Problem, network_weights

FILE = Path(__file__).resolve().parent / "exact.json"


@dataclass(frozen=True)
class Error:
    """Largest deviation of a row over its states, relative to the size of each state."""

    median: float
    largest: float


def exact(problem: Problem) -> np.ndarray:
    """End values of the first ``CHECKED`` rows, (states, CHECKED)."""
    return np.array(json.loads(FILE.read_text(encoding="utf-8"))[problem.name])


def compute(problem: Problem) -> np.ndarray:
    """The same by SciPy in float64."""
    from scipy.integrate import solve_ivp

    weights = [value.astype("float64") for value in network_weights()]
    parameters = problem.parameters(CHECKED).astype("float64")
    starts = problem.starts(CHECKED).astype("float64")
    # Radau keeps to its tolerance where an explicit method would need a million steps.
    method, rtol = ("Radau", 1e-11) if problem.name == "robertson" else ("DOP853", 3e-14)
    ends = []
    for row in range(CHECKED):
        p = weights if problem.network else parameters[row]

        def slope(t: float, y: np.ndarray, p: object = p) -> np.ndarray:
            if problem.network:
                return problem.rhs(y[:, None], p, np)[:, 0]
            return np.array(problem.rhs(y, p, np))

        done = solve_ivp(
            slope, (0.0, problem.end), starts[:, row], method, rtol=rtol, atol=rtol * 1e-5,
            t_eval=[problem.end],
        )  # fmt: skip
        if not done.success:
            raise RuntimeError(f"{problem.name}: no exact end value of row {row}: {done.message}")
        ends.append(done.y[:, -1])
    return np.array(ends).T


def error(found: np.ndarray, truth: np.ndarray) -> Error:
    """Error of end values (states, rows), rows counted from the first checked one."""
    rows = min(found.shape[1], truth.shape[1])
    size = np.abs(truth).max(1, keepdims=True)
    gap = (np.abs(found[:, :rows].astype("float64") - truth[:, :rows]) / size).max(0)
    return Error(float(np.median(gap)), float(gap.max()))


if __name__ == "__main__":
    made = {name: compute(problem).tolist() for name, problem in PROBLEMS.items()}
    FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
