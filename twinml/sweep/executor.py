"""Executors: something that computes shards, in any order, anywhere.

A shard is written by whoever computes it; its report goes back to the caller, who alone keeps
the ledger. An executor therefore needs no knowledge of sweeps beyond ``compute_shard``.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import ClassVar, final

from twinml.errors import ArgumentError, nearest
from twinml.sweep.plan import Shard
from twinml.sweep.store import ShardReport, Store
from twinml.sweep.task import Task


class AbstractExecutor(ABC):
    """Computes shards of one task."""

    name: ClassVar[str]

    @abstractmethod
    def map(
        self, task: Task, out: Path, shards: Sequence[Shard]
    ) -> Generator[ShardReport, None, None]:
        """Compute and write every shard, yielding reports as they finish, in any order.

        Closing the iterator, or an error inside it, ends all work it started.
        """


@final
class LocalExecutor(AbstractExecutor):
    """This process for one worker, processes of this machine for more."""

    name = "local"

    def __init__(self, workers: int) -> None:
        self.workers = workers

    def map(
        self, task: Task, out: Path, shards: Sequence[Shard]
    ) -> Generator[ShardReport, None, None]:
        if min(self.workers, len(shards)) <= 1:
            for shard in shards:
                yield compute_shard(task, out, shard)
            return
        from twinml.sweep.processes import run_processes

        yield from run_processes(task, out, shards, min(self.workers, len(shards)))


def compute_shard(task: Task, out: Path, shard: Shard) -> ShardReport:
    """Simulate one shard and put its file in place."""
    from twinml.solve.status import FAILURE
    from twinml.sweep.block import simulate_range

    begin = time.perf_counter()
    table = simulate_range(task, shard.start, shard.stop)
    failed = int(((table["status"] & int(FAILURE)) != 0).sum())
    return Store(out).write_shard(shard, table, failed, time.perf_counter() - begin)


def make_executor(name: str, workers: int) -> AbstractExecutor:
    """An executor by its name.

    Raises:
        ArgumentError: Unknown name; lists the known ones.
    """
    known = {LocalExecutor.name: LocalExecutor}
    if name not in known:
        raise ArgumentError(
            f"executor is {name!r}, which is unknown.{nearest(str(name), known)} "
            f"Known are {', '.join(known)}."
        )
    return known[name](workers)
