"""Executors: something that computes shards, in any order, anywhere.

A shard is written by whoever computes it; its report goes back to the caller, who alone keeps
the ledger. An executor therefore needs no knowledge of sweeps beyond ``compute_shard``, and a
worker in another process or on another machine only ``twinml.sweep.answer``.
"""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, ClassVar, final

from twinml.errors import ArgumentError, nearest
from twinml.sweep.disk import storing
from twinml.sweep.plan import Shard
from twinml.sweep.store import ShardReport, Store
from twinml.sweep.task import Task

# Name to module and class, which is imported when it is asked for.
EXECUTORS = {
    "local": ("twinml.sweep.local", "LocalExecutor"),
    "ray": ("twinml.sweep.ray_executor", "RayExecutor"),
}


def _silent(event: str, **facts: Any) -> None:
    pass


def _always(shard: Shard) -> bool:
    return True


@final
@dataclass(frozen=True)
class Steering:
    """What an executor tells its caller while it works, and asks before it begins a shard.

    Args:
        tell: Called with an event of ``log.jsonl`` and its facts, by any thread:
            ``tell("worker_started", worker="4242@host")``, ``tell("worker_lost", worker=...,
            code=-9)``, ``tell("retry", start=0, stop=8192, reason=...)``.
        may_begin: Asked right before a shard is given to a worker, by any thread. Once it says no,
            nothing more is begun; what was begun is finished and ``map`` ends.
    """

    tell: Callable[..., None] = _silent
    may_begin: Callable[[Shard], bool] = _always


class AbstractExecutor(ABC):
    """Computes shards of one task; built with the keys of its file in ``configs/executor/``."""

    name: ClassVar[str]
    # Seconds until a worker's first row, for plans.
    startup: ClassVar[float] = 0.0
    # Set by the caller before ``map``.
    steering: Steering = Steering()

    @abstractmethod
    def width(self, task: Task, seconds: float) -> int:
        """Workers that will compute at once; it changes nothing but the time.

        Args:
            seconds: What all missing rows would take one worker.
        """

    @abstractmethod
    def map(
        self, task: Task, out: str, shards: Sequence[Shard]
    ) -> Generator[ShardReport, None, None]:
        """Compute and write every shard, yielding reports as they finish, in any order.

        Closing the iterator, or an error inside it, ends all work it started. Every worker calls
        ``twinml.sweep.admission.check_worker(task, identity(task))`` before its first shard, with
        the identity as this process sees it.

        Args:
            task: Pickles; its engine is settled.
            out: A local path, or an fsspec address.
            shards: What is missing, in order.
        """


def compute_shard(task: Task, out: str, shard: Shard) -> ShardReport:
    """Simulate one shard and put its file in place, block by block in bounded memory."""
    from twinml.sweep.block import Tally, simulate_blocks, table_units
    from twinml.sweep.shard_file import write_shard

    begin = time.perf_counter()
    tally, store = Tally(), Store(out)
    pieces = simulate_blocks(task, shard.start, shard.stop, tally)
    with storing(out):
        size, digest = write_shard(store, shard, pieces, table_units(task))
    seconds = round(time.perf_counter() - begin, 3)
    return ShardReport(
        shard.start, shard.stop, tally.failed, size, digest, seconds, dict(tally.mended)
    )


def make_executor(executor: str | Mapping[str, Any], workers: int | None) -> AbstractExecutor:
    """An executor by its name, or from a mapping of ``name`` and the keys of its constructor.

    Raises:
        ArgumentError: An unknown name or key; lists the known ones.
    """
    given = {"name": executor} if isinstance(executor, str) else dict(executor)
    name = given.pop("name", "local")
    if name not in EXECUTORS:
        raise ArgumentError(
            f"executor is {name!r}, which is unknown.{nearest(str(name), EXECUTORS)} "
            f"Known are {', '.join(EXECUTORS)}."
        )
    module, kind = EXECUTORS[name]
    made: type[AbstractExecutor] = getattr(import_module(module), kind)
    known = [key for key in inspect.signature(made).parameters if key != "workers"]
    for key in given:
        if key not in known:
            raise ArgumentError(
                f"executor.{key} is no key of the executor '{name}'.{nearest(key, known)} "
                f"It has {', '.join(known) or 'none but its name'}."
            )
    return made(workers=workers, **given)  # pyright: ignore
