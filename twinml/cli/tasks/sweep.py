"""``twinml sweep``: run a scenario for many samples into one table with a risk summary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, ExecutorKeys, SolverKeys
from twinml.cli.launcher.keys import LauncherKeys
from twinml.cli.place import is_address
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.tasks.rare_event import RareKeys, check_rare_event, rare_event_outcome
from twinml.cli.tasks.sweep_outcome import (
    PATHS,
    draw,
    morris_metrics,
    not_finite_lines,
    reasons,
    risk_lines,
    sensitivity_metrics,
    summary_metrics,
    summary_table,
)
from twinml.cli.tasks.sweep_place import address_of, check_place, keeping
from twinml.cli.twin import (
    TwinKeys,
    build_model,
    build_record,
    load_posterior,
    noise_step,
)
from twinml.errors import ConfigError, SweepError
from twinml.run.directory import CONFIG, PROVENANCE, RunDirectory

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.scenario import Scenario
    from twinml.sweep import Sweep
    from twinml.sweep.prepare import Prepared
    from twinml.sweep.task import Task as SweepTask

TABLE = "table.parquet"
PATHS_TABLE = "trajectories.parquet"
SHARDS = "shards"
MOST_BASE_SAMPLES = 2**20
MOST_TABLE_ROWS = 2_000_000
RESUME = "then resume the sweep: what is left of its results is made"
MOST_PATHS, MOST_TRAJECTORIES = 10_000, 100_000
# Seconds, of the figures and of the summary of a row.
FIGURES, SUMMARY = 6.0, 2e-6


@dataclass(frozen=True)
class SweepKeys(Common):
    """Keys of ``twinml sweep``."""

    twin: TwinKeys | None = key(None, "what to simulate")
    scenario: dict[str, Any] = key({}, "what varies, changes and comes out")
    solver: SolverKeys = key(SolverKeys, "how to integrate")
    executor: ExecutorKeys = key(ExecutorKeys, "who computes")
    launcher: LauncherKeys = key(LauncherKeys, "where it runs")
    samples: int = key(1024, "how many scenarios")
    workers: int | None = key(None, "processes; one per core when unset")
    calibration: str | None = key(
        None, "run or calibration.json that `calibrated` draws from; the twin's when unset"
    )
    resume: str | None = key(None, "an earlier run to go on with; its words are taken over")
    shard_size: int | None = key(None, "rows of a file; some seconds of work when unset")
    deadline: str | None = key(None, "when it must have ended: 90s, 2h, 2026-01-31T18:00")
    dry_run: bool = key(False, "print the configuration and the plan, and stop")
    sensitivity: int = key(
        512, "base samples of the Sobol indices, best a power of two; 0 for none"
    )
    morris: int = key(0, "trajectories of Morris' elementary effects, 20 to 100; 0 for none")
    trajectories: int | None = key(
        None,
        f"samples kept over time, as fans and in {PATHS_TABLE}; unset: fans of {PATHS}; 0: none",
    )
    rare: RareKeys = key(RareKeys, "an event too rare to be counted in the table")


def sweep(config: SweepKeys, job: Job) -> Outcome:
    """Computes the missing rows, stores them, and says what came out."""
    from twinml.run.provenance import digest_source
    from twinml.sweep.disk import storing
    from twinml.sweep.execute import execute
    from twinml.sweep.progress import ProgressText

    assert config.twin is not None
    # Planned before the run directory is touched, so that bad input leaves nothing behind.
    prepared, origin = _prepared(config, job)
    task, plan = prepared.task, prepared.plan
    address = address_of(config.out, config.resume)
    run = job.start(
        {"model": digest_source(type(task.model)), "scenario": task.scenario.digest, **origin},
        resume=None if address else config.resume,
    )
    place = address or str(run.path)
    if address:
        for name in (CONFIG, PROVENANCE):  # what resume= needs, from another machine too
            prepared.store.folder.write(name, (run.path / name).read_bytes())
    if prepared.damaged:
        job.console.notice(f"{prepared.store.damage(prepared.damaged)}.")
    job.console.notice(f"{plan.text}.")
    note = ProgressText(task.samples - plan.missing)
    with job.console.progress(f"sweep {config.twin.name}") as advance, keeping(job, place):
        done = execute(
            prepared,
            place,
            lambda rows, total, failed: advance(rows, total, note(rows, total, failed)),
            reserve=_afterwards(config, prepared),
            notice=job.console.notice,
        )
        if not done.done:
            raise SweepError(
                f"Nothing of the sweep would have been finished before the deadline: 0 of "
                f"{done.samples:,} samples are done. Give a later deadline, or a smaller "
                "shard_size."
            )
    with storing(run.path, RESUME):
        return _results(config, job, done, task, run, place)


def _results(
    config: SweepKeys, job: Job, done: Sweep, task: SweepTask, run: RunDirectory, place: str
) -> Outcome:
    """Table, figures, sensitivity and rare event of the finished rows."""
    assert config.twin is not None
    written: list[tuple[str, Any]] = [("table", _table(done, run.path, job))]
    if is_address(place):
        written.append(("rows", place))
    metrics = summary_metrics(done)
    notes = [f"{name} {text}" for name, text in risk_lines(done)]
    notes += not_finite_lines(done)
    if 0 < done.failed < done.done:
        notes.append(f"{done.failed:,} of {done.done:,} samples failed: {reasons(done)}.")
    if not done.complete:
        notes.append(
            f"Stopped before its deadline: {done.done:,} of {done.samples:,} samples are done, and "
            f"all figures are of these. twinml sweep resume={place} goes on."
        )
    for line in notes:
        job.console.notice(line)
    if done.failed == done.done:
        run.write_metrics(metrics)
        raise SweepError(
            f"Every sample failed: {reasons(done)}. Their inputs are in {written[0][1]}; look at "
            "one of them with twinml simulate."
        )
    indices = effects = paths = None
    if config.sensitivity and task.bound.factors and done.complete:
        with job.console.progress("sensitivity"):
            indices = done.sensitivity(config.sensitivity)
        metrics.update(sensitivity_metrics(indices))
    if config.morris and task.bound.factors and done.complete:
        with job.console.progress("elementary effects"):
            effects = done.morris(config.morris)
        metrics.update(morris_metrics(effects))
    if asked := _paths(config, done):
        with job.console.progress("trajectories"):
            paths = done.trajectories(asked)
        if config.trajectories is not None:
            paths.write_parquet(run.path / PATHS_TABLE)
            written.append(("trajectories", run.path / PATHS_TABLE))
    if done.complete:
        with job.console.progress("rare event"):
            found, lines, files = rare_event_outcome(config.rare, task, run.path)
        metrics.update(found)
        notes += lines
        written += files
        for line in lines:
            job.console.notice(line)
    title = f"{config.twin.name}, {_where(job)}: {done.done:,} samples, {done.failed:,} failed"
    page, figures = draw(done, indices, run.path, title, effects, paths)
    columns, rows = summary_table(done)
    return Outcome(
        metrics,
        columns,
        rows,
        title,
        [*written, *figures],
        headline=tuple(
            ["sweep.failed", *(f"sweep.{name}.mean" for name in done.quantities)],
        ),
        notes=notes,
        code=0 if done.complete else 1,
        page=page,
    )


def plan_text(config: SweepKeys, job: Job) -> str:
    """What ``dry_run=true`` says; nothing is written."""
    return _prepared(config, job)[0].plan.text


def _prepared(config: SweepKeys, job: Job) -> tuple[Prepared, dict[str, str]]:
    """Everything checked, measured and planned, and digests of what the calibration came from."""
    from twinml.scenario import Scenario
    from twinml.sweep.middle import check_steps
    from twinml.sweep.prepare import prepare

    assert config.twin is not None
    with job.blaming("twin"):
        model = build_model(config.twin)
    with job.blaming("scenario"):
        scenario = Scenario.from_mapping(config.scenario, where=_where(job))
    posterior, origin = load_posterior(config.twin, model, config.calibration)
    check_place(config.out, config.resume)
    if config.samples < 1:
        raise ConfigError(f"samples={config.samples} cannot be used: expected at least 1.")
    check_base_samples("sensitivity", config.sensitivity, none_allowed=True)
    _check_counts(config)
    arguments = {
        "seed": config.seed,
        "executor": config.executor.arguments(),
        "workers": config.workers,
        "shard_size": config.shard_size,
        "deadline": config.deadline,
        "calibration": posterior,
        "inputs": _driven(config.twin, model, scenario),
        **solver_arguments(config.solver),
        "dt": noise_step(config.twin, model, config.solver.dt),
    }
    address = address_of(config.out, config.resume)
    place = address or config.resume or Path(config.out or "runs") / ".plan"
    with job.blaming("scenario"):
        prepared = prepare(
            model, scenario, config.samples, out=place, resume=bool(config.resume), **arguments
        )
        if config.morris:
            check_steps(prepared.task.bound)
    check_rare_event(config.rare, prepared.task)
    return prepared, origin


def _where(job: Job) -> str:
    return f"scenario {job.composed.choices['scenario']}"


def _afterwards(config: SweepKeys, prepared: Prepared) -> float:
    """Seconds that the summary, its figures and the sensitivity will take."""
    factors = len(prepared.task.bound.factors)
    more = PATHS if config.trajectories is None else config.trajectories
    if factors:
        more += config.sensitivity * (factors + 2) + config.morris * (factors + 1)
    return FIGURES + SUMMARY * prepared.task.samples + more * prepared.cost.seconds


def _paths(config: SweepKeys, done: Sweep) -> int:
    """How many samples to simulate again over time; for the fans alone only beside indices."""
    if config.trajectories is not None:
        return config.trajectories
    return PATHS if done.complete and (config.sensitivity or config.morris) else 0


def _table(done: Sweep, folder: Path, job: Job) -> Any:
    """One file of all rows, where it is of a size that people open; else the shards are it."""
    if done.done <= MOST_TABLE_ROWS:
        table = folder / TABLE
        done.write_parquet(table)
        return table
    shards = done.path / SHARDS if isinstance(done.path, Path) else f"{done.path}/{SHARDS}"
    (folder / TABLE).unlink(missing_ok=True)  # of a smaller sweep before
    job.console.notice(
        f"the table of {done.done:,} rows stays in its shards; a Parquet reader takes the folder "
        "as one table, and tw.open_sweep reads it."
    )
    return shards


def solver_arguments(solver: SolverKeys) -> dict[str, Any]:
    """The solver's keys as the verb takes them.

    Raises:
        ConfigError: a key that a sweep cannot use.
    """
    if solver.device is not None:
        raise ConfigError(
            f"solver.device={solver.device} cannot be used: a sweep chooses its processes itself. "
            "Leave it unset."
        )
    if isinstance(solver.atol, Mapping):
        raise ConfigError("solver.atol cannot be a mapping in a sweep; give one number.")
    return {
        "engine": solver.engine,
        "method": solver.method,
        "rtol": solver.rtol,
        "atol": solver.atol,
        "max_steps": solver.max_steps,
        "dtype": solver.dtype,
        "dt": solver.dt,
        "max_step": solver.max_step,
        "max_events": solver.max_events,
    }


def check_base_samples(name: str, count: int, *, none_allowed: bool = False) -> None:
    """Refuses a number of base samples that the Sobol indices cannot use, before any work.

    Raises:
        ConfigError: fewer than 8, or than 8 and not 0 where ``none_allowed``.
    """
    if not 8 <= count <= MOST_BASE_SAMPLES and not (none_allowed and count == 0):
        raise ConfigError(
            f"{name}={count} cannot be used: Sobol indices need 8 base samples or more, up to "
            f"{MOST_BASE_SAMPLES:,}, best a "
            f"power of two such as 1024{', or 0 for none' if none_allowed else ''}."
        )


def _check_counts(config: SweepKeys) -> None:
    """Refuses numbers of trajectories that cannot be used, before any work."""
    if not 4 <= config.morris <= MOST_TRAJECTORIES and config.morris != 0:
        raise ConfigError(
            f"morris={config.morris} cannot be used: elementary effects need 4 trajectories or "
            f"more, up to {MOST_TRAJECTORIES:,}, 20 to 100 for preference, or 0 for none."
        )
    if config.trajectories is not None and not 0 <= config.trajectories <= MOST_PATHS:
        raise ConfigError(
            f"trajectories={config.trajectories} cannot be used: expected how many samples to "
            f"keep over time, up to {MOST_PATHS:,}, or 0 for none."
        )


def _driven(twin: TwinKeys, model: Physics, scenario: Scenario) -> dict[str, Any]:
    """Recorded inputs that the scenario leaves alone."""
    if not set(twin.inputs) - {*scenario.vary, *scenario.profiles}:
        return {}
    found = build_record(twin, model).inputs(model)
    own = {*scenario.vary, *scenario.profiles}
    return {name: signal for name, signal in found.items() if name not in own}


TASK = Task(
    name="sweep",
    summary=(
        "Simulates a scenario for many samples: one row per sample with inputs, quantities and "
        "status, a summary with probabilities, and a table that is the same for any workers."
    ),
    schema=SweepKeys,
    run=sweep,
    plan=plan_text,
    groups=("experiment", "twin", "scenario", "solver", "executor", "launcher"),
    needs=("twin", "scenario"),
    takes_address=True,
    examples=(
        "twinml sweep twin=outbreak scenario=isolation samples=10_000 calibration=runs/...",
        "twinml sweep resume=runs/sweep/2026-01-31/120000-a1b2c3 samples=20_000",
    ),
)
