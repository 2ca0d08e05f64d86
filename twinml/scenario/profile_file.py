"""The file behind a profile: its rows on the scenario's time axis, refused where they fail.

Files are read as records are (decimal comma, units in the header, datetimes), so a message names
the file's own line and column.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

import numpy as np

from twinml import resources
from twinml.errors import DataError, ScenarioError
from twinml.scenario.profile import SHIPPED, Profile
from twinml.units import conversion

if TYPE_CHECKING:
    from twinml.data.columns import Columns

RASTER_SHARE = 0.9  # of the intervals alike: then the file has a period
RASTER_SLACK = 0.01  # relative difference that clocks of loggers show
LOST = 1.5  # periods between two rows: one in between is missing


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """A profile's file as it stands.

    Args:
        source: What to call it in messages.
        digest: sha256 of its bytes.
        times, values: (K,) float64, in ``time_unit`` and ``unit``; times rise strictly.
        unit: Of the values; None where neither the scenario nor the header says.
        time_unit: Of the times; None likewise.
        period: Time between the rows of a file that has one, else None.
    """

    source: str
    digest: str
    times: np.ndarray
    values: np.ndarray
    unit: str | None
    time_unit: str | None
    period: float | None


def read_rows(profile: Profile, where: str) -> Rows:
    """Read and check a profile's file.

    Raises:
        DataError: No such file or column, a cell that is empty or no finite number, times that
            repeat or run backwards, or a gap; names file, row and column.
        UnitError: A stated unit contradicts the header.
    """
    from twinml.data.assemble import Request, agreed, time_axis
    from twinml.data.files.open import read_columns
    from twinml.data.numbers import numbers
    from twinml.data.problems import Problem, refuse
    from twinml.data.rules import Rules

    path = _path(profile, where)
    found = read_columns(path, wanted=[profile.time, profile.column])
    clock, column = found.find(profile.time), found.find(profile.column)
    refuse(found.source, found.problems)
    # a time without any unit is in the horizon's, which only the scenario knows
    unknown = clock.unit is None and profile.time_unit is None and clock.type != "datetime"
    request = Request(time=profile.time, time_unit=profile.time_unit)
    axis = time_axis(found, clock, request, Rules())
    refuse(found.source, axis.problems)
    values, problems = numbers(column, found)
    refuse(found.source, problems)
    empty = np.flatnonzero(np.isnan(values))
    if len(empty):
        text = (
            "the value is missing; a profile must be known throughout. Fill the cell, or leave "
            "the row out and state the longest time between rows that is no gap: gap."
        )
        refuse(
            found.source,
            [Problem("gap", found.place(int(row), column.name), text) for row in empty],
        )
    unit = profile.unit
    if column.unit is not None:
        unit = agreed(found.source, column, profile.unit)
    zero = axis.ticks[0] if axis.dated else 0.0
    times = np.asarray(axis.since(zero), dtype=np.float64)
    _check_order(found, times, profile)
    period = _period(times)
    _check_gaps(found, times, profile, period, None if unknown else axis.unit)
    return Rows(
        found.source, found.digest, times, values, unit, None if unknown else axis.unit, period
    )


def file_digest(profile: Profile, where: str) -> str:
    """sha256 of the file's bytes.

    Raises:
        DataError: It cannot be read.
    """
    import hashlib

    from twinml.data.files.open import file_bytes

    return hashlib.sha256(file_bytes(_path(profile, where))).hexdigest()


@final
@dataclass(frozen=True, eq=False)
class Knots:
    """A profile in the model's units, (K,) each."""

    times: np.ndarray
    values: np.ndarray


def knots(
    profile: Profile,
    rows: Rows,
    where: str,
    unit: str,
    clock: str,
    time_unit: str,
    span: tuple[float, float],
    delays: tuple[float, float],
) -> Knots:
    """The rows that act within a horizon.

    Args:
        unit: The input's unit.
        clock: The horizon's unit, of file times without one and of ``span`` and ``delays``.
        time_unit: The model's time unit, of the knots.
        span: Start and stop of the horizon.
        delays: Smallest and largest delay of any sample.

    Raises:
        ScenarioError: The profile starts after the horizon does, or ends before it ends.
        UnitError: A unit measures something else.
    """
    given = rows.time_unit or clock
    to_clock, _ = conversion(given, clock, f"{where}: time_unit")
    times = rows.times * to_clock
    start, stop = span
    slack = 1e-9 * max(abs(start), abs(stop), stop - start)
    if times[0] + min(delays[0], 0.0) > start + slack:
        raise ScenarioError(
            f"{where}: {rows.source} begins at {times[0]:g} {clock}, after the horizon's start at "
            f"{start:g} {clock}. Begin the horizon later, shift the file's times, or state a row "
            f"at {start:g}."
        )
    end = times[-1]
    if profile.kind == "hold":  # the last value holds as long as the one before it
        end += (rows.period or (rows.times[-1] - rows.times[-2] if len(times) > 1 else 0.0)) * (
            to_clock
        )
    if end + min(delays[0], 0.0) < stop - slack:
        early = f", {-delays[0]:g} {clock} earlier for some samples" if delays[0] < 0 else ""
        raise ScenarioError(
            f"{where}: {rows.source} ends at {end:g} {clock}{early}, before the horizon's end at "
            f"{stop:g} {clock}. Shorten the horizon, or give a longer file."
        )
    first = max(0, int(np.searchsorted(times, start - max(delays[1], 0.0), side="right")) - 1)
    last = int(np.searchsorted(times, stop - min(delays[0], 0.0), side="left")) + 1
    keep = slice(first, last)
    scale, offset = conversion(rows.unit or unit, unit, f"{where}: unit")
    to_model, _ = conversion(clock, time_unit, f"{where}: time_unit")
    return Knots(times[keep] * to_model, rows.values[keep] * scale + offset)


def _path(profile: Profile, where: str) -> Path:
    if profile.path.startswith(SHIPPED):
        return resources.data(profile.path.removeprefix(SHIPPED))
    path = Path(profile.path)
    if not path.exists():
        raise DataError(
            f"{where}: there is no file at {path}. Give a CSV or Parquet file; paths are relative "
            f"to the working directory {Path.cwd()}."
        )
    return path


def _check_order(found: Columns, times: np.ndarray, profile: Profile) -> None:
    back = np.flatnonzero(np.diff(times) <= 0)
    if len(back):
        row = int(back[0]) + 1
        word = "repeats" if times[row] == times[row - 1] else "runs backwards"
        raise DataError(
            f"{found.source}, {found.place(row, profile.time)}: the time {word} (from "
            f"{times[row - 1]:g} to {times[row]:g}); expected times that rise from row to row. "
            "Sort the rows and keep one per time."
        )


def _period(times: np.ndarray) -> float | None:
    """The time between rows where nearly all are equally far apart."""
    steps = np.diff(times)
    if len(steps) < 3:
        return None
    middle = float(np.median(steps))
    alike = np.abs(steps - middle) <= RASTER_SLACK * middle
    return middle if float(alike.mean()) >= RASTER_SHARE else None


def _check_gaps(
    found: Columns, times: np.ndarray, profile: Profile, period: float | None, unit: str | None
) -> None:
    if profile.gap is not None:
        longest, why = profile.gap, f"gap: {profile.gap:g} is the longest allowed"
    elif period is not None:
        longest, why = LOST * period, f"the other rows are {period:g} apart, so rows are missing"
    else:
        return
    steps = np.diff(times)
    wide = np.flatnonzero(steps > longest * (1 + RASTER_SLACK))
    if len(wide):
        row = int(wide[0]) + 1
        more = f" And {len(wide) - 1} more like it." if len(wide) > 1 else ""
        raise DataError(
            f"{found.source}, {found.place(row, profile.time)}: a gap of {steps[row - 1]:g}"
            f"{f' {unit}' if unit else ''} before this row, from {times[row - 1]:g} to "
            f"{times[row]:g}; {why}. Fill it, or state gap: {steps.max():g} where the values "
            f"{'hold' if profile.kind == 'hold' else 'are joined'} across it.{more}"
        )
