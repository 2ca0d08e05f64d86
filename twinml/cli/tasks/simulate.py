"""``twinml simulate``: integrate a twin over its horizon and store the trajectory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, isfinite
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, SolverKeys
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.twin import (
    TwinKeys,
    build_model,
    build_record,
    load_posterior,
    noise_step,
    record_digests,
)
from twinml.errors import ConfigError, SolveError, nearest
from twinml.units import quantity

if TYPE_CHECKING:
    import numpy as np

    from twinml.physics import Physics
    from twinml.solve.solution import Solution

MOST_POINTS = 10_000_000


@dataclass(frozen=True)
class Horizon:
    """When the simulation starts, ends and is stored."""

    start: float = key(0.0, "first time, in the model's time unit")
    stop: float | None = key(None, "last time; unset takes times and inputs from the record")
    points: int = key(201, "stored times, both ends included")


@dataclass(frozen=True)
class Simulate(Common):
    """Keys of ``twinml simulate``."""

    twin: TwinKeys | None = key(None, "what to simulate")
    solver: SolverKeys = key(SolverKeys, "how")
    horizon: Horizon = key(Horizon, "over what time")
    initial: dict[str, Any] = key({}, "initial values by state, initial.x=1")
    inputs: dict[str, Any] = key({}, "constant inputs by name, inputs.u='2 V'; before the record's")
    calibration: str | None = key(None, "run or calibration.json whose estimates are used")


def simulate(config: Simulate, job: Job) -> Outcome:
    """Integrates once, at the twin's parameters."""
    from twinml.data import Table
    from twinml.engines import simulate as run_simulation
    from twinml.report.fit import trajectory_figure
    from twinml.run.provenance import digest_source
    from twinml.solve.status import describe

    assert config.twin is not None
    with job.blaming("twin"):
        model = build_model(config.twin)
    states = model.declared.states
    initial = {
        name: quantity(value, states[name].unit, f"initial.{name}") if name in states else value
        for name, value in config.initial.items()
    }
    for name, value in initial.items():
        if name in states:
            low, high = states[name].low, states[name].high
            low, high = -inf if low is None else low, inf if high is None else high
            if not low <= value <= high:
                raise ConfigError(
                    f"initial.{name}={value:g} lies outside its validity bounds [{low:g}, "
                    f"{high:g}]. Give a value inside them."
                )
    estimated, origin = _estimates(config, model, job)
    t, inputs, digests = _times(config, model)
    inputs |= _constants(config, model)
    solver = config.solver.arguments()
    solver["dt"] = noise_step(config.twin, model, config.solver.dt)
    run = job.start({"model": digest_source(type(model)), **origin, **digests})
    starts = {
        n.removeprefix("initial."): v for n, v in estimated.items() if n.startswith("initial.")
    }
    initial = {**starts, **initial}
    given: dict[str, Any] = {
        "parameters": {n: v for n, v in estimated.items() if not n.startswith("initial.")} or None,
        "initial": initial or None, "inputs": inputs or None, "seed": config.seed, **solver,
    }  # fmt: skip
    solution = run_simulation(model, t, **given)
    if not bool(solution.ok):
        unit = "" if model.time_unit == "1" else f" {model.time_unit}"
        when = f"{float(solution.fail_time[0]):g}{unit}"
        raise SolveError(
            f"{config.twin.name} failed at t = {when} with {describe(int(solution.status[0]))}."
        )
    names = [*states, *model.declared.outputs]
    path = _path(solution, lambda: run_simulation(model, t, keep="final", **given))
    columns = {"time": path.pop("time")}
    units = {"time": model.time_unit}
    metrics: dict[str, Any] = {}
    rows = []
    for name in names:
        value = path[name]
        if value.ndim > 1:
            continue  # a vector state has no single column; its outputs do
        columns[name], units[name] = value, model.declared.unit(name)
        metrics[f"simulate.{name}.final"] = float(value[-1])
        metrics[f"simulate.{name}.max"] = float(value.max())
        rows.append([name, units[name], value[0], value[-1], value.min(), value.max()])
    events, notes = {}, []
    for name, event in solution.events.items():
        moments = event.at.numpy(force=True)
        events[name] = moments
        metrics[f"simulate.{name}.count"] = len(moments)
        if len(moments) == 0:
            notes.append(f"event {name}: never")
            continue
        metrics[f"simulate.{name}.first"] = float(moments[0])
        often = "once" if len(moments) == 1 else f"{len(moments)} times, first"
        stop = " and ended the simulation" if _stopped_by(solution, model, name) else ""
        notes.append(f"event {name}: {often} at {moments[0]:.6g} {model.time_unit}{stop}")
    metrics["simulate.steps"] = int(solution.steps[0])
    metrics["simulate.status"] = int(solution.status[0])
    name = config.twin.name or type(model).__name__
    table = run.path / "trajectory.parquet"
    Table(columns, units).write_parquet(table)
    figure = run.path / "trajectory.png"
    time = columns.pop("time")
    trajectory_figure(figure, time, columns, units, model.time_unit, events)
    written = [("trajectory", table), ("figure", figure)]
    return Outcome(
        metrics,
        ("name", "unit", "start", "end", "min", "max"),
        rows,
        "; ".join([f"{name}: {solution.method} on {solution.engine}", *notes]),
        written,
        headline=tuple(m for m in metrics if m.endswith(".final")),
        notes=notes,
    )


def _estimates(
    config: Simulate, model: Physics, job: Job
) -> tuple[dict[str, float], dict[str, str]]:
    """Best values of the calibration that is asked for, and its digest; stated values go first."""
    assert config.twin is not None
    if config.calibration is None:
        return {}, {}
    posterior, origin = load_posterior(config.twin, model, config.calibration)
    assert posterior is not None
    found = {n: float(v) for n, v in zip(posterior.names, posterior.values, strict=True)}
    for name in [n for n in found if n in config.twin.parameters]:
        best = f"{found.pop(name):.5g}"
        stated = config.twin.parameters[name]
        job.console.notice(f"parameters.{name}={stated} is used, not the calibrated {best}.")
    return found, origin


def _constants(config: Simulate, model: Physics) -> dict[str, float]:
    """Inputs given as words, in the units declared."""
    declared = model.declared.inputs
    for name in config.inputs:
        if name not in declared:
            raise ConfigError(
                f"inputs.{name} names no input of {type(model).__name__}."
                f"{nearest(name, declared)} Its inputs: {', '.join(declared) or 'none'}."
            )
    return {
        name: quantity(value, declared[name].unit, f"inputs.{name}")
        for name, value in config.inputs.items()
    }


def _path(solution: Solution, end: Callable[[], Solution]) -> dict[str, np.ndarray]:
    """Time and values by name, (T,); where a terminal event ended the row, up to that event."""
    import numpy as np

    time = solution.t.reshape(-1).numpy(force=True)
    values = {name: solution[name][0].double().numpy(force=True) for name in solution.names}
    if _stopped(solution):
        last, stop = end(), float(solution.state.t[0])
        before = time < stop
        time = np.append(time[before], stop)
        for name, value in values.items():
            final = last[name].double().numpy(force=True)
            values[name] = np.concatenate([value[before], final])
    return {"time": time, **values}


def _stopped(solution: Solution) -> bool:
    """Whether a terminal event ended the simulation."""
    from twinml.solve.status import Status

    return bool(int(solution.status[0]) & Status.EVENT_STOP)


def _stopped_by(solution: Solution, model: Physics, name: str) -> bool:
    """Whether that event ended the simulation."""
    terminal = model.declared.events[name].terminal
    moments = solution.events[name].at
    return terminal and _stopped(solution) and bool(moments[-1] == solution.state.t[0])


def _times(config: Simulate, model: Physics) -> tuple[Any, dict[str, Any], dict[str, str]]:
    """Save points, inputs and digests: those of ``horizon``, or without ``stop`` the record's."""
    import torch

    horizon, twin = config.horizon, config.twin
    assert twin is not None
    if horizon.stop is None:
        if twin.data is None:
            raise ConfigError(
                f"How long? Give horizon.stop=<time{_in(model)}>; twin '{twin.name}' has no record "
                "whose times could be used."
            )
        record = build_record(twin, model)
        t = torch.as_tensor(record.time_in(model.time_unit))
        return t, record.inputs(model), record_digests(record)
    if not 2 <= horizon.points <= MOST_POINTS:
        raise ConfigError(
            f"horizon.points={horizon.points:,} cannot be used: expected from 2, for both ends, to "
            f"{MOST_POINTS:,} stored times."
        )
    for name, value in (("start", horizon.start), ("stop", horizon.stop)):
        if not isfinite(value):
            raise ConfigError(
                f"horizon.{name}={value} cannot be used: expected a finite time{_in(model)}."
            )
    if horizon.start == horizon.stop:
        raise ConfigError(
            f"horizon.stop={horizon.stop:g} is horizon.start: nothing lies between them. Give a "
            f"later time{_in(model)}."
        )
    t = torch.linspace(horizon.start, horizon.stop, horizon.points, dtype=torch.float64)
    return t, {}, {}


def _in(model: Physics) -> str:
    """The clause that gives the time unit; none for equations without dimension."""
    return "" if model.time_unit == "1" else f" in {model.time_unit}"


TASK = Task(
    name="simulate",
    summary=(
        "Integrates a twin at its parameters and writes trajectory.parquet: time, states, outputs."
    ),
    schema=Simulate,
    run=simulate,
    groups=("experiment", "twin", "solver"),
    needs=("twin",),
    examples=(
        "twinml simulate twin=outbreak horizon.stop=30",
        "twinml simulate twin=outbreak horizon.stop=30 parameters.beta='1.8/day'",
        "twinml simulate twin=dc_motor horizon.stop=0.1 inputs.voltage='24 V'",
    ),
)
