"""The verb: plan, then compute what is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twinml.sweep.execute import Progress, execute
from twinml.sweep.plan import Plan
from twinml.sweep.prepare import prepare
from twinml.sweep.result import Sweep

if TYPE_CHECKING:
    from twinml.physics import Physics
    from twinml.scenario import Scenario


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
    deadline: Any = None,
) -> Sweep:
    """Simulate a scenario for many samples and store the rows.

    The table does not depend on ``executor``, ``workers``, ``shard_size`` or interruptions, bit
    for bit.

    Args:
        samples: How many. On ``resume`` it may be larger than before (not for ``latin``, ``grid``).
        seed: Of the design and of the noise of a model with ``noise()``; sample i is a function
            of (seed, design, i), and its number is the row id of its noise.
        executor: Who computes: ``local``, or a mapping of ``name`` and that executor's keys.
        workers: Processes, or devices on a GPU; None for one per available core or device, and
            for this process alone where starting others would take longer than the work.
        out: Directory of the sweep, or an fsspec address such as ``s3://bucket/sweep``; one that
            holds a sweep needs ``resume=True``.
        calibration: A calibration, its ``Posterior``, or the posterior's plain data.
        engine, method, rtol, atol, dtype, max_steps, dt, max_step, max_events: As in ``simulate``.
        shard_size: Rows per file, rounded up; None for what takes a worker some seconds.
        resume: Compute what is missing of the sweep in ``out``, damaged shards included; begins
            one if there is none.
        dry_run: Stop at the plan (``.plan`` of what is returned); nothing is written.
        progress: Called with (rows done, rows in all, failed rows) after every shard.
        inputs: Inputs (``Signal`` or number) that are the same for all samples.
        block_size: Rows drawn together; it is part of what the sweep is, and rarely of use.
        announce: Called with the plan before the work.
        deadline: By when it must have ended: seconds, a ``timedelta``, a ``datetime``, or text
            such as ``2h`` or ``2026-01-31T18:00``. No shard is begun that would not be finished,
            and what is returned then is the sweep's beginning: ``.done`` of ``.samples`` rows.

    Returns:
        The stored sweep.

    Raises:
        ArgumentError: A value that cannot be used, an ``out`` that is taken, or a sweep that is
            not the one begun there, by name.
        LockedError: Another process works in ``out``.
        ScenarioError, ExpressionError, UnitError: The scenario does not fit the model.
        SweepError: Workers failed or the disk is full; what is finished stays and can be resumed.
    """
    prepared = prepare(
        model, scenario, samples, seed=seed, executor=executor, workers=workers, out=out,
        calibration=calibration, engine=engine, method=method, rtol=rtol, atol=atol,
        shard_size=shard_size, resume=resume, inputs=inputs, dtype=dtype, max_steps=max_steps,
        block_size=block_size, dt=dt, max_step=max_step, max_events=max_events,
        deadline=deadline,
    )  # fmt: skip
    if dry_run:
        return Sweep(
            prepared.store.path, prepared.manifest, prepared.done, prepared.task, prepared.plan
        )
    if announce is not None:
        announce(prepared.plan)
    return execute(prepared, progress=progress)
