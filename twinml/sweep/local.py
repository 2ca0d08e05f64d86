"""The executor of this machine: this process for one worker, processes of their own for more."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import final

from twinml.errors import ArgumentError
from twinml.sweep.allocation import cores
from twinml.sweep.executor import AbstractExecutor, compute_shard
from twinml.sweep.folder import open_folder
from twinml.sweep.plan import Shard
from twinml.sweep.store import ShardReport
from twinml.sweep.task import Task


@final
class LocalExecutor(AbstractExecutor):
    """Workers of this machine: one a core, or one a GPU.

    Args:
        workers: Processes; None for one per available core, or per visible GPU.
    """

    name = "local"
    startup = 3.0  # importing torch and loading the kernel

    def __init__(self, workers: int | None = None) -> None:
        self.workers = workers
        self._count = workers or 1

    def width(self, task: Task, seconds: float) -> int:
        from twinml.sweep.processes import importable

        if self.workers is None:
            # a class of the script itself can only run here, where short work is soon done too
            alone = seconds < 2 * self.startup or not importable(task)
            self._count = 1 if alone else _slots(task.settings.engine)
        return self._count

    def map(
        self, task: Task, out: str, shards: Sequence[Shard]
    ) -> Generator[ShardReport, None, None]:
        workers = min(self._count, len(shards))
        folder = open_folder(out)
        if not folder.shared and self.workers is None:
            workers = 1
        if workers <= 1:
            for shard in shards:
                if not self.steering.may_begin(shard):
                    return
                yield compute_shard(task, out, shard)
            return
        if not folder.shared:
            raise ArgumentError(
                f"out={out} lies in the memory of this process, where worker processes cannot "
                "write. Use workers=1, or name a folder."
            )
        from twinml.sweep.processes import run_processes

        yield from run_processes(task, out, shards, workers, self.steering)


def _slots(engine: str) -> int:
    """GPUs for kernels that run there, else cores."""
    if engine == "cuda":
        import torch

        return max(1, torch.cuda.device_count())
    return cores()
