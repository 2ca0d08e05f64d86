"""From the words after a task to its exit code: compose, start, run, report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from twinml.cli import schema as schemas
from twinml.cli.compose import Composed, compose, group_of
from twinml.cli.console import Console
from twinml.cli.describe import describe
from twinml.cli.launcher.launch import is_launched, launch, refuse_several
from twinml.cli.overrides import parse, selections
from twinml.cli.page import write_page
from twinml.cli.place import check_places, earlier_run, is_address, of_this_machine
from twinml.cli.search import SearchPath, shown
from twinml.cli.task import Job, Outcome, Task
from twinml.errors import ConfigError, DataError, TwinmlError

# Words that are of one command and not of what it makes.
_OF_ONE_COMMAND = ("out=", "resume=", "deadline=", "dry_run=")


def run(task: Task, words: Sequence[str]) -> int:
    """Runs a task, once or for every combination of the values given with ``-m``."""
    given = words = of_this_machine(words)
    words = _with_earlier(task, words)
    arguments = parse(words)
    search = SearchPath.of(arguments.config_dir)
    if arguments.help:
        print(describe(task, search))
        return 0
    console = Console()
    jobs = [
        (selection, compose(task.schema, task.name, task.groups, selection, search))
        for selection in selections(arguments)
    ]
    for _, composed in jobs:
        _require(task, composed, search)
    several, launched = arguments.multirun, any(is_launched(composed) for _, composed in jobs)
    for _, composed in jobs:
        check_places(task, composed, several=several, launched=launched)
    _tell_shadowed(jobs[0][1], search, console)
    if jobs[0][1].plain.get("dry_run"):
        words = [task.name, *words]
        texts = [_dry(Job(task, c, console, words, out=_out(task, c))) for _, c in jobs]
        print("---\n".join(texts), end="")
        return 0
    if launched:
        if several:
            raise refuse_several()
        return launch(task, jobs[0][1], given, words, console)
    if several:
        from twinml.cli.multirun import run_all

        return run_all(task, jobs, words, console)
    composed = jobs[0][1]
    job = Job(task, composed, console, [task.name, *words], out=_out(task, composed))
    outcome = execute(job)
    report(outcome, job)
    return outcome.code


def _dry(job: Job) -> str:
    """The resolved configuration, and as a comment below it the plan of a task that makes one."""
    text = yaml.safe_dump(job.composed.plain, sort_keys=False, allow_unicode=True)
    if job.task.plan is not None:
        plan = job.task.plan(job.composed.typed, job)
        text += "".join(f"# {line}\n" for line in plan.splitlines())
    return text


def execute(job: Job) -> Outcome:
    """Runs one job; its run directory, once opened, always learns how it ended."""
    try:
        outcome = job.task.run(job.composed.typed, job)
        page = write_page(outcome, job)
        if page is not None:
            outcome = replace(outcome, written=[*outcome.written, ("report", page)])
        job.finish(outcome)
        return outcome
    except BaseException as error:
        job.fail(error, exit_code(error))
        raise


def exit_code(error: BaseException) -> int:
    """The program's exit code for an exception."""
    from twinml.cli.main import FAILED, INTERRUPTED, TERMINATED, Terminated

    if isinstance(error, TwinmlError):
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    return TERMINATED if isinstance(error, Terminated) else FAILED


def report(outcome: Outcome, job: Job) -> None:
    """The end of a task: a short table and the paths written."""
    job.console.table(outcome.columns, outcome.rows, outcome.title)
    written = list(outcome.written)
    if job.run is not None:
        written.append(("run", job.run.path))
    job.console.paths(
        [(name, path if is_address(path) else shown(Path(path))) for name, path in written]
    )
    sys.stdout.flush()


def _with_earlier(task: Task, words: Sequence[str]) -> list[str]:
    """The words of the run that ``resume=`` names, in front of those given now.

    What is given now wins. What no longer fits the stored rows is refused by the verb.
    """
    named = [word.partition("=")[2] for word in words if word.startswith("resume=")]
    if not named or "resume" not in schemas.fields(task.schema):
        return list(words)
    block = earlier_run(named[-1].strip("'\""))
    if block is None:
        return list(words)
    earlier = block["command"][1:]
    if block["task"] != task.name:
        raise DataError(
            f"resume={named[-1]} is a run of twinml {block['task']}; expected one of twinml "
            f"{task.name}. Name the run directory of an earlier {task.name}, or leave resume= away "
            "to begin one."
        )
    if "-m" in earlier or "--multirun" in earlier:
        return list(words)
    return [*(w for w in earlier if not w.startswith(_OF_ONE_COMMAND)), *words]


def _out(task: Task, composed: Composed) -> Path | None:
    out = composed.plain.get("out")
    return Path(out) if out and task.out_is_run and not is_address(out) else None


def _require(task: Task, composed: Composed, search: SearchPath) -> None:
    for group in task.needs:
        if composed.choices.get(group) is None:
            known = ", ".join(search.options(group)) or "none found"
            raise ConfigError(
                f"twinml {task.name} needs a {group}: add {group}=<name>. Known: {known}."
            )


def _tell_shadowed(composed: Composed, search: SearchPath, console: Console) -> None:
    for group, choice in composed.choices.items():
        group = group_of(group)
        packaged = search.shadowed(group, choice)
        if packaged is not None:
            used = shown(search.find(group, choice))
            console.notice(f"{group}={choice} is {used}; it hides the package's own {packaged}.")
