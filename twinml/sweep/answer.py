"""What a worker says of a shard, as plain data that crosses processes and machines."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import twinml.errors
from twinml.errors import SweepError, TwinmlError

if TYPE_CHECKING:
    from twinml.sweep.plan import Shard
    from twinml.sweep.store import ShardReport
    from twinml.sweep.task import Task


def answer(task: Task, out: str, shard: Shard) -> dict[str, Any]:
    """Compute one shard; the report, or what went wrong: ``error``, ``message``, ``trace``."""
    from twinml.sweep.executor import compute_shard

    try:
        return compute_shard(task, out, shard).to_mapping()
    except Exception as error:
        return failure(error)


def failure(error: BaseException) -> dict[str, Any]:
    """An error as plain data."""
    return {
        "error": type(error).__name__,
        "message": str(error),
        "trace": "".join(traceback.format_exception(error)),
    }


def result(said: Mapping[str, Any]) -> ShardReport | BaseException:
    """The report or error that an answer stands for: ours by its class, another in words."""
    from twinml.sweep.store import ShardReport

    if "error" not in said:
        return ShardReport.from_mapping(said)
    kind = getattr(twinml.errors, said["error"], None)
    if isinstance(kind, type) and issubclass(kind, TwinmlError):
        return kind(said["message"])
    return SweepError(f"A worker failed with {said['error']}: {said['message']}\n{said['trace']}")
