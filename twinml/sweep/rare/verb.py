"""The verbs: the probability of a rare event, and a tilt for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ArgumentError, nearest
from twinml.sweep.rare.propose import TiltProposal, propose
from twinml.sweep.rare.rows import EventRows, event_rows
from twinml.sweep.rare.subset import SubsetSimulation, check_subset
from twinml.sweep.rare.weighted import WeightedProbability, weighted_probability

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.physics import Physics
    from twinml.scenario import Scenario
    from twinml.sweep.task import Task

ESTIMATORS = ("subset", "importance")
PILOT = 1000


@final
@dataclass(frozen=True, eq=False)
class RareEvent:
    """The probability of an event and what is known of it.

    Args:
        event: As asked.
        estimator: ``subset`` or ``importance``.
        probability: Estimate, among rows that do not fail.
        variation: Its coefficient of variation.
        low, high: Interval at ``level``; from 0 where the estimate is not reliable.
        level: Level of the interval.
        evaluations: Simulations spent, a pilot included.
        failed: Simulations that failed.
        reliable: Whether the interval can be believed.
        diagnosis: Why not, and what to do; "" where it can.
        cases: Samples of the event: the varied quantities, ``limit_state`` and ``weight``.
        detail: The run of the estimator, e.g. levels with thresholds and acceptance.
        tilt: The shift used by ``importance``; None otherwise.
    """

    event: str
    estimator: str
    probability: float
    variation: float
    low: float
    high: float
    level: float
    evaluations: int
    failed: int
    reliable: bool
    diagnosis: str
    cases: Table
    detail: SubsetSimulation | WeightedProbability
    tilt: Mapping[str, float] | None = None

    @property
    def text(self) -> str:
        """One line for a person."""
        head = f"P({self.event}) = {self.probability:.3g}"
        if not self.reliable:
            return (
                f"P({self.event}) is not known: the estimate of {self.probability:.2g} is not "
                f"reliable, it may lie between {self.low:.2g} and {self.high:.2g}: {self.diagnosis}"
            )
        return (
            f"{head}, {100 * self.level:g} % interval {self.low:.3g} to {self.high:.3g} "
            f"({self.evaluations:,} simulations, {self.failed:,} failed)"
        )

    def to_mapping(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        result: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("event", "estimator", "probability", "low", "high", "level",
                         "evaluations", "failed", "reliable", "diagnosis")
        }  # fmt: skip
        result["variation"] = self.variation if np.isfinite(self.variation) else None
        result["tilt"] = None if self.tilt is None else dict(self.tilt)
        if isinstance(self.detail, SubsetSimulation):
            result["levels"] = [
                {k: v if np.isfinite(v) else None for k, v in vars(level).items()}
                for level in self.detail.levels
            ]
        else:
            result["effective"] = self.detail.effective
            result["events"] = self.detail.events
        return result


def rare_event(
    model: Physics,
    scenario: Scenario,
    event: str,
    estimator: str = "subset",
    samples: int = 2000,
    seed: int = 0,
    level: float = 0.9,
    share: float = 0.1,
    calibration: Any = None,
    inputs: Mapping[str, Any] | None = None,
    **solver: Any,
) -> RareEvent:
    """The probability of an event too rare for plain sampling, 1e-3 and below.

    ``subset`` finds its way by itself and copes with several regions; ``importance`` asks a pilot
    where to tilt and then weighs independent samples, which is sharper where the event lies in
    one region, and says so where it does not.

    Args:
        event: One comparison, e.g. "peak > 400" or "first_time(level > rim) <= 60"; names of the
            scenario's quantities stand for their expressions.
        estimator: ``subset`` or ``importance``.
        samples: Per level of ``subset``; tilted samples of ``importance``.
        seed: Of everything random.
        level: Level of the interval.
        share: Of the samples that a level of ``subset`` hands to the next.
        calibration, inputs: As in ``sweep``.
        solver: engine, method, rtol, atol, dtype, max_steps, dt, max_step, max_events, as in
            ``sweep``.

    Raises:
        ArgumentError: A value that cannot be used; a model with noise.
        ScenarioError, ExpressionError, UnitError: The scenario or event does not fit the model.
        SweepError: No sample says how far the event is.
    """
    task = _task(model, scenario, seed, calibration, inputs, solver)
    return estimate_rare_event(task, event, estimator, samples, level, share)


def propose_tilt(
    model: Physics,
    scenario: Scenario,
    event: str,
    samples: int = PILOT,
    seed: int = 0,
    calibration: Any = None,
    inputs: Mapping[str, Any] | None = None,
    **solver: Any,
) -> TiltProposal:
    """The ``tilt`` of a scenario that serves an event best, from a pilot run.

    Args:
        samples: Pilot rows per level of subset simulation.
        event, seed, calibration, inputs, solver: As in ``rare_event``.

    Raises:
        As ``rare_event``; SweepError also where the pilot met no event.
    """
    task = _task(model, scenario, seed, calibration, inputs, solver)
    return propose(event_rows(task, event), samples)


def estimate_rare_event(
    task: Task,
    event: str,
    estimator: str = "subset",
    samples: int = 2000,
    level: float = 0.9,
    share: float = 0.1,
) -> RareEvent:
    """``rare_event`` for the task of a sweep, e.g. ``swp.task``; its seed and settings hold.

    Raises:
        As ``rare_event``.
    """
    check_rare_event(task, event, estimator, samples)
    rows = event_rows(task, event)
    if estimator == "importance":
        return _importance(rows, samples, level)
    run = rows.subset(samples, share, level)
    cases = _cases(rows, rows.task.bound.draw_normal(run.points)[0], run.values, None)
    return RareEvent(
        event, estimator, run.probability, run.variation, run.low, run.high, level,
        run.evaluations, run.failed, run.reliable, run.diagnosis, cases, run,
    )  # fmt: skip


def check_rare_event(task: Task, event: str, estimator: str, samples: int) -> None:
    """Refuse before any work what ``estimate_rare_event`` would.

    Raises:
        ArgumentError, ScenarioError, ExpressionError: What cannot be used.
    """
    if estimator not in ESTIMATORS:
        raise ArgumentError(
            f"estimator is {estimator!r}, which is unknown.{nearest(str(estimator), ESTIMATORS)} "
            f"Known are {', '.join(ESTIMATORS)}."
        )
    rows = event_rows(task, event)
    check_subset(rows.dimensions, samples)


def _importance(rows: EventRows, samples: int, level: float) -> RareEvent:
    from twinml.scenario.tilt import WEIGHT

    task, seed = rows.task, rows.task.seed
    proposal = propose(rows, min(PILOT, samples))
    scenario = replace(task.scenario, tilt=proposal.tilt)
    tilted = replace(task, scenario=scenario, samples=samples)
    values = tilted.bound.draw(0, samples, samples, seed)
    weight = values.pop(WEIGHT, np.ones(samples))
    found = rows.simulate(values)
    distance = rows.event.values(found.quantities, found.failed)
    lost = np.isnan(distance)
    happened = ~lost & (distance > 0)
    estimate = weighted_probability(happened, weight, lost, level, 1.0 / scenario.defensive)
    diagnosis = proposal.diagnosis or estimate.diagnosis or _disagreement(estimate, proposal)
    pilot = proposal.pilot
    low = estimate.low if not diagnosis else 0.0
    high = estimate.high if not diagnosis else max(estimate.high, pilot.high)
    chosen = {name: column[happened] for name, column in values.items()}
    cases = _cases(rows, chosen, distance[happened], weight[happened])
    return RareEvent(
        rows.event.text, "importance", estimate.probability, estimate.variation, low, high, level,
        samples + pilot.evaluations, estimate.failed + pilot.failed, not diagnosis, diagnosis,
        cases, estimate, proposal.tilt,
    )  # fmt: skip


def _disagreement(estimate: WeightedProbability, proposal: TiltProposal) -> str:
    pilot = proposal.pilot
    # weights cannot show a region that no sample reached; the pilot went elsewhere and may
    ratio = pilot.probability / estimate.probability
    apart = abs(np.log(ratio)) / np.hypot(pilot.variation, estimate.variation)
    if apart < 3.5:
        return ""
    return (
        f"the pilot by subset simulation gave {pilot.probability:.2g}, the tilted samples "
        f"{estimate.probability:.2g}, too far apart for chance: one of them missed a region. Run "
        "subset simulation with more samples and several seeds."
    )


def _cases(
    rows: EventRows, values: dict[str, np.ndarray], distance: np.ndarray, weight: np.ndarray | None
) -> Table:
    from twinml.data.table import Table

    equal = np.full(len(distance), 1.0) if weight is None else weight
    columns = {**values, rows.event.name: distance, "weight": equal}
    return Table(columns, dict(rows.task.bound.units))


def _task(
    model: Physics,
    scenario: Scenario,
    seed: int,
    calibration: Any,
    inputs: Mapping[str, Any] | None,
    solver: Mapping[str, Any],
) -> Task:
    from twinml.sweep.verb import sweep

    planned = sweep(
        model, scenario, 2, seed=seed, calibration=calibration, inputs=inputs, workers=1,
        out=os.devnull, dry_run=True, **solver,
    )  # fmt: skip
    assert planned.task is not None
    return planned.task
