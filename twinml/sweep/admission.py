"""Whether a worker would give the bits that a sweep was planned with."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from twinml.errors import TwinmlError, WorkerError

if TYPE_CHECKING:
    from twinml.sweep.task import Task


def check_worker(task: Task, expected: Mapping[str, Any]) -> None:
    """Refuse to compute where rows would come out with other bits; called once by each worker.

    Args:
        task: As it arrived at the worker.
        expected: The identity of the sweep, as the planning process saw it.

    Raises:
        WorkerError: Names this host and what it lacks: the engine, its target, the versions of
            the mathematics or of twinml, or the model's source.
    """
    from twinml.sweep.block import probe
    from twinml.sweep.digest import identity

    host = socket.gethostname()
    wanted = f"engine '{task.settings.engine}' for {expected.get('target')}"
    try:
        found = identity(task)
    except (TwinmlError, ImportError, RuntimeError, OSError) as error:
        raise WorkerError(
            f"The worker on {host} lacks {wanted}, which this sweep was planned with: {error}"
        ) from error
    for name, value in expected.items():
        if name != "kernel" and found.get(name) != value:
            raise _other(host, name, value, found.get(name))
    try:
        kernel = probe(task).kernel
    except WorkerError:
        raise
    except (TwinmlError, RuntimeError, OSError) as error:
        raise WorkerError(
            f"The worker on {host} cannot use {wanted}, which this sweep was planned with: {error}"
        ) from error
    if expected.get("kernel", kernel) != kernel:
        raise _other(host, "kernel", expected["kernel"], kernel)


def _other(host: str, name: str, planned: Any, found: Any) -> WorkerError:
    return WorkerError(
        f"The worker on {host} would give other bits: {name} is {_short(found)} there and "
        f"{_short(planned)} where the sweep was planned. Give every machine the same twinml, torch "
        "and model files, or leave this one out."
    )


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 60 else f"digest {text[:12]}"
