"""``launcher=slurm``: check the input here, then hand the same words to a job."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinml.cli.compose import Composed
from twinml.cli.console import Console
from twinml.cli.launcher import slurm
from twinml.cli.launcher.follow import (
    ENDED,
    Followed,
    cannot_start,
    follow,
    never_starts,
)
from twinml.cli.launcher.keys import LauncherKeys
from twinml.cli.launcher.requeue import NUMBER
from twinml.cli.launcher.script import job_script
from twinml.cli.search import shown
from twinml.cli.task import Job, Task
from twinml.data.atomic import replacing
from twinml.errors import ConfigError
from twinml.run.directory import LAUNCHED, RunDirectory

SCRIPT = "job.sbatch"


class _InputIsGood(BaseException):
    """A task has come to the point at which it would open its run directory."""


class _Checking(Job):
    """A job that ends where the work would begin."""

    def start(self, inputs: Mapping[str, str], *, resume: str | Path | None = None) -> RunDirectory:
        raise _InputIsGood


def is_launched(composed: Composed) -> bool:
    """Whether the task is to run elsewhere."""
    launcher = composed.plain.get("launcher")
    return isinstance(launcher, dict) and launcher.get("name", "local") != "local"


def refuse_several() -> ConfigError:
    """The refusal of ``-m``."""
    return ConfigError(
        "-m with launcher=slurm is not offered: one call submits one job. Submit the combinations "
        "in a loop of the shell, or run all of them in one job by a script such as "
        "slurm/train.sbatch (twinml new --slurm writes it)."
    )


def launch(
    task: Task, composed: Composed, given: Sequence[str], words: Sequence[str], console: Console
) -> int:
    """Checks, writes the job script, submits it, and waits for the job where asked to.

    Args:
        given: The words as they were typed.
        words: The same with those of the run that ``resume=`` names in front.

    Returns:
        0 for a job that was submitted; with ``launcher.wait`` the exit code of its program.

    Raises:
        ConfigError, MissingDependencyError: bad input, before any job.
        LauncherError: Slurm did not take the job, or lost it.
    """
    keys: LauncherKeys = composed.typed.launcher
    address = _address(task, composed, keys)
    slurm.require()
    _check_task(task, composed, console)
    resumed = getattr(composed.typed, "resume", None)
    if resumed:
        _refuse_running(Path(resumed))
    run = RunDirectory.create(task.name, resumed or composed.plain.get("out"), resume=bool(resumed))
    folder = run.path / LAUNCHED
    extra = [f"executor.address={address}"] if address else []
    begin = [*_own(words), *extra]
    # what a run's record does not hand on: all words that are new, or the deadline alone
    later = [word for word in _own(given) if resumed or word.startswith("deadline=")]
    script = job_script(task.name, keys, begin, [*later, *extra], run.path.absolute())
    new = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        with replacing(folder / SCRIPT) as temporary:
            temporary.write_text(script, encoding="utf-8")
        number = slurm.submit((folder / SCRIPT).absolute())
    except BaseException:  # nothing is left of a job that does not exist
        if new:
            for file in folder.glob("*"):
                file.unlink()
            folder.rmdir()
        if not resumed:
            run.discard()
        raise
    with replacing(folder / NUMBER) as temporary:
        temporary.write_text(number + "\n", encoding="utf-8")
    log = folder / f"{number}.log"
    job = Followed(number, run.path, log, _go_on(task, run.path, folder / SCRIPT))
    console.paths(
        [
            ("job", number),
            ("script", shown(folder / SCRIPT)),
            ("log", shown(log)),
            ("run", shown(run.path)),
        ]
    )
    if keys.wait:
        return follow(job, console)
    _tell(task, job, console)
    return 0


def _tell(task: Task, job: Followed, console: Console) -> None:
    """How to follow a job that is not waited for."""
    if task.name == "sweep":
        console.notice(f"follow it: twinml status {shown(job.run)}")
    console.notice(f"its place in the queue: squeue -j {job.number}; end it: {job.cancel}")
    now = slurm.read(job.number)
    if now is not None and never_starts(now):
        console.notice(cannot_start(job, now))


def _go_on(task: Task, run: Path, script: Path) -> str:
    if task.name == "sweep":
        return (
            f"Finished rows are kept; twinml sweep resume={shown(run)} goes on here, and with "
            "launcher=slurm as a job."
        )
    return f"sbatch {shown(script)} starts it again, a network from its last checkpoint."


def _own(words: Sequence[str]) -> list[str]:
    """The words without those that say where: the job's script says that."""
    left = ("launcher=", "launcher.", "out=", "resume=")
    return [word for word in words if not word.startswith(left)]


def _address(task: Task, composed: Composed, keys: LauncherKeys) -> str | None:
    """What ``executor.address`` becomes inside the job, where it is not the user's business.

    Raises:
        ConfigError: several nodes, of which all but one would idle.
    """
    executor: dict[str, Any] = composed.plain.get("executor") or {}
    if keys.nodes > 1 and executor.get("name") != "ray":
        why = "executor=local works on one" if task.name == "sweep" else f"{task.name} works on one"
        do = "Choose executor=ray, or" if task.name == "sweep" else "Please"
        raise ConfigError(f"launcher.nodes={keys.nodes} cannot be used: {why}. {do} ask for one.")
    ours = executor.get("name") == "ray" and executor.get("address") in (None, "local")
    return "slurm" if ours and keys.nodes > 1 else None


def _check_task(task: Task, composed: Composed, console: Console) -> None:
    """Runs the task up to where its work would begin.

    What only the job's machine can know is left to the job: its GPUs, and whether rows of a
    sweep that is gone on with were made by the same processor.
    """
    changes: dict[str, Any] = {}
    solver: Any = getattr(composed.typed, "solver", None)
    if getattr(solver, "engine", None) == "cuda":
        changes["solver"] = dataclasses.replace(solver, engine="auto")
    if getattr(composed.typed, "resume", None):
        if not Path(composed.typed.resume).is_dir():
            raise ConfigError(
                f"resume={composed.typed.resume} is no folder. Name an earlier run's, or leave it "
                "away to begin one."
            )
        changes["resume"] = None
    typed = dataclasses.replace(composed.typed, **changes)
    out = composed.plain.get("out")
    checking = _Checking(task, composed, console, [task.name], out=Path(out) if out else None)
    try:
        task.run(typed, checking)
    except _InputIsGood:
        return


def _refuse_running(run: Path) -> None:
    """Refuses a second job on a directory whose first one still lives."""
    try:
        number = (run / LAUNCHED / NUMBER).read_text(encoding="utf-8").strip()
    except OSError:
        return
    now = slurm.read(number)
    if now is not None and now.state not in ENDED:
        raise ConfigError(
            f"resume={run} is still the run of job {number} ({now.state.lower()}). Wait for its "
            f"end, or end it first: scancel {number}."
        )
