"""The time axis of one experiment: period, gaps, repeated and backward times, clock jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinml.data.order import late_rows

GAP = 3.0  # an interval this many times the median is a gap
_WINDOW = 5  # rows on either side between which the phase of a clock is compared
_NOTICEABLE = 0.25  # a jump is at least this part of a period
_REGULAR = 0.1  # an interval this near to whole periods lies on the grid


@dataclass(frozen=True)
class Event:
    """Something at one row of the time axis.

    Args:
        row: Row of the file.
        size: Length of a gap, or of a step of the clock, in the unit of time.
    """

    row: int
    size: float


@dataclass(frozen=True)
class Clock:
    """What the times of one experiment are like, in their own unit.

    Args:
        rows: Rows with a time.
        start, end: First and last time, as numbers since the first row.
        period: Median interval of rows in order of time; nan with one row.
        shortest, longest: Extreme intervals.
        irregular: Part of the intervals that are off the median by more than a tenth of it.
        gaps: Intervals longer than ``GAP`` periods; the row after each.
        absent: Rows that a regular clock would have had inside the gaps.
        repeated: Rows whose time a row before has too.
        backward: Rows whose time lies before the largest above, and by how much.
        jumps: Places where the grid of a regular clock is shifted for good, and by how much.
    """

    rows: int
    start: float
    end: float
    period: float
    shortest: float
    longest: float
    irregular: float
    gaps: tuple[Event, ...]
    absent: int
    repeated: tuple[int, ...]
    backward: tuple[Event, ...]
    jumps: tuple[Event, ...]


def read_clock(time: np.ndarray, rows: np.ndarray | None = None) -> Clock:
    """Look at times in the order of the file.

    Args:
        time: Shape (T,), at least one, none missing; may repeat or run backwards.
        rows: Rows of the file, (T,); 0, 1, 2 ... when None.

    Jumps are looked for only where at least nine of ten intervals are whole periods, within a
    tenth of one. They are seen by the phase of the clock, which a missing row leaves as it is and
    a single late sample shifts only for that sample.
    """
    rows = np.arange(len(time)) if rows is None else rows
    late = late_rows(time)
    tops = np.maximum.accumulate(time)
    backward = tuple(Event(int(rows[row]), float(tops[row - 1] - time[row])) for row in late)
    order = np.argsort(time, kind="stable")
    ordered = time[order]
    step = np.diff(ordered)
    repeated = tuple(sorted(int(row) for row in rows[order[1:][step == 0]]))
    positive = step[step > 0]
    if not len(positive):
        return Clock(
            len(time), float(ordered[0]), float(ordered[-1]), np.nan, np.nan, np.nan, 0.0, (), 0,
            repeated, backward, (),
        )  # fmt: skip
    period = float(np.median(positive))
    wide = np.flatnonzero(step > GAP * period)
    gaps = tuple(Event(int(rows[order[row + 1]]), float(step[row])) for row in wide)
    absent = int(sum(round(gap.size / period) - 1 for gap in gaps))
    return Clock(
        rows=len(time),
        start=float(ordered[0]),
        end=float(ordered[-1]),
        period=period,
        shortest=float(positive.min()),
        longest=float(positive.max()),
        irregular=float((np.abs(positive / period - 1) > _REGULAR).mean()),
        gaps=gaps,
        absent=absent,
        repeated=repeated,
        backward=backward,
        jumps=_jumps(ordered, rows[order], period),
    )


def _jumps(time: np.ndarray, rows: np.ndarray, period: float) -> tuple[Event, ...]:
    """Shifts of the grid k * period that last for at least a window of rows."""
    step = np.diff(time) / period
    off = step - np.round(step)
    if len(off) < 2 * _WINDOW or (np.abs(off) < _REGULAR).mean() < 0.9:
        return ()
    # a period that is not quite the median drifts; only what is sudden counts
    phase = np.concatenate([[0.0], np.cumsum(off)])
    drift = float(np.median(off))
    found = []
    last = -_WINDOW
    for row in np.flatnonzero(np.abs(off) >= _NOTICEABLE) + 1:
        if row - last < _WINDOW or row < _WINDOW or len(phase) - row < _WINDOW:
            continue
        before = phase[row - _WINDOW : row] - drift * np.arange(-_WINDOW, 0)
        after = phase[row : row + _WINDOW] - drift * np.arange(_WINDOW)
        shift = float(np.median(after) - np.median(before))
        if abs(shift) >= _NOTICEABLE:
            found.append(Event(int(rows[row]), shift * period))
            last = row
    return tuple(found)
