"""A worker on any machine, as an executor of a cluster uses it; knows of no cluster."""

from __future__ import annotations

import os
import pickle
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

from twinml.errors import WorkerError


@final
class RemoteWorker:
    """Holds one task and computes shards of it.

    Args:
        content: What ``twinml.sweep.processes.pickled`` made of the task.
        out: Absolute path or address.
        token: Name of a file that the planning process put into a local ``out``, or "".

    Raises:
        WorkerError: This machine would give other bits, lacks the model, or does not see ``out``.
    """

    def __init__(self, content: bytes, out: str, token: str) -> None:
        from twinml.sweep.admission import check_worker

        host = socket.gethostname()
        if token:
            _check_shared(host, Path(out), token)
        try:
            self.task, expected = pickle.loads(content)
        except (ImportError, AttributeError) as error:
            raise WorkerError(
                f"The worker on {host} cannot import the model ({error}). Its file must lie where "
                f"that machine sees it too; looked for from {os.getcwd()}."
            ) from None
        self.out = out
        check_worker(self.task, expected)

    def compute(self, start: int, stop: int) -> dict[str, Any]:
        """The report of a shard, or what went wrong, as plain data."""
        from twinml.sweep.answer import answer
        from twinml.sweep.plan import Shard

        return answer(self.task, self.out, Shard(start, stop))


def prepare(content: bytes, out: str, token: str) -> RemoteWorker | Mapping[str, Any]:
    """A worker, or the reason why there is none, as plain data."""
    from twinml.sweep.answer import failure

    try:
        return RemoteWorker(content, out, token)
    except Exception as error:
        return failure(error)


def _check_shared(host: str, out: Path, token: str) -> None:
    """Whether this machine writes where the planning process reads."""
    try:
        seen = (out / token).read_text() == token
        mine = out / f"{token}-{host}-{os.getpid()}"
        mine.touch()
        mine.unlink()
    except OSError as error:
        seen, why = False, f" ({error.strerror})"
    else:
        why = ""
    if not seen:
        raise WorkerError(
            f"The worker on {host} does not see {out} as it was planned{why}: the folder is of "
            "one machine alone. Choose an out= on a file system that all nodes share, or an "
            "address such as s3://bucket/folder."
        )
