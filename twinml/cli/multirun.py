"""``-m``: every combination is run, one failing job stops no other, one table ends it."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinml.cli.compose import Composed
from twinml.cli.console import Console
from twinml.cli.overrides import Selection
from twinml.cli.runner import execute, exit_code
from twinml.cli.search import shown
from twinml.cli.task import Job, Outcome, Task
from twinml.data.atomic import replacing
from twinml.errors import TwinmlError
from twinml.run.directory import RunDirectory

TABLE = "multirun.csv"


@dataclass(frozen=True)
class Finished:
    """One job's end."""

    varied: Mapping[str, str]
    code: int
    folder: Path
    outcome: Outcome = field(default_factory=Outcome)


def run_all(
    task: Task,
    jobs: Sequence[tuple[Selection, Composed]],
    words: Sequence[str],
    console: Console,
) -> int:
    """Runs the jobs one after another.

    Returns:
        The worst exit code among them.
    """
    out = jobs[0][1].plain.get("out") if task.out_is_run else None
    parent = RunDirectory.create(task.name, out).path
    finished: list[Finished] = []
    try:
        _run_each(task, jobs, words, console, parent, finished)
    finally:  # stopped half-way, the table still holds what is done
        _write(parent / TABLE, finished)
    _show(finished, console)
    console.paths([("table", shown(parent / TABLE)), ("runs", shown(parent))])
    return max(job.code for job in finished)


def _run_each(
    task: Task,
    jobs: Sequence[tuple[Selection, Composed]],
    words: Sequence[str],
    console: Console,
    parent: Path,
    finished: list[Finished],
) -> None:
    for index, (selection, composed) in enumerate(jobs):
        label = " ".join(f"{k}={v}" for k, v in selection.varied.items())
        console.notice(f"job {index + 1} of {len(jobs)}: {label}")
        folder = parent / f"{index:0{len(str(len(jobs) - 1))}d}"
        job = Job(task, composed, console, [task.name, *words], out=folder)
        finished.append(_run_one(job, selection, folder))


def _run_one(job: Job, selection: Selection, folder: Path) -> Finished:
    try:
        outcome = execute(job)
        return Finished(selection.varied, outcome.code, folder, outcome)
    except Exception as error:
        code = exit_code(error)
        text = str(error) if isinstance(error, TwinmlError) else f"{type(error).__name__}: {error}"
        job.console.notice(f"this job failed and the others go on: {text}")
        return Finished(selection.varied, code, folder)


def _write(path: Path, finished: Sequence[Finished]) -> None:
    varied = list(dict.fromkeys(key for job in finished for key in job.varied))
    metrics = list(dict.fromkeys(name for job in finished for name in job.outcome.metrics))
    with replacing(path) as temporary, open(temporary, "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["job", *varied, "exit", *metrics])
        for job in finished:
            values: list[Any] = [job.varied.get(key, "") for key in varied]
            found = [job.outcome.metrics.get(name, "") for name in metrics]
            table.writerow([job.folder.name, *values, job.code, *found])


def _show(finished: Sequence[Finished], console: Console) -> None:
    varied = list(dict.fromkeys(key for job in finished for key in job.varied))
    headlines = [_headline(job.outcome) for job in finished]
    chosen = list(dict.fromkeys(heading for found in headlines for heading in found))
    rows = [
        [
            *(job.varied.get(key, "-") for key in varied),
            "done" if job.code == 0 else f"exit {job.code}",
            *(found.get(heading) for heading in chosen),
        ]
        for job, found in zip(finished, headlines, strict=True)
    ]
    console.table([*varied, "status", *_shorten(chosen)], rows)


def _headline(outcome: Outcome) -> dict[str, Any]:
    """Heading -> value of the metrics that stand for a job."""
    names = outcome.headline
    headings = names if isinstance(names, Mapping) else {name: name for name in names}
    return {heading: outcome.metrics.get(name) for heading, name in headings.items()}


def _shorten(names: Sequence[str]) -> list[str]:
    """Metric names without the leading part that all of them share."""
    split = [name.split(".") for name in names]
    shared = 0
    while len(split) > 1 and all(len(s) > shared + 1 for s in split):
        if len({s[shared] for s in split}) > 1:
            break
        shared += 1
    return [".".join(parts[shared:]) for parts in split]
