"""``twinml sweep``: run a scenario for many samples into one table with a risk summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, ExecutorKeys, SolverKeys
from twinml.cli.launcher.keys import LauncherKeys
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.tasks.sweep_outcome import (
    draw,
    not_finite_lines,
    reasons,
    risk_lines,
    sensitivity_metrics,
    summary_metrics,
    summary_table,
)
from twinml.cli.twin import (
    TwinKeys,
    build_model,
    build_record,
    load_posterior,
    noise_step,
)
from twinml.errors import ConfigError, DataError, SweepError

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.scenario import Scenario

TABLE = "table.parquet"
MANIFEST = "manifest.json"
MOST_BASE_SAMPLES = 2**20


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
    sensitivity: int = key(
        512, "base samples of the Sobol indices, best a power of two; 0 for none"
    )


def sweep(config: SweepKeys, job: Job) -> Outcome:
    """Computes the missing rows, stores them, and says what came out."""
    from twinml.run.provenance import digest_source
    from twinml.scenario import Scenario
    from twinml.sweep import sweep as run_sweep

    assert config.twin is not None
    with job.blaming("twin"):
        model = build_model(config.twin)
    where = f"scenario {job.composed.choices['scenario']}"
    with job.blaming("scenario"):
        scenario = Scenario.from_mapping(config.scenario, where=where)
    posterior, origin = load_posterior(config.twin, model, config.calibration)
    arguments: dict[str, Any] = {
        "seed": config.seed,
        "executor": config.executor.arguments(),
        "workers": config.workers,
        "calibration": posterior,
        "inputs": _driven(config.twin, model, scenario),
        **solver_arguments(config.solver),
    }
    arguments["dt"] = noise_step(config.twin, model, config.solver.dt)
    resumed = config.resume is not None
    _check_place(config)
    if config.samples < 1:
        raise ConfigError(f"samples={config.samples} cannot be used: expected at least 1.")
    check_base_samples("sensitivity", config.sensitivity, none_allowed=True)
    # Planned once before the run directory is touched, so that bad input leaves nothing behind.
    place = Path(config.resume) if config.resume else Path(config.out or "runs") / ".plan"
    with job.blaming("scenario"):
        run_sweep(
            model, scenario, config.samples, dry_run=True, out=place, resume=resumed, **arguments
        )
    run = job.start(
        {"model": digest_source(type(model)), "scenario": scenario.digest, **origin},
        resume=config.resume,
    )
    with job.console.progress(f"sweep {config.twin.name}") as advance, _keeping(job, run.path):
        done = run_sweep(
            model,
            scenario,
            config.samples,
            out=run.path,
            resume=resumed,
            progress=lambda rows, total, failed: advance(rows, total, f"{failed} failed"),
            announce=lambda plan: job.console.notice(plan.text),
            **arguments,
        )
    table = run.path / TABLE
    done.table().write_parquet(table)
    metrics = summary_metrics(done)
    notes = [f"{name} {text}" for name, text in risk_lines(done)]
    notes += not_finite_lines(done)
    if 0 < done.failed < done.done:
        notes.append(f"{done.failed:,} of {done.done:,} samples failed: {reasons(done)}.")
    for line in notes:
        job.console.notice(line)
    if done.failed == done.done:
        run.write_metrics(metrics)
        raise SweepError(
            f"Every sample failed: {reasons(done)}. Their inputs are in {table}; look at one of "
            "them with twinml simulate."
        )
    indices = None
    varies = done.task is not None and bool(done.task.bound.factors)
    if config.sensitivity and varies:
        with job.console.progress("sensitivity"):
            indices = done.sensitivity(config.sensitivity)
        metrics.update(sensitivity_metrics(indices))
    figures = draw(done, indices, run.path)
    columns, rows = summary_table(done)
    return Outcome(
        metrics,
        columns,
        rows,
        f"{config.twin.name}, {where}: {done.done:,} samples, {done.failed:,} failed",
        [("table", table), *figures],
        headline=tuple(
            ["sweep.failed", *(f"sweep.{name}.mean" for name in done.quantities)],
        ),
        notes=notes,
    )


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


def _driven(twin: TwinKeys, model: Physics, scenario: Scenario) -> dict[str, Any]:
    """Recorded inputs that the scenario leaves alone."""
    if not set(twin.inputs) - {*scenario.vary, *scenario.profiles}:
        return {}
    found = build_record(twin, model).inputs(model)
    own = {*scenario.vary, *scenario.profiles}
    return {name: signal for name, signal in found.items() if name not in own}


def _check_place(config: SweepKeys) -> None:
    """Refuses to begin over a sweep, and to go on with nothing."""
    if config.resume is not None:
        if not (Path(config.resume) / MANIFEST).is_file():
            raise DataError(
                f"resume={config.resume} holds no sweep (no {MANIFEST}). Leave resume= away to "
                "begin one, or name the run directory of an earlier sweep."
            )
        if config.out is not None:
            raise ConfigError("Give out= for a new sweep or resume= for an earlier one, not both.")
    elif config.out is not None and (Path(config.out) / MANIFEST).is_file():
        raise ConfigError(
            f"out={config.out} already holds a sweep. Go on with it by resume={config.out}, or "
            "name a new folder."
        )


@contextmanager
def _keeping(job: Job, path: Path) -> Iterator[None]:
    """When a sweep is stopped, says how to go on."""
    try:
        yield
    except BaseException:
        if (path / MANIFEST).is_file():
            job.console.notice(f"finished rows are kept; twinml sweep resume={path} goes on.")
        raise


TASK = Task(
    name="sweep",
    summary=(
        "Simulates a scenario for many samples: one row per sample with inputs, quantities and "
        "status, a summary with probabilities, and a table that is the same for any workers."
    ),
    schema=SweepKeys,
    run=sweep,
    groups=("experiment", "twin", "scenario", "solver", "executor", "launcher"),
    needs=("twin", "scenario"),
    examples=(
        "twinml sweep twin=outbreak scenario=isolation samples=10_000 calibration=runs/...",
        "twinml sweep resume=runs/sweep/2026-01-31/120000-a1b2c3 samples=20_000",
    ),
)
