"""Rows of a sweep's task at points of standard normal space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, final

import numpy as np

from twinml.errors import ArgumentError, ScenarioError
from twinml.expression import check_names, parse
from twinml.scenario.tilt import DEFENSIVE
from twinml.sweep.rare.event import Event, read_event
from twinml.sweep.rare.subset import SubsetSimulation, subset_simulation
from twinml.sweep.task import BLOCK

if TYPE_CHECKING:
    from twinml.sweep.block import Rows
    from twinml.sweep.task import Task


@final
@dataclass(frozen=True, eq=False)
class EventRows:
    """The limit state of an event as a function of coordinates, by the task's own kernel.

    Args:
        task: With the limit state among its quantities and no tilt.
        event: What is asked.
    """

    task: Task
    event: Event
    _sized: dict[int, Task] = field(default_factory=dict, repr=False)

    @property
    def dimensions(self) -> int:
        """Independent coordinates of the varied quantities."""
        return sum(len(factor.dimensions) for factor in self.task.bound.factors)

    def limit_state(self, normals: np.ndarray) -> np.ndarray:
        """Of points (N, d) of standard normal space, (N,).

        nan where a row failed, -inf where it breaks a constraint and is not simulated.
        """
        values, good = self.task.bound.draw_normal(normals)
        result = np.full(len(normals), -np.inf)
        if good.any():
            rows = self.simulate({name: column[good] for name, column in values.items()})
            result[good] = self.event.values(rows.quantities, rows.failed)
        return result

    def admissible(self, normals: np.ndarray) -> np.ndarray:
        """Which points meet the scenario's constraints, (N,) bool."""
        return self.task.bound.draw_normal(normals)[1]

    def subset(self, samples: int, share: float = 0.1, level: float = 0.9) -> SubsetSimulation:
        """Subset simulation of the event; see ``subset_simulation``."""
        return subset_simulation(
            self.limit_state, self.dimensions, samples, self.task.seed, share, level,
            self.admissible if self.task.scenario.constraints else None,
        )  # fmt: skip

    def simulate(self, values: dict[str, np.ndarray]) -> Rows:
        """Rows at given values (N,), as one batch: few rows must not pay for a whole block."""
        from twinml.sweep.block import simulate_values

        count = min(len(next(iter(values.values()))), BLOCK)
        if count not in self._sized:
            self._sized[count] = replace(self.task, block=count)
        return simulate_values(self._sized[count], values)


def event_rows(task: Task, event: str) -> EventRows:
    """Tie an event to a task.

    Raises:
        ScenarioError, ExpressionError: The event does not fit the scenario.
        ArgumentError: The model has noise, or samples are not drawn at random.
    """
    found = read_event(event, task.scenario)
    if task.model.has_noise:
        raise ArgumentError(
            f"{type(task.model).__name__} has noise, so that the varied quantities do not settle "
            f"whether '{event}' happens. Estimate it by a sweep with exceedance, or model the "
            "disturbance by varied quantities."
        )
    declared = task.model.declared
    varied = [column.name for column in task.bound.columns]
    known = [*task.scenario.quantities, *declared.names, *varied, "t"]
    check_names(parse(event), dict.fromkeys(known), "event")
    scenario = replace(found.scenario, tilt={}, defensive=DEFENSIVE)
    task = replace(task, scenario=scenario)
    try:
        _ = task.bound
    except ScenarioError as error:  # in the user's words: they wrote an event
        raise ScenarioError(str(error).replace(f"quantity {found.name}:", "event:")) from None
    return EventRows(task, replace(found, scenario=scenario))
