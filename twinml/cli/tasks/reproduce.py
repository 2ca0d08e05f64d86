"""``twinml reproduce``: run a stored configuration again and compare every metric."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinml.cli.commands import TASKS
from twinml.cli.common import Common
from twinml.cli.compose import Composed
from twinml.cli.runner import execute
from twinml.cli.schema import build, key
from twinml.cli.task import Job, Outcome, Task
from twinml.errors import ConfigError, DataError, ReproductionError
from twinml.run import Difference, RunDirectory, compare_metrics, open_run
from twinml.run.directory import CONFIG

SHOWN = 10


@dataclass(frozen=True)
class Reproduce(Common):
    """Keys of ``twinml reproduce``."""

    run: str | None = key(None, "the run directory to do again")


def reproduce(config: Reproduce, job: Job) -> Outcome:
    """Runs the stored configuration in ``again/`` and compares, bit for bit."""
    if config.run is None:
        raise ConfigError("Which run? Give run=<directory>, as printed at the end of a task.")
    before = open_run(config.run)
    block = before.provenance()
    name = block["task"]
    if name not in TASKS or name == "reproduce":
        raise DataError(f"{config.run} holds a run of '{name}', which cannot be done again.")
    task: Task = importlib.import_module(TASKS[name].module).TASK
    metrics = before.metrics()
    stored = before.config()
    run = job.start({})
    again = Job(task, _composed(task, before, stored, run), job.console, block["command"])
    again.out = run.path / "again"
    job.console.notice(f"doing {config.run} again: twinml {name}")
    outcome = execute(again)
    assert again.run is not None
    found = compare_metrics(metrics, again.run.metrics())
    changed = _changes(block, again.run.provenance())
    if found:
        raise ReproductionError(_difference(config.run, found, changed))
    rows = [["metrics compared", len(metrics)], ["different", 0], *(["note", c] for c in changed)]
    return Outcome(
        {"reproduce.metrics": len(metrics), "reproduce.different": 0},
        ("what", "value"),
        rows,
        f"{config.run}: the same, bit for bit",
        [*outcome.written],
        headline=("reproduce.different",),
    )


def _composed(
    task: Task, before: RunDirectory, stored: dict[str, Any], run: RunDirectory
) -> Composed:
    """The stored configuration, with products in the new folder and nothing resumed."""
    plain = {**stored, "out": None if task.out_is_run else str(run.path / "product")}
    if plain.get("resume"):
        plain["resume"] = None
    try:
        typed = build(task.schema, plain)
    except ConfigError as error:
        raise DataError(
            f"{before.path / CONFIG} does not fit this version of twinml {task.name}: {error}"
        ) from error
    return Composed(typed, plain, before.provenance()["choices"], ())


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What else is not the same: inputs, packages, processor."""
    then, now = before["inputs"], after["inputs"]
    out = [
        f"{name} has changed since"
        for name in sorted(set(then) & set(now))
        if then[name] != now[name]
    ]
    for name, version in before["packages"].items():
        found = after["packages"].get(name)
        if found != version:
            out.append(f"{name} was {version}, is {found or 'not installed'}")
    if before["device"] != after["device"]:
        out.append(f"ran on {before['device']['cpu']}, now on {after['device']['cpu']}")
    return out


def _difference(path: str, found: list[Difference], changed: list[str]) -> str:
    lines = [f"  {difference}" for difference in found[:SHOWN]]
    if len(found) > SHOWN:
        lines.append(f"  and {len(found) - SHOWN} more")
    why = "; ".join(changed) or "inputs, packages and processor are the same"
    listed = "\n".join(lines)
    return f"{path} gave other numbers this time ({why}):\n{listed}"


TASK = Task(
    name="reproduce",
    summary=(
        "Runs a stored configuration again in a new directory and compares the metrics bit for "
        "bit; exit 1 lists what differs."
    ),
    schema=Reproduce,
    run=reproduce,
    examples=(f"twinml reproduce run={Path('runs', 'calibrate', '2026-01-31', '120000-a1b2c3')}",),
)
