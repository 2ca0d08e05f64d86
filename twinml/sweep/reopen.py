"""Simulations beyond a sweep's rows: its task again, evaluated where an analysis asks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.errors import SweepError

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.sweep.result import Sweep
    from twinml.sweep.task import Task


def task_of(
    sweep: Sweep, model: Physics | None, inputs: Mapping[str, Any] | None, call: str
) -> Task:
    """The task of a sweep; after ``open_sweep`` it is made again from a model and checked.

    Args:
        call: What was called, for the message, e.g. "sensitivity".

    Raises:
        SweepError: No model, or not the one that the sweep was computed with.
    """
    if sweep.task is not None:
        if model is not None or inputs is not None:
            raise SweepError("This sweep knows its model; model= and inputs= follow open_sweep.")
        return sweep.task
    from twinml.sweep.digest import identity
    from twinml.sweep.task import SolverSettings, Task

    if model is None:
        raise SweepError(f"{sweep.path} was opened without its model. Write {call}(model=...).")
    known = sweep.manifest["identity"]
    settings = {n: known[n] for n in SolverSettings().to_mapping() if n in known}
    task = Task(
        model, sweep.scenario, sweep.posterior, sweep.samples, known["seed"],
        SolverSettings(**settings), dict(inputs or {}), known["block_size"],
    )  # fmt: skip
    given = identity(task)
    for name in ("model source", "parameter values", "inputs"):
        if given[name] != known[name]:
            raise SweepError(
                f"{sweep.path} was computed with other {name} than given here, so its "
                f"{call} would be another model's. Give the ones it was made with."
            )
    return task


def factors_of(task: Task) -> list[tuple[str, tuple[int, ...]]]:
    """Label and coordinates of each independent factor of the scenario.

    Raises:
        SweepError: Nothing varies.
    """
    found = [(factor.label, factor.dimensions) for factor in task.bound.factors]
    if not found:
        raise SweepError("Nothing varies in this scenario, so nothing has a sensitivity.")
    return found


def evaluate(task: Task, points: np.ndarray, ids: np.ndarray | None = None) -> np.ndarray:
    """Every quantity at points of the unit cube, (N, d) to (N, m); nan where a row fails.

    Args:
        ids: Row of the noise of each point, (N,), for models with; row 0 for all when None.
    """
    from twinml.sweep.block import simulate_values

    ids = np.zeros(len(points), dtype=np.int64) if ids is None else ids
    # few points need no whole block: nothing here is compared with the sweep's rows bit by bit
    small = replace(task, block=min(task.block, len(points)))
    rows = simulate_values(small, task.bound.draw_at(points), ids)
    return np.stack([rows.quantities[name] for name in task.scenario.quantities], axis=1)
