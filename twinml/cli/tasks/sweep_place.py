"""Where a sweep's rows lie: checked before it begins, and named when it is stopped."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from twinml.cli.place import is_address, reached
from twinml.cli.task import Job
from twinml.errors import ConfigError, DataError
from twinml.run.directory import PROVENANCE

MANIFEST = "manifest.json"


def check_place(out: str | None, resume: str | None) -> None:
    """Refuses to begin over a sweep, and to go on with nothing.

    Raises:
        ConfigError: ``out`` holds a sweep, or both are given.
        DataError: ``resume`` holds none.
    """
    if resume is not None:
        # a run that ended before its first row has its words and no manifest yet
        if not (_holds(resume, MANIFEST) or _holds(resume, PROVENANCE)):
            raise DataError(
                f"resume={resume} holds no sweep (no {MANIFEST}). Leave resume= away to begin "
                "one, or name the run directory of an earlier sweep."
            )
        if out is not None:
            raise ConfigError("Give out= for a new sweep or resume= for an earlier one, not both.")
    elif out is not None and _holds(out, MANIFEST):
        raise ConfigError(
            f"out={out} already holds a sweep. Go on with it by resume={out}, or name a new folder."
        )


def address_of(out: str | None, resume: str | None) -> str | None:
    """Where the rows go when that is no folder of this machine."""
    return next((place for place in (resume, out) if is_address(place)), None)


def _holds(place: str, name: str) -> bool:
    from twinml.sweep.folder import open_folder

    folder = open_folder(place)
    return reached(place, lambda: folder.exists(name))


@contextmanager
def keeping(job: Job, place: str) -> Iterator[None]:
    """When a sweep is stopped, says what is kept and how to go on."""
    from twinml.errors import LockedError
    from twinml.sweep import open_sweep
    from twinml.sweep.store import Store

    try:
        yield
    except LockedError:
        raise
    except BaseException:
        if Store(place).exists:
            found = open_sweep(place)
            rows = sum(len(report.shard) for report in found.reports)
            job.console.notice(
                f"{rows:,} of {found.samples:,} samples are finished and kept; "
                f"twinml sweep resume={place} goes on."
            )
        raise
