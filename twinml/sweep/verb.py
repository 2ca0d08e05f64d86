"""The verb: plan, compute what is missing, keep the ledger."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.errors import ArgumentError
from twinml.sweep.digest import identity
from twinml.sweep.executor import make_executor
from twinml.sweep.plan import Plan, check_room, missing_shards, shard_rows
from twinml.sweep.result import Sweep, open_sweep, write_summary
from twinml.sweep.store import SCHEMA, Store
from twinml.sweep.task import BLOCK, BLOCK_NUMBERS, FEW_STATES, SolverSettings, Task

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.scenario import Scenario

Progress = Callable[[int, int, int], None]


def sweep(
    model: Physics,
    scenario: Scenario,
    samples: int,
    seed: int = 0,
    executor: str | Mapping[str, Any] = "local",
    workers: int | None = None,
    out: str | os.PathLike[str] = "runs/sweep",
    calibration: Any = None,
    engine: str = "auto",
    method: str = "auto",
    rtol: float = 1e-6,
    atol: float | Mapping[str, float] = 1e-9,
    shard_size: int | None = None,
    resume: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
    inputs: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    max_steps: int = 100_000,
    block_size: int | None = None,
    announce: Callable[[Plan], None] | None = None,
    dt: float | None = None,
    max_step: float | None = None,
    max_events: int = 100,
) -> Sweep:
    """Simulate a scenario for many samples and store the rows.

    The table does not depend on ``workers``, ``shard_size`` or interruptions, bit for bit.

    Args:
        samples: How many. On ``resume`` it may be larger than before (not for ``latin``, ``grid``).
        seed: Of the design and of the noise of a model with ``noise()``; sample i is a function
            of (seed, design, i), and its number is the row id of its noise.
        executor: Who computes: ``local``.
        workers: Processes; None for one per available core.
        out: Directory of the sweep; one that holds a sweep needs ``resume=True``.
        calibration: A calibration, its ``Posterior``, or the posterior's plain data.
        engine, method, rtol, atol, dtype, max_steps, dt, max_step, max_events: As in ``simulate``.
        shard_size: Rows per file, rounded up to whole blocks.
        resume: Compute what is missing of the sweep in ``out``; begins one if there is none.
        dry_run: Stop at the plan (``.plan`` of what is returned); nothing is written.
        progress: Called with (rows done, rows in all, failed rows) after every shard.
        inputs: Inputs (``Signal`` or number) that are the same for all samples.
        block_size: Rows simulated together; smaller ones waste less on very small sweeps.
        announce: Called with the plan before the work.

    Returns:
        The stored sweep.

    Raises:
        ArgumentError: A value that cannot be used, an ``out`` that is taken, or a sweep that is
            not the one begun there, by name.
        ScenarioError, ExpressionError, UnitError: The scenario does not fit the model.
        SweepError: Workers failed; what is finished stays and can be resumed.
    """
    _check_kinds(model, scenario)
    store = Store(out)
    if workers is not None and (isinstance(workers, bool) or workers < 1):
        raise ArgumentError(f"workers is {workers!r}; expected a whole number, at least 1.")
    tolerance = dict(atol) if isinstance(atol, Mapping) else float(atol)
    settings = SolverSettings(
        engine,
        method,
        float(rtol),
        tolerance,
        int(max_steps),
        dtype,
        None if dt is None else float(dt),
        None if max_step is None else float(max_step),
        max_events,
    )
    task = Task(
        model, scenario, _posterior(calibration), samples, seed, settings, dict(inputs or {}),
        _block(block_size, store if resume else None, model.declared.width),
    )  # fmt: skip
    _check(task)
    if store.exists and not resume:
        found = open_sweep(store.path)
        raise ArgumentError(
            f"{store.path} already holds a sweep ({found.done:,} of {found.samples:,} samples "
            "done). Go on with it by resume=true, or choose another out=."
        )
    from twinml.sweep.block import probe

    # "auto" is settled here, once: a sweep's rows all come from one engine
    tried = probe(task)
    task = replace(task, settings=replace(settings, engine=tried.engine), kernel=tried.kernel)
    runner = make_executor(executor, workers)
    if store.exists and store.read_manifest()["schema"] == "sweep/1":
        task = replace(task, rungs=False)
    done = _resumable(store, task) if store.exists else ()
    columns = 3 + len(task.bound.columns) + len(task.bound.quantities)
    if isinstance(store.path, Path):
        check_room(samples - sum(len(report.shard) for report in done), columns, store.path)
    size = shard_rows(samples, columns, task.block, shard_size)
    shards = missing_shards(samples, [report.shard for report in done], size)
    plan = Plan(
        samples, shards, size, task.block, columns, _engine_text(task),
        min(runner.width(task), max(1, len(shards))),
    )  # fmt: skip
    if dry_run:
        return Sweep(store.path, {"schema": SCHEMA, **_manifest(task)}, done, task, plan)
    store.write_manifest(_manifest(task))
    if announce is not None:
        announce(plan)
    rows, failed = sum(len(r.shard) for r in done), sum(r.failed for r in done)
    # closing: an error or Ctrl-C here must end the workers now, not at garbage collection
    with closing(runner.map(task, str(store.out), shards)) as finished:
        for report in finished:
            store.record(report)
            rows, failed = rows + len(report.shard), failed + report.failed
            if progress is not None:
                progress(rows, samples, failed)
    result = replace(open_sweep(store.path), task=task, plan=plan)
    write_summary(result)
    return result


def _check_kinds(model: Any, scenario: Any) -> None:
    from twinml.physics import Physics
    from twinml.scenario import Scenario

    if not isinstance(model, Physics):
        hint = " Call it: pass Model(), not Model." if isinstance(model, type) else ""
        raise ArgumentError(
            f"sweep was given {model!r} as model; expected an instance of tw.Physics.{hint}"
        )
    if not isinstance(scenario, Scenario):
        raise ArgumentError(
            f"sweep was given a {type(scenario).__name__} as scenario; expected a tw.Scenario. "
            "Read a file with tw.Scenario.from_yaml(path)."
        )


def _posterior(calibration: Any) -> Any:
    from twinml.data.posterior import Posterior

    if calibration is None or isinstance(calibration, Posterior):
        return calibration
    if isinstance(calibration, Mapping):
        return Posterior.from_json(calibration)
    found = getattr(calibration, "posterior", None)
    found = found() if callable(found) else found
    if isinstance(found, Posterior):
        return found
    raise ArgumentError(
        f"calibration is {type(calibration).__name__}; expected a calibration, a Posterior or its "
        "plain data. Load a file with tw.load_calibration(path)."
    )


def _block(block_size: int | None, resumed: Store | None, states: int) -> int:
    if block_size is None:
        # a resumed sweep keeps its blocks, whatever this version would choose
        if resumed is not None and resumed.exists:
            return int(resumed.read_manifest()["identity"]["block_size"])
        return BLOCK if states <= FEW_STATES else max(1, BLOCK_NUMBERS // states)
    if isinstance(block_size, bool) or not isinstance(block_size, int) or block_size < 1:
        raise ArgumentError(f"block_size is {block_size!r}; expected a whole number of rows.")
    return block_size


def _check(task: Task) -> None:
    from twinml.scenario.draw import check_total, drawn_posterior

    check_total(task.scenario, task.posterior, task.samples)
    drawn_posterior(task.scenario, task.posterior)
    task.scenario.rule.points(0, 0, task.samples, 1, task.seed)  # refuses a bad seed
    for name in task.inputs:
        if name in task.scenario.vary:
            raise ArgumentError(
                f"'{name}' is given by inputs= and varied by the scenario; keep one of them."
            )
    _ = task.bound


def _resumable(store: Store, task: Task) -> Any:
    manifest = store.read_manifest()
    store.check_identity(manifest, identity(task))
    if task.samples < manifest["samples"]:
        raise ArgumentError(
            f"{store.path} was begun with samples={manifest['samples']:,}; it cannot shrink to "
            f"{task.samples:,}. Ask for at least as many; any prefix can be read at any time."
        )
    return store.done()


def _manifest(task: Task) -> dict[str, Any]:
    posterior = task.posterior
    return {
        "samples": task.samples,
        "identity": identity(task),
        "model": f"{type(task.model).__module__}.{type(task.model).__qualname__}",
        "scenario": task.scenario.to_mapping(),
        "posterior": None if posterior is None else posterior.to_json(),
        "inputs": [column.name for column in task.bound.columns],
        "twinml": sys.modules["twinml"].__version__,
    }


def _engine_text(task: Task) -> str:
    known = identity(task)
    return f"{known['engine']} ({known['math']}, {known['target']}, {known['dtype']})"
