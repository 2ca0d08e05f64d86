"""The disk of a sweep's folder: whether there is room, and what is said when there is none."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.errors import ArgumentError, DiskFullError, SweepError
from twinml.sweep.folder import is_url, normal
from twinml.sweep.plan import NUMBER_BYTES, WHOLE, shown_bytes

if TYPE_CHECKING:
    from twinml.sweep.plan import Plan
    from twinml.sweep.store import ShardReport

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_BROKEN = frozenset({errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE})


def check_room(samples: int, rows: int, columns: int, path: Path) -> None:
    """Refuses a table that the disk cannot hold, before the work that would be lost.

    Args:
        samples: Rows of the whole sweep; rows: those still to be stored.

    Raises:
        ArgumentError: with the size of the table and the room there is.
    """
    size = NUMBER_BYTES * (columns - WHOLE) * rows
    there = _existing(path)
    free = shutil.disk_usage(there).free
    if size > free:
        raise ArgumentError(
            f"samples={samples:,} asks for {rows:,} rows more, {shown_bytes(size)} on disk; the "
            f"disk of {there} has {shown_bytes(free)} free. Ask for fewer samples, or name a "
            "folder on a larger disk with out=."
        )


@contextmanager
def storing(
    out: Any, way: str = "then resume the sweep: only missing rows are computed"
) -> Iterator[None]:
    """What the file system says of a full or broken disk, in words.

    Args:
        way: How to go on once that is mended.

    Raises:
        DiskFullError, SweepError: instead of such an OSError; others pass.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL | _BROKEN:
            raise
        kept = "What was finished before is kept and whole."
        if error.errno in FULL:
            raise DiskFullError(
                f"{out} cannot be written: {_disk(out)}{os.strerror(error.errno)}. {kept} "
                f"Make room, {way}."
            ) from error
        raise SweepError(
            f"{out} cannot be written: {os.strerror(error.errno)}. {kept} Mend that, {way}."
        ) from error


@contextmanager
def lacking(out: Any, plan: Plan, finished: Sequence[ShardReport]) -> Iterator[None]:
    """Adds to a full disk's error how much is missing for the rest of the sweep.

    Args:
        finished: Shards of this sweep, those that are added inside included: what a row takes.
    """
    try:
        yield
    except DiskFullError as error:
        raise DiskFullError(f"{error}{_lack(out, plan, finished)}") from error


def _lack(out: Any, plan: Plan, finished: Sequence[ShardReport]) -> str:
    if is_url(out):
        return ""
    stored = sum(len(report.shard) for report in finished)
    row = plan.bytes / plan.samples
    if stored:
        row = sum(report.size for report in finished) / stored
    needed = row * (plan.samples - stored)
    free = shutil.disk_usage(_existing(Path(out))).free
    text = f" The {plan.samples - stored:,} rows that are missing need about {shown_bytes(needed)}"
    # a quota, or no room for another file's name, is full with room left
    return f"{text}, {shown_bytes(needed - free)} more than is free." if needed > free else ""


def _disk(out: Any) -> str:
    """``the disk at /mnt/a (2.1 GB, 0.0 GB free): ``; nothing where there is none of this kind."""
    if is_url(out):
        return ""
    place = _existing(Path(normal(out)))
    mount = next((x for x in (place, *place.parents) if os.path.ismount(x)), place)
    used = shutil.disk_usage(mount)
    return f"the disk at {mount} ({shown_bytes(used.total)}, {shown_bytes(used.free)} free): "


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.is_dir())
