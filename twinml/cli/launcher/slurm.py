"""Slurm's programs: submit a job, and read how it stands.

Only ``sbatch`` and ``scontrol`` are used, never accounting, which many clusters lack and without
which a killed job would look as if it went on.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from twinml.errors import ConfigError, LauncherError, MissingDependencyError

PATIENCE = 60.0  # seconds for one call; sbatch itself retries for minutes when the queue is full
# What sbatch says -> the keys of ours that it is about.
ABOUT = {
    "partition": "launcher.partition",
    "account": "launcher.account",
    "time limit": "launcher.time",
    "memory": "launcher.mem",
    "node count": "launcher.nodes",
    "node configuration": "launcher.nodes, cpus_per_task, gpus_per_node, mem",
    "gres": "launcher.gpus_per_node",
    "qos": "launcher.extra",
    "option": "launcher.extra",
}
CROWDED = ("job limit", "submit limit", "jobs limit", "submitlimit", "temporarily unable to accept")
UNREACHED = (
    "unable to contact", "timed out", "connection refused", "authentication", "munge",
    "configuration source",
)  # fmt: skip


@dataclass(frozen=True)
class JobState:
    """A job as ``scontrol show job`` tells it."""

    state: str
    reason: str
    nodes: str
    restarts: int
    requeue: bool
    code: int
    signal: int
    ran: str
    limit: str


def require() -> None:
    """Refuses a machine without Slurm's programs.

    Raises:
        MissingDependencyError: sbatch or scontrol is not there.
    """
    for program in ("sbatch", "scontrol"):
        if shutil.which(program) is None:
            raise MissingDependencyError(
                f"launcher=slurm needs {program}, which is not on PATH. Type it on a login node "
                "of a Slurm cluster, or leave launcher= away to run here."
            )


def submit(script: Path) -> str:
    """Hands a script to sbatch.

    Returns:
        The job's number.

    Raises:
        ConfigError: Slurm refuses what is asked for; with its own line.
        LauncherError: no answer, or a queue that takes no more.
    """
    # a full queue makes sbatch wait and try again: its lines are kept, but not waited for
    try:
        done = subprocess.run(
            ["sbatch", "--parsable", str(script)], capture_output=True, text=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired as error:
        said = error.stderr or b""
        raise _refusal(said.decode(errors="replace") if isinstance(said, bytes) else said) from None
    if done.returncode:
        raise _refusal(done.stderr)
    return done.stdout.strip().partition(";")[0]


def _refusal(said: str) -> ConfigError | LauncherError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = " / ".join(dict.fromkeys(lines)) or f"sbatch gave no answer within {PATIENCE:g} s"
    low = told.lower()
    if any(words in low for words in CROWDED):
        return LauncherError(
            f"The queue takes no more jobs now ({told}). Nothing was submitted; try again when "
            "some of your jobs have ended (squeue --me lists them)."
        )
    if not lines or any(words in low for words in UNREACHED):
        return LauncherError(
            f"Slurm does not answer ({told}). Nothing was submitted; 'scontrol ping' tells whether "
            "its controller is up."
        )
    keys = next((keys for words, keys in ABOUT.items() if words in low), "launcher")
    return ConfigError(
        f"Slurm refuses the job ({told}). Nothing was submitted; see {keys}, and 'sinfo' for what "
        "the cluster offers."
    )


def read(number: str) -> JobState | None:
    """How a job stands; None when Slurm no longer knows it.

    Raises:
        LauncherError: Slurm does not answer.
    """
    try:
        done = subprocess.run(
            ["scontrol", "show", "job", "--oneliner", number],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except (subprocess.TimeoutExpired, OSError) as error:
        raise LauncherError(f"scontrol gave no answer about job {number} ({error}).") from None
    if done.returncode:
        said = " ".join(done.stderr.split())
        if "invalid job id" in said.lower():
            return None
        raise LauncherError(f"scontrol cannot tell of job {number} ({said}).")
    return parse(done.stdout)


def parse(text: str) -> JobState:
    """The fields of one line of ``scontrol show job --oneliner``."""

    def field(name: str, default: str = "") -> str:
        found = re.search(rf"(?:^|\s){name}=(\S*)", text)
        return found[1] if found else default

    code, _, signal = field("ExitCode", "0:0").partition(":")
    return JobState(
        state=field("JobState", "UNKNOWN"),
        reason=field("Reason", "None").replace("_", " "),
        nodes=field("NodeList").replace("(null)", ""),
        restarts=int(field("Restarts", "0") or 0),
        requeue=field("Requeue") == "1",
        code=int(code or 0),
        signal=int(signal or 0),
        ran=field("RunTime", "?"),
        limit=field("TimeLimit", "?"),
    )
