"""By when a sweep must have ended."""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import dataclass
from typing import Any, final

from twinml.errors import ArgumentError

_UNITS = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d*)?)\s*(min|[smhd])\s*")


@final
@dataclass(frozen=True)
class Deadline:
    """A moment, in seconds of ``time.time()``."""

    at: float

    @property
    def left(self) -> float:
        """Seconds until then; negative when it has passed."""
        return self.at - time.time()

    @property
    def text(self) -> str:
        """The moment in the local zone."""
        moment = datetime.datetime.fromtimestamp(self.at).astimezone()
        return moment.isoformat(sep=" ", timespec="seconds")


def read_deadline(value: Any) -> Deadline | None:
    """A deadline from seconds, a timedelta, a datetime, or text such as ``2h``, ``1h30m``, ISO.

    A moment without a zone is local time.

    Raises:
        ArgumentError: It cannot be read, or has passed.
    """
    if value is None:
        return None
    if isinstance(value, Deadline):
        return value
    found = _moment(value)
    if found is None:
        raise ArgumentError(
            f"deadline={value!r} cannot be read; expected a time to go such as 90s, 30m, 2h or "
            "1h30m, or a moment such as 2026-01-31T18:00 (local time unless it names a zone)."
        )
    if not found > time.time():
        raise ArgumentError(
            f"deadline={value!s} has passed; expected a moment that is still to come. "
            "Give a later one, or leave deadline away."
        )
    return Deadline(found)


def _moment(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, datetime.timedelta):
        return time.time() + value.total_seconds()
    if isinstance(value, datetime.datetime):
        return value.timestamp()
    if isinstance(value, int | float):
        return time.time() + value
    if not isinstance(value, str):
        return None
    text = value.strip()
    if re.fullmatch(r"\d+(\.\d*)?", text):
        return time.time() + float(text)
    parts = _PART.findall(text)
    if parts and not _PART.sub("", text):
        return time.time() + sum(float(number) * _UNITS[unit] for number, unit in parts)
    try:
        return datetime.datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError):
        return None
