"""``launcher.wait=true``: follow a job to its end, and say how it ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from twinml.cli.console import Console
from twinml.cli.launcher import slurm
from twinml.cli.launcher.slurm import JobState
from twinml.cli.search import shown
from twinml.errors import LauncherError
from twinml.run.directory import PROVENANCE, RunDirectory

QUICK, SLOW, GROWTH = 0.5, 10.0, 1.1  # seconds between two looks, at first and later
UNHEARD = 600.0  # seconds without an answer of Slurm
STUCK = 20.0  # seconds with a reason to wait that no other job's end removes
SETTLING = 5.0  # an end after which Slurm may yet queue the job again
ENDED = {
    "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL",
    "DEADLINE", "OUT_OF_MEMORY", "REVOKED", "LAUNCH_FAILED",
}  # fmt: skip
NEVER = (
    "PartitionConfig", "PartitionNodeLimit", "PartitionTimeLimit", "PartitionDown",
    "PartitionInactive", "BadConstraints", "AccountNotAllowed", "QOSNotAllowed", "InvalidAccount",
    "InvalidQOS", "JobHeldAdmin", "JobHeldUser", "DependencyNeverSatisfied",
    "MaxMemPerLimit", "AssocMaxCpuPerJobLimit", "QOSMaxCpuPerJobLimit", "QOSTimeLimit",
    "AssocMaxWallDurationPerJobLimit", "QOSMaxWallDurationPerJobLimit",
)  # fmt: skip
WHY = {
    "TIMEOUT": "it reached its time limit; ask for more by launcher.time",
    "OUT_OF_MEMORY": "it needed more memory than it had; ask for more by launcher.mem, or lower "
    "workers",
    "NODE_FAIL": "its node failed",
    "BOOT_FAIL": "its node did not start",
    "PREEMPTED": "another job took its place",
    "CANCELLED": "it was cancelled",
    "DEADLINE": "its deadline passed",
}


@dataclass(frozen=True)
class Followed:
    """A job that is waited for."""

    number: str
    run: Path
    log: Path
    go_on: str

    @property
    def cancel(self) -> str:
        """The command that ends it."""
        return f"scancel {self.number}"


def never_starts(job: JobState) -> bool:
    """Whether it waits for something that the end of other jobs does not bring."""
    return job.state == "PENDING" and job.reason.split("(")[0].strip() in NEVER


def follow(job: Followed, console: Console, sleep: Callable[[float], None] = time.sleep) -> int:
    """Waits until the job has ended.

    Returns:
        The exit code of the job's program.

    Raises:
        LauncherError: it was killed, lost or can never start, in words.
    """
    try:
        return _follow(job, console, sleep)
    except KeyboardInterrupt:
        console.notice(
            f"job {job.number} goes on without this terminal. See how it is doing with "
            f"twinml status {shown(job.run)}; end it with {job.cancel}."
        )
        raise


def _follow(job: Followed, console: Console, sleep: Callable[[float], None]) -> int:
    told, stuck, pause = "", 0.0, QUICK
    while True:
        now = _ask(job, sleep)
        if now is None:
            return _forgotten(job)
        if now.state in ENDED and now.requeue and now.state in ("NODE_FAIL", "PREEMPTED"):
            sleep(SETTLING)
            now = _ask(job, sleep) or now
        if now.state in ENDED:
            return _end(job, now, console)
        line = _line(now)
        if line != told:
            console.notice(f"job {job.number}: {line}")
            told, pause = line, QUICK
        if never_starts(now):
            stuck += pause
            if stuck >= STUCK:
                raise LauncherError(cannot_start(job, now))
        else:
            stuck = 0.0
        sleep(pause)
        pause = min(SLOW, GROWTH * pause)


def cannot_start(job: Followed, now: JobState) -> str:
    """What to say of a job that would wait for ever."""
    return (
        f"Job {job.number} waits for what it may never get: {now.reason}. It asks for more than "
        "its partition gives, or the partition takes no jobs ('sinfo' shows both); change "
        "launcher.nodes, time, mem, cpus_per_task, gpus_per_node or partition. It is still in the "
        f"queue: {job.cancel} removes it."
    )


def _ask(job: Followed, sleep: Callable[[float], None]) -> JobState | None:
    unheard = 0.0
    while True:
        try:
            return slurm.read(job.number)
        except LauncherError as error:
            if unheard >= UNHEARD:
                raise LauncherError(
                    f"{error} There was no answer for {UNHEARD / 60:g} minutes. The job itself may "
                    f"go on: twinml status {shown(job.run)}."
                ) from None
            sleep(SLOW)
            unheard += SLOW


def _line(now: JobState) -> str:
    state = now.state.lower().replace("_", " ")
    again = f", start {now.restarts + 1}" if now.restarts else ""
    if now.state == "PENDING":
        reason = "" if now.reason == "None" else f" ({now.reason})"
        return f"waiting{reason}{again}"
    return f"{state}{f' on {now.nodes}' if now.nodes else ''}{again}"


def _end(job: Followed, now: JobState, console: Console) -> int:
    if now.state == "COMPLETED":
        console.notice(f"job {job.number}: completed in {now.ran}")
        return 0
    tail = _tail(job.log)
    if now.state == "FAILED" and now.code:
        _show(tail, console)
        stopped = now.code in (130, 143)
        console.notice(
            f"job {job.number}: "
            + ("stopped by a signal" if stopped else f"failed with exit {now.code}")
            + f" after {now.ran} of {now.limit}; its log is {shown(job.log)}."
            + (f" {job.go_on}" if stopped else "")
        )
        return now.code
    _show(tail, console)
    memory = "; signal 9 is often memory" if now.signal == 9 else ""
    killed = f"signal {now.signal} killed it{memory}" if now.signal else "no reason"
    why = WHY.get(now.state) or killed
    raise LauncherError(
        f"Job {job.number} ended as {now.state} after {now.ran} of {now.limit}: {why}. Its log is "
        f"{shown(job.log)}. {job.go_on}"
    )


def _forgotten(job: Followed) -> int:
    """Slurm forgets a job minutes after its end; the run directory does not."""
    if (job.run / PROVENANCE).is_file():
        block = RunDirectory(job.run).provenance()
        if block.get("status") in ("done", "failed"):
            return int(block.get("exit_code") or 0)
    raise LauncherError(
        f"Slurm no longer knows job {job.number}, and its run did not say that it ended: it was "
        f"killed. Its log is {shown(job.log)}. {job.go_on}"
    )


def _tail(log: Path, lines: int = 10) -> list[str]:
    try:
        with open(log, "rb") as file:
            file.seek(max(0, log.stat().st_size - 8192))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def _show(lines: list[str], console: Console) -> None:
    for line in lines:
        console.notice(f"  | {line}")
