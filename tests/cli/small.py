"""A small task, so that tests of the command line need no solver."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from twinml.cli.common import Common, SolverKeys
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.twin import TwinKeys
from twinml.errors import InputError, WorkError


@dataclass(frozen=True)
class Keys(Common):
    """Keys of the small task."""

    twin: TwinKeys | None = key(None, "a twin")
    scenario: dict[str, Any] = key({}, "a scenario")
    solver: SolverKeys = key(SolverKeys, "a solver")
    samples: int = key(10, "how many")
    fraction: float = key(0.5, "a share")
    names: list[str] = key([], "some names")
    mode: Literal["fast", "exact"] = key("fast", "fast or exact")
    fail: Literal["no", "input", "work", "bug", "interrupt"] = key("no", "how to end")


def work(config: Keys, job: Job) -> Outcome:
    """Ends as asked for."""
    if config.fail == "input":
        raise InputError("The record is not good.")
    job.start({"record": "0" * 64})
    if config.fail == "work":
        raise WorkError("Nothing converged.")
    if config.fail == "bug":
        raise ZeroDivisionError("division by zero")
    if config.fail == "interrupt":
        raise KeyboardInterrupt
    total = config.samples * config.fraction + config.seed
    metrics = {"sum.total": total, "sum.samples": config.samples}
    return Outcome(metrics, ("name", "total"), [["sum", total]], headline=("sum.total",))


TASK = Task(
    name="simulate",
    summary="Adds two numbers.",
    schema=Keys,
    run=work,
    groups=("experiment", "twin", "scenario", "solver"),
    examples=("twinml simulate samples=3",),
)


def put(path: Path, text: str) -> Path:
    """Writes a file and its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
