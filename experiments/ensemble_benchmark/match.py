"""Tolerances at which a peer is as exact as the one it is compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from contestants.base import AbstractContestant, Skipped
from measure import Entry, enter

CLOSE = 1.5  # errors within this factor count as equal
TRIES = 4


def equal_error(entries: Sequence[Entry], truth: Any) -> list[Entry]:
    """Further entries, with tolerances changed until the median error meets the leader's.

    The leader is twinml, or the reference where twinml did not run. Fixed steps stay as they are.
    """
    leader = next(
        (e for name in ("twinml", "reference (C++)") for e in entries if e.contestant.name == name),
        None,
    )
    if leader is None or leader.problem.steps:
        return []
    found = []
    for entry in entries:
        if entry is leader or _close(entry, leader):
            continue
        matched = _matched(entry, leader.error.median, truth)
        if matched is not None:
            matched.label = "at equal error"
            found.append(matched)
    return found


def _close(entry: Entry, leader: Entry) -> bool:
    ratio = entry.error.median / leader.error.median
    return 1 / CLOSE <= ratio <= CLOSE


def _matched(entry: Entry, wanted: float, truth: Any) -> Entry | None:
    """Secant search on log(error) over log(tolerance), from the slope one."""
    contestant: AbstractContestant = entry.contestant
    known = [(math.log(entry.tolerance), math.log(entry.error.median))]
    best: Entry | None = None
    for _ in range(TRIES):
        slope = 1.0
        if len(known) > 1:
            (x0, y0), (x1, y1) = known[-2:]
            slope = (y1 - y0) / (x1 - x0) if x1 != x0 and y1 != y0 else 1.0
            slope = min(max(slope, 0.3), 3.0)
        x, y = known[-1]
        tolerance = math.exp(x + (math.log(wanted) - y) / slope)
        if not 1e-12 < tolerance < 1e-1:
            return best
        try:
            fresh = enter(contestant, entry.problem, truth, tolerance, [entry.rows])
        except Skipped:  # it cannot go there
            return best
        if best is None or _miss(fresh, wanted) < _miss(best, wanted):
            best = fresh
        if 1 / CLOSE <= fresh.error.median / wanted <= CLOSE:
            return fresh
        known.append((math.log(tolerance), math.log(fresh.error.median)))
    return best


def _miss(entry: Entry, wanted: float) -> float:
    return abs(math.log(entry.error.median / wanted))
