"""The time of each row, from numbers, datetimes or a period."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.moments import EXAMPLE, NO_ZONE, Moments, read_texts, read_zone, settle
from twinml.data.numbers import MISSING, number, numbers
from twinml.data.problems import Problem
from twinml.units import convert


@dataclass(frozen=True)
class Axis:
    """When each row was measured.

    Args:
        ticks: Nanoseconds since 1970 in UTC (int64) or numbers in ``unit`` (float64), (rows,).
        known: Rows with a usable time, (rows,) bool.
        unit: Unit of the time axis.
        problems: Rows without a usable time.
        notes: What was decided on the way.
    """

    ticks: np.ndarray
    known: np.ndarray
    unit: str
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def dated(self) -> bool:
        """Whether the times are datetimes."""
        return self.ticks.dtype.kind == "i"

    def since(self, tick: Any, rows: np.ndarray | None = None) -> np.ndarray:
        """Times in ``unit`` since a tick."""
        ticks = self.ticks if rows is None else self.ticks[rows]
        if not self.dated:
            return ticks - tick
        return convert((ticks - tick) / 1e9, "s", self.unit, "the time axis")

    def show(self, row: int) -> str:
        """The time of one row in words."""
        return show_tick(self.ticks[row], self.unit)


def show_tick(tick: Any, unit: str) -> str:
    """A tick in words: a datetime in UTC, or a number with its unit."""
    if isinstance(tick, np.integer):
        seconds, rest = divmod(int(tick), 10**9)
        text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return text + (f".{rest:09d}".rstrip("0") if rest else "") + "Z"
    return f"{float(tick):.10g} {unit}"


def counted(rows: int, period: float, unit: str) -> Axis:
    """Rows at a fixed distance."""
    return Axis(np.arange(rows, dtype=np.float64) * period, np.ones(rows, bool), unit)


def read_axis(
    column: Column,
    of: Columns,
    unit: str,
    zone: str | None = None,
    format: str | None = None,
    missing: Sequence[str] = (),
) -> Axis:
    """The time axis that a column holds.

    Args:
        column: Numbers in ``unit``, or datetimes.
        of: Where it comes from.
        unit: Unit of the axis.
        zone: Where clock readings without an offset were taken.
        format: Format of datetimes that are not ISO 8601, as of ``datetime.strptime``.
        missing: Texts that mark a missing cell.

    Raises:
        ArgumentError: an unknown zone.
    """
    place = read_zone(zone) if zone is not None else None
    if column.type == "datetime":
        assert isinstance(column.cells, np.ndarray)
        absent = np.isnat(column.cells)
        clock = np.where(absent, 0, column.cells.astype(np.int64))
        moments = Moments(clock, {}) if column.zoned else settle(clock, ~absent, place)
        return _dated(moments, absent, column, of, unit)
    marked = {*MISSING, *(str(m).strip().lower() for m in missing)}
    if isinstance(column.cells, list) and (
        format or not _numeric(column.cells, of.decimal, marked)
    ):
        absent = np.array([cell.strip().lower() in marked for cell in column.cells])
        known = [cell for cell, gone in zip(column.cells, absent, strict=True) if not gone]
        rows = np.flatnonzero(~absent)
        found = read_texts(known, place, format)
        utc = np.zeros(of.rows, dtype=np.int64)
        utc[rows] = found.utc
        faults = {int(rows[row]): text for row, text in found.faults.items()}
        return _dated(Moments(utc, faults, found.notes), absent, column, of, unit)
    values, problems = numbers(column, of, missing)
    odd = {p.row for p in problems}
    for row in np.flatnonzero(np.isnan(values)):
        if int(row) not in odd:
            problems.append(_missing(of, column, int(row)))
    problems.sort(key=lambda p: p.row)
    return Axis(values, np.isfinite(values), unit, tuple(problems))


def _numeric(cells: Sequence[str], decimal: str, marked: set[str]) -> bool:
    first = next((cell for cell in cells if cell.strip().lower() not in marked), "")
    return number(first, decimal) is not None


def _dated(moments: Moments, absent: np.ndarray, column: Column, of: Columns, unit: str) -> Axis:
    problems = [_missing(of, column, int(row)) for row in np.flatnonzero(absent)]
    cells = column.cells
    for row, text in moments.faults.items():
        raw = cells[row] if isinstance(cells, list) else str(cells[row])
        kind = "zone" if text == NO_ZONE else "time"
        text = text if repr(raw.strip()) in text else f"{raw.strip()!r}: {text}"
        problems.append(Problem(kind, of.place(row, column.name), f"{text}.", column.name, row))
    known = ~absent
    known[list(moments.faults)] = False
    problems.sort(key=lambda p: p.row)
    return Axis(moments.utc, known, unit, tuple(problems), moments.notes)


def _missing(of: Columns, column: Column, row: int) -> Problem:
    text = f"the time is missing; every row needs one, a number or a datetime such as {EXAMPLE}."
    return Problem("time", of.place(row, column.name), text, column.name, row)
