"""Sweeps asked for what cannot be: a time, a cut, a place, a folder that another works in."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

from tests.cli.bad_input.case import Bad
from tests.cli.bad_input.folder import cutting, writing
from twinml.sweep.lock import LOCK, started

SWEEP = "sweep twin=kiln scenario=soak samples=64 workers=1"


def locked(host: str | None = None) -> Callable[[Path], object]:
    """A lock in ``swp``: of this process, or of one on another machine that was just alive."""

    def lock(folder: Path) -> None:
        owner: dict[str, object] = {"pid": os.getpid(), "heartbeat": time.time(), "token": "x"}
        space = Path("/proc/self/ns/pid")
        owner["space"] = os.readlink(space) if space.is_symlink() else ""
        owner |= {"host": host or socket.gethostname(), "started": started(os.getpid())}
        (folder / "swp" / LOCK).write_text(json.dumps(owner))

    return lock


ASKED: dict[str, Bad] = {
    "a deadline that is no time": Bad(f"{SWEEP} deadline=soon", ("deadline='soon'", "90s", "2h")),
    "a deadline that has passed": Bad(
        f"{SWEEP} deadline=2020-01-31T18:00", ("deadline=2020-01-31T18:00", "has passed")
    ),
    "a deadline in an unknown unit": Bad(
        f"{SWEEP} deadline=2w", ("deadline='2w'", "cannot be read")
    ),
    "shards of no rows": Bad(f"{SWEEP} shard_size=0", ("shard_size is 0", "at least 1")),
    "shards of half a row": Bad(f"{SWEEP} shard_size=1.5", ("shard_size=1.5", "whole number")),
    "shards in words": Bad(f"{SWEEP} shard_size=big", ("shard_size='big'", "whole number")),
    "an executor's misspelt key": Bad(
        f"{SWEEP} executor=ray executor.adress=local", ("'executor.adress'", "'executor.address'")
    ),
    "no shards in flight": Bad(
        f"{SWEEP} executor=ray executor.max_in_flight=0", ("max_in_flight=0", "at least 1")
    ),
    "a sweep that another process works on": Bad(
        "sweep resume=swp samples=256",
        ("swp is in use by process", "twinml status swp"),
        given=("swp",),
        prepare=locked(),
    ),
    "a sweep that another machine works on": Bad(
        "sweep resume=swp samples=256",
        ("on node7", "last sign of life", "60 s after"),
        given=("swp",),
        prepare=locked("node7"),
    ),
}

PLACES: dict[str, Bad] = {
    "an address whose package is absent": Bad(
        f"{SWEEP} out=abfs://store/a",
        ("abfs://store/a", "adlfs", "Install it, or name a local folder"),
        foreign=True,
    ),
    "resume= of an address whose package is absent": Bad(
        "sweep resume=abfs://store/a", ("abfs://store/a", "adlfs"), foreign=True
    ),
    "an address of an unknown protocol": Bad(
        f"{SWEEP} out=s4://store/a", ("s4://store/a", "s4", "protocol"), foreign=True
    ),
    "an address in memory": Bad(f"{SWEEP} out=memory://a", ("memory://a", "ends with")),
    "an address for a task that has no rows": Bad(
        "simulate twin=kiln horizon.stop=60 out=s3://store/a",
        ("out=s3://store/a", "twinml simulate"),
    ),
    "an address for several sweeps": Bad(
        f"{SWEEP} -m seed=1,2 out=s3://store/a", ("out=s3://store/a", "-m")
    ),
    "an address of a folder that is not there": Bad(
        "sweep resume=file:///nowhere/a", ("resume=/nowhere/a", "not a folder")
    ),
}

STATUS: dict[str, Bad] = {
    "nothing to watch": Bad("status", ("DIR", "Usage: ")),
    "a sweep to watch that is not there": Bad("status nowhere", ("nowhere", "no sweep")),
    "a run to watch that is no sweep": Bad(
        "status cal --watch", ("no sweep at cal", "manifest.json"), given=("cal",)
    ),
    "a sweep to watch with a cut manifest": Bad(
        "status swp",
        ("swp/manifest.json", "cut or changed"),
        given=("swp",),
        prepare=cutting("swp/manifest.json"),
    ),
    "a sweep to watch of a later version": Bad(
        "status swp",
        ("sweep/9", "sweep/2"),
        given=("swp",),
        prepare=writing("swp/manifest.json", '{"schema": "sweep/9"}'),
    ),
    "an address to watch whose package is absent": Bad(
        "status abfs://store/a", ("abfs://store/a", "adlfs"), foreign=True
    ),
}
