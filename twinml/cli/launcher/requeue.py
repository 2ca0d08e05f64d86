"""A job that Slurm started again: the folder of its earlier start is its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from twinml.errors import TwinmlError
from twinml.run.directory import RunDirectory


def started_before(out: Path | None, command: Sequence[str]) -> bool:
    """Whether this process is a requeued job that finds its own first start in ``out``.

    Slurm counts the starts of a job. The same words in the same folder are the same run, of which
    a killed start may have left no more than its record.
    """
    if out is None or os.environ.get("SLURM_RESTART_COUNT", "0") == "0":
        return False
    try:
        return RunDirectory(out).provenance().get("command") == list(command)
    except TwinmlError:
        return False
