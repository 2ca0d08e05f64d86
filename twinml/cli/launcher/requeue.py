"""A job that was started again, by Slurm or by hand: the folder of its earlier start is its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twinml.errors import TwinmlError
from twinml.run.directory import LAUNCHED, RunDirectory

NUMBER = "job"  # of the last job, in the folder ``slurm`` of a run


def started_before(out: Path | None, command: Sequence[str]) -> bool:
    """Whether this process is a job that finds its own earlier start in ``out``.

    The same words in the same folder are the same run, of which a killed start may have left no
    more than its record. Slurm counts the starts of a job that it queues again; where a person
    submits the script again, the job of the earlier start must have ended.
    """
    if out is None or "SLURM_JOB_ID" not in os.environ:
        return False
    try:
        if RunDirectory(out).provenance().get("command") != list(command):
            return False
    except TwinmlError:
        return False
    return os.environ.get("SLURM_RESTART_COUNT", "0") != "0" or _takes_over(out)


def _takes_over(out: Path) -> bool:
    """Whether the job before this one has ended; then this one is the run's."""
    from twinml.cli.launcher import slurm
    from twinml.cli.launcher.follow import ENDED

    file, mine = out / LAUNCHED / NUMBER, os.environ["SLURM_JOB_ID"]
    try:
        before = file.read_text(encoding="utf-8").strip()
        state = None if before == mine else slurm.read(before)
    except (OSError, TwinmlError):
        return False
    if before == mine or (state is not None and state.state not in ENDED):
        return False
    file.write_text(mine + "\n", encoding="utf-8")
    return True
