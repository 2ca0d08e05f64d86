"""Datetimes as nanoseconds in UTC: ISO texts, stated formats, zones, changes of the clock."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo

import numpy as np

from twinml.errors import ArgumentError

_ISO = re.compile(
    r"(?P<y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})"
    r"(?:[T ](?P<H>\d{2}):(?P<M>\d{2})(?::(?P<S>\d{2})(?:[.,](?P<f>\d{1,9})\d*)?)?)?"
    r"\s*(?P<z>Z|z|UTC|[+-]\d{2}(?::?\d{2})?)?",
    re.ASCII,
)
_OFFSET = re.compile(r"(?:UTC)?([+-])(\d{2}):?(\d{2})?", re.ASCII)
_MINUTE = 60 * 10**9
YEARS = (1678, 2261)  # what nanoseconds in 64 bits can hold
EXAMPLE = "2026-03-01T12:00:00+01:00"
NO_ZONE = (
    "the time has no time zone, so intervals across a clock change would be wrong. Write the "
    f"offset, as in {EXAMPLE} or ...Z, or say where the clock hung with zone: UTC (or "
    "Europe/Berlin, +01:00 ...)"
)


@dataclass(frozen=True)
class Moments:
    """Instants of rows.

    Args:
        utc: Nanoseconds since 1970 in UTC, (rows,) int64; unset where ``faults`` names the row.
        faults: Row -> why it is no instant.
        notes: What was decided on the way.
    """

    utc: np.ndarray
    faults: dict[int, str]
    notes: tuple[str, ...] = ()


def read_zone(name: str) -> tzinfo:
    """A zone by its name, such as "UTC", "Europe/Berlin" or "+01:00".

    Raises:
        ArgumentError: unknown.
    """
    if name in ("Z", "UTC", "utc"):
        return UTC
    match = _OFFSET.fullmatch(name)
    if match:
        return timezone(timedelta(minutes=_minutes(name)))
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ArgumentError(
            f"zone={name!r} is not known on this machine; expected 'UTC', an offset such as "
            "'+01:00', or a place such as 'Europe/Berlin' (for places Python needs the system's "
            "zone files or the package tzdata)."
        ) from None


def read_texts(cells: Sequence[str], zone: tzinfo | None, format: str | None = None) -> Moments:
    """Instants from texts.

    Args:
        cells: ISO 8601, or in ``format``. Texts with their own offset keep it.
        zone: Where clock readings without an offset were taken.
        format: As of ``datetime.strptime``.
    """
    read = _with_format if format else _iso
    clock = np.zeros(len(cells), dtype=np.int64)
    offset = np.full(len(cells), np.iinfo(np.int64).min)
    faults: dict[int, str] = {}
    leaps = 0
    for row, cell in enumerate(cells):
        found = read(cell.strip(), format or "")
        if isinstance(found, str):
            faults[row] = found
            continue
        clock[row], own, leap = found
        leaps += leap
        if own is not None:
            offset[row] = own
    naive = offset == np.iinfo(np.int64).min
    naive[list(faults)] = False
    utc = clock - np.where(naive, 0, offset) * _MINUTE
    notes = []
    if leaps:
        notes.append(f"{leaps} leap seconds (second 60) count as the second after, as in Unix time")
    if naive.any():
        settled = settle(clock, naive, zone)
        utc = np.where(naive, settled.utc, utc)
        faults |= settled.faults
        notes += settled.notes
    return Moments(utc, dict(sorted(faults.items())), tuple(notes))


def settle(clock: np.ndarray, naive: np.ndarray, zone: tzinfo | None) -> Moments:
    """Instants of clock readings without an offset.

    Where the clock is set back an hour occurs twice. Its first pass is the one before the rows
    step back; where no row steps back the two cannot be told apart and the rows are faults.

    Args:
        clock: Readings as nanoseconds since 1970 of that clock, (rows,).
        naive: Rows to settle, (rows,) bool.
        zone: Where the clock hung.
    """
    rows = np.flatnonzero(naive)
    if zone is None:
        return Moments(clock, {int(row): NO_ZONE for row in rows})
    first, second = _offsets(clock[rows], zone)
    faults: dict[int, str] = {}
    chosen = first.copy()
    for index in np.flatnonzero(first < second):
        faults[int(rows[index])] = f"this time did not exist in {zone}: the clock was set forward"
    twice = first > second
    notes = [f"times without an offset are taken as {zone}"]
    for run in _runs(twice):
        readings = clock[rows[run]]
        back = np.flatnonzero(np.diff(readings) <= 0)
        if len(back) != 1:
            for index in run:
                faults[int(rows[index])] = (
                    f"this hour occurred twice in {zone}, and the rows do not tell which one is "
                    "meant. Write the offset, or log in UTC"
                )
            continue
        later = run[back[0] + 1 :]
        chosen[later] = second[later]
        notes.append(
            f"{len(run)} rows in the hour that occurs twice: the second pass begins where the "
            "clock steps back"
        )
    utc = clock.copy()
    utc[rows] -= chosen * _MINUTE
    return Moments(utc, faults, tuple(notes))


def _offsets(clock: np.ndarray, zone: tzinfo) -> tuple[np.ndarray, np.ndarray]:
    """Minutes ahead of UTC on the first and on the second pass of each reading."""
    minutes, where = np.unique(clock // _MINUTE, return_inverse=True)
    start = datetime(1970, 1, 1)
    readings = [start + timedelta(minutes=int(m)) for m in minutes]
    passes = []
    for fold in (0, 1):
        found = [r.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta() for r in readings]
        # whole minutes, as since 1972 everywhere
        passes.append(np.array([round(o.total_seconds() / 60) for o in found])[where])
    return passes[0], passes[1]


def _runs(mask: np.ndarray) -> list[np.ndarray]:
    """Positions of each stretch of true values."""
    true = np.flatnonzero(mask)
    return np.split(true, np.flatnonzero(np.diff(true) > 1) + 1) if len(true) else []


def _iso(cell: str, _: str) -> tuple[int, int | None, bool] | str:
    """Clock reading in nanoseconds, minutes ahead of UTC if stated, and whether a leap second."""
    match = _ISO.fullmatch(cell)
    if match is None:
        return f"{cell!r} is neither a number nor an ISO datetime such as {EXAMPLE}"
    part = match.groupdict()
    leap = part["S"] == "60"
    try:
        moment = datetime(
            int(part["y"]), int(part["m"]), int(part["d"]), int(part["H"] or 0),
            int(part["M"] or 0), 59 if leap else int(part["S"] or 0),
        )  # fmt: skip
    except ValueError as error:
        return f"{cell!r} is no date and time: {error}"
    reading = _reading(moment)
    if isinstance(reading, str):
        return reading
    nanoseconds = reading + int((part["f"] or "0").ljust(9, "0")) + leap * 10**9
    return nanoseconds, None if part["z"] is None else _minutes(part["z"]), leap


def _with_format(cell: str, format: str) -> tuple[int, int | None, bool] | str:
    try:
        moment = datetime.strptime(cell, format)
    except ValueError:
        return f"{cell!r} does not match the stated format {format!r}"
    own = moment.utcoffset()
    reading = _reading(moment.replace(tzinfo=None))
    if isinstance(reading, str):
        return reading
    return reading, None if own is None else round(own.total_seconds() / 60), False


def _reading(moment: datetime) -> int | str:
    if not YEARS[0] <= moment.year <= YEARS[1]:
        return f"the year {moment.year} lies outside {YEARS[0]} to {YEARS[1]}"
    since = moment - datetime(1970, 1, 1)
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1000


def _minutes(text: str) -> int:
    """Minutes ahead of UTC of "Z", "+01:00", "-0530" or "+01"."""
    match = _OFFSET.fullmatch(text)
    if match is None:
        return 0
    minutes = 60 * int(match[2]) + int(match[3] or 0)
    return -minutes if match[1] == "-" else minutes
