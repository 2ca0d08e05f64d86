"""From what a user passes to ``sweep`` to a task and a plan, before anything is written."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ArgumentError
from twinml.sweep.deadline import Deadline, read_deadline
from twinml.sweep.digest import identity
from twinml.sweep.disk import check_room
from twinml.sweep.executor import AbstractExecutor, make_executor
from twinml.sweep.lock import check_free
from twinml.sweep.pilot import Cost, measure
from twinml.sweep.plan import Plan, Shape, draft
from twinml.sweep.store import SCHEMA, ShardReport, Store
from twinml.sweep.task import BLOCK, SolverSettings, Task, default_block

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.scenario import Scenario


@final
@dataclass(frozen=True, eq=False)
class Prepared:
    """A sweep that has been checked, measured and planned.

    Args:
        task: Engine and kernel are settled.
        store: Where it goes, or lies already.
        done: What is finished of it, every byte verified.
        manifest: What ``manifest.json`` says or will say.
        runner: Who will compute.
        damaged: What was finished and is cut, changed or gone.
        resumes: Whether it may go on with a sweep that is there.
    """

    task: Task
    store: Store
    done: tuple[ShardReport, ...]
    manifest: dict[str, Any]
    plan: Plan
    cost: Cost
    runner: AbstractExecutor
    deadline: Deadline | None = None
    damaged: tuple[ShardReport, ...] = ()
    resumes: bool = False


def prepare(
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
    inputs: Mapping[str, Any] | None = None,
    dtype: str = "float64",
    max_steps: int = 100_000,
    block_size: int | None = None,
    dt: float | None = None,
    max_step: float | None = None,
    max_events: int = 100,
    deadline: Any = None,
) -> Prepared:
    """Check everything that can be refused before any work; arguments as in ``sweep``."""
    _check_kinds(model, scenario)
    store = Store(out)
    if workers is not None and (
        isinstance(workers, bool) or not isinstance(workers, int) or workers < 1
    ):
        raise ArgumentError(f"workers is {workers!r}; expected a whole number, at least 1.")
    by = read_deadline(deadline)
    runner = make_executor(executor, workers)
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
        _asked_block(block_size),
    )  # fmt: skip
    _check(task)
    manifest = _found(store, resume)
    task = _settled(task, block_size, manifest)
    done: tuple[ShardReport, ...] = ()
    damaged: tuple[ShardReport, ...] = ()
    if manifest is not None:
        store.check_identity(manifest, identity(task))
        store.check_growth(manifest, samples)
        done, damaged = store.sorted_out(verify=True)
    columns = 2 + task.rungs + len(task.bound.columns) + len(task.bound.quantities)
    missing = samples - sum(len(report.shard) for report in done)
    if isinstance(store.path, Path):
        check_room(samples, missing, columns, store.path)
    cost = measure(task, columns)
    shape = Shape(
        samples, columns, task.block, task.unit, task.settings.engine, task.kernel
    )  # fmt: skip
    width = runner.width(task, cost.seconds * missing)
    plan = draft(
        shape, [report.shard for report in done], cost, width, shard_size, runner.name,
        runner.startup, None if by is None else by.left,
    )  # fmt: skip
    content = {"schema": SCHEMA if manifest is None else manifest["schema"], **_manifest(task)}
    return Prepared(task, store, done, content, plan, cost, runner, by, damaged, resume)


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


def _asked_block(block_size: int | None) -> int:
    if block_size is None:
        return BLOCK
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


def _found(store: Store, resume: bool) -> dict[str, Any] | None:
    """The manifest of the sweep that is there, None where one begins."""
    check_free(store.folder)
    if not store.exists:
        return None
    manifest = store.read_manifest()
    if not resume:
        from twinml.sweep.result import open_sweep

        found = open_sweep(store.out)
        raise ArgumentError(
            f"{store.out} already holds a sweep ({found.done:,} of {found.samples:,} samples "
            "done). Go on with it by resume=true, or choose another out=."
        )
    return manifest


def _settled(task: Task, block_size: int | None, manifest: Mapping[str, Any] | None) -> Task:
    """The task with its engine, kernel and block: all rows of a sweep come from one of each."""
    from twinml.sweep.block import probe

    tried = probe(task)
    block = task.block
    if block_size is None:
        # a resumed sweep keeps its blocks, whatever this version would choose
        block = default_block(tried.engine, task.model.declared.width)
        if manifest is not None:
            block = int(manifest["identity"]["block_size"])
    return replace(
        task,
        settings=replace(task.settings, engine=tried.engine),
        kernel=tried.kernel,
        block=block,
        rungs=manifest is None or manifest["schema"] != "sweep/1",
    )


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
