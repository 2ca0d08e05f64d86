"""Rows that arrived late and times that occur twice: found, and kept apart by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Late = Literal["refuse", "sort", "set_aside"]
Duplicates = Literal["refuse", "first", "last", "mean"]


@dataclass(frozen=True)
class Order:
    """What the rule makes of the rows.

    Args:
        rows: The rows of the record in order of time.
        merged: Position in ``rows`` -> all rows whose mean stands there.
        late: Rows whose time lies before that of a row above them.
        repeated: Rows whose time a row before them (in order of time) has too.
        aside: Row -> why it is not in the record as it stands.
    """

    rows: np.ndarray
    merged: dict[int, np.ndarray]
    late: np.ndarray
    repeated: np.ndarray
    aside: dict[int, str]


def late_rows(ticks: np.ndarray) -> np.ndarray:
    """Positions of times below the largest time before them."""
    if len(ticks) < 2:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero(ticks[1:] < np.maximum.accumulate(ticks)[:-1]) + 1


def arrange(ticks: np.ndarray, late: Late, duplicates: Duplicates) -> Order:
    """Put rows in order of time.

    Args:
        ticks: Times, (rows,), at least one and none missing.
        late: "sort" puts late rows in their place, "set_aside" leaves them out; so does "refuse",
            where the caller raises.
        duplicates: Of rows with one time, "first" and "last" in the order of the file stay,
            "mean" merges them; "refuse" keeps the first, where the caller raises.
    """
    behind = late_rows(ticks)
    aside: dict[int, str] = {}
    rows = np.arange(len(ticks))
    if late == "sort":
        rows = np.argsort(ticks, kind="stable")
    else:
        aside |= {int(row): "late: its time lies before that of a row above" for row in behind}
        rows = np.setdiff1d(rows, behind)
    new = np.concatenate([[True], ticks[rows[1:]] > ticks[rows[:-1]]])
    repeated = np.sort(rows[~new])
    merged: dict[int, np.ndarray] = {}
    kept = rows[new]
    if len(repeated):
        groups = np.split(rows, np.flatnonzero(new)[1:])
        for position, group in enumerate(groups):
            if len(group) == 1:
                continue
            if duplicates == "mean":
                merged[position] = group
                aside |= {int(r): "repeated: merged into the mean of its time" for r in group}
                continue
            word = "last" if duplicates == "last" else "first"
            kept[position] = group[-1] if word == "last" else group[0]
            reason = f"repeated: the {word} row of its time is kept"
            aside |= {int(row): reason for row in group if row != kept[position]}
    return Order(kept, merged, behind, repeated, dict(sorted(aside.items())))
