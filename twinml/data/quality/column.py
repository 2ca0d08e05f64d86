"""The values of one column: range, missing samples, runs of one value, spikes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Behaviour = Literal["empty", "constant", "held", "varies", "stuck"]
_HELD = 0.2  # a column that changes in fewer of its rows is held
_STUCK = 3.0  # a run this many times the longest to be expected is stuck
_SHORT = 10  # no run below this many rows is stuck
_ALIKE = 3  # with more runs at least half as long, standing still is this column's habit
_SPIKE = 12.0  # in robust standard deviations of the steps
_RARE = 0.01  # what happens in a larger part of the rows is no spike


@dataclass(frozen=True)
class Values:
    """What the values of one column are like.

    Args:
        count: Values that are finite numbers.
        missing: Rows without one.
        low, median, high: Smallest, median, largest value; nan without values.
        distinct: Number of different values.
        changes: Part of neighbouring values that differ.
        behaviour: "empty"; "constant": one value; "held": changes in less than a fifth of the
            rows, as a set point does; "stuck": varies, and stands still once for ``_STUCK`` times
            as long as chance explains; "varies".
        run: Rows of the longest run of one value.
        run_row: Its first row.
        run_value: Its value.
        spikes: Rows that stand out from both neighbours, in columns that vary.
        gaps: Stretches of missing samples as (first row, rows).
    """

    count: int
    missing: int
    low: float
    median: float
    high: float
    distinct: int
    changes: float
    behaviour: Behaviour
    run: int
    run_row: int
    run_value: float
    spikes: tuple[int, ...]
    gaps: tuple[tuple[int, int], ...]


def read_values(values: np.ndarray, groups: Sequence[np.ndarray]) -> Values:
    """Look at one column.

    How long a run is by chance: if a value repeats the one before with probability p, the
    longest of n values is about log(n) / log(1 / p) rows. p is measured outside the longest run,
    so a held input, which seldom changes, may stand still for long and a sensor may not.

    Args:
        values: Shape (rows,), nan where missing.
        groups: Rows of each experiment in order of time; no run crosses them.
    """
    known = values[np.isfinite(values)]
    if not any(np.isfinite(values[rows]).any() for rows in groups):
        groups = [np.arange(len(values))]  # no row with a value has a time
    if not len(known):
        nan = math.nan
        return Values(
            0, len(values), nan, nan, nan, 0, 0.0, "empty", 0, 0, nan, (), _gaps(values, groups)
        )
    runs = [run for rows in groups for run in _runs(values, rows)]
    length, row = max(runs, key=lambda run: (run[0], -run[1]))
    pairs = sum(length for length, _ in runs) - len(groups)
    switches = len(runs) - len(groups)
    changes = switches / pairs if pairs > 0 else 0.0
    behaviour = _behaviour(len(np.unique(known)), [n for n, _ in runs], len(known), changes)
    spikes: tuple[int, ...] = ()
    if behaviour in ("varies", "stuck"):
        spikes = tuple(sorted(r for rows in groups for r in _spikes(values, rows)))
        if len(spikes) > max(1, _RARE * len(known)):
            spikes = ()
    return Values(
        count=len(known),
        missing=len(values) - len(known),
        low=float(known.min()),
        median=float(np.median(known)),
        high=float(known.max()),
        distinct=len(np.unique(known)),
        changes=changes,
        behaviour=behaviour,
        run=length,
        run_row=row,
        run_value=float(values[row]),
        spikes=spikes,
        gaps=_gaps(values, groups),
    )


def _behaviour(distinct: int, runs: Sequence[int], count: int, changes: float) -> Behaviour:
    if distinct == 1:
        return "constant"
    run = max(runs)
    outside = count - run
    repeats = outside - (len(runs) - 1)  # pairs of equal neighbours outside the longest run
    p = repeats / outside if outside > 0 else 1.0
    alike = sum(2 * other >= run for other in runs)
    if len(runs) > 3 and p < 1 - _HELD and alike <= _ALIKE:
        expected = math.log(count) / math.log(1 / max(p, 1e-3))
        if run >= max(_SHORT, _STUCK * expected):
            return "stuck"
    return "held" if changes < _HELD else "varies"


def _runs(values: np.ndarray, rows: np.ndarray) -> list[tuple[int, int]]:
    """Length and first row of each run of one value; missing samples are passed over."""
    rows = rows[np.isfinite(values[rows])]
    if not len(rows):
        return []
    starts = np.flatnonzero(np.concatenate([[True], np.diff(values[rows]) != 0]))
    lengths = np.diff(np.concatenate([starts, [len(rows)]]))
    return [(int(n), int(rows[s])) for n, s in zip(lengths, starts, strict=True)]


def _spikes(values: np.ndarray, rows: np.ndarray) -> list[int]:
    """Rows that leave both neighbours to the same side by far more than rows usually differ."""
    rows = rows[np.isfinite(values[rows])]
    if len(rows) < 20:
        return []
    step = np.diff(values[rows])
    usual = 1.4826 * float(np.median(np.abs(step)))
    if usual == 0:
        return []
    left, right = step[:-1], -step[1:]
    out = (left * right > 0) & (np.minimum(np.abs(left), np.abs(right)) > _SPIKE * usual)
    return [int(row) for row in rows[1:-1][out]]


def _gaps(values: np.ndarray, groups: Sequence[np.ndarray]) -> tuple[tuple[int, int], ...]:
    found = []
    for rows in groups:
        gone = np.isnan(values[rows])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], gone.astype(np.int8), [0]])))
        found += [(int(rows[a]), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return tuple(found)
