"""Rows of a sweep or table, made ready for learning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinml.data.split import split_rows
from twinml.data.table import Table
from twinml.errors import ArgumentError, DataError, SurrogateError, nearest
from twinml.solve.status import FAILURE

PARTS = ("train", "calibration", "selection", "test")
DEFAULT_SPLIT: Mapping[str, int | float] = {
    "train": 0.5,
    "calibration": 0.1,
    "selection": 0.1,
    "test": 0.3,
}


@dataclass(frozen=True, eq=False)
class Rows:
    """Usable rows, cut into disjoint parts.

    Attributes:
        inputs, targets: Column names.
        parts: Part to table with these columns; rows in hash order.
        dropped: Rows left out: "failed" (a failure bit in ``status``), "not_finite" (a value is nan
            or infinite, for example the time of something that never happened).
        worst: The column with the most values that are not finite; None where all are.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    parts: Mapping[str, Table]
    dropped: Mapping[str, int]
    worst: str | None = None

    def x(self, part: str) -> np.ndarray:
        """Inputs of a part, shape (n, k), float64."""
        return _matrix(self.parts[part], self.inputs)

    def y(self, part: str) -> np.ndarray:
        """Targets of a part, shape (n, m), float64."""
        return _matrix(self.parts[part], self.targets)


def prepare_rows(
    source: Any,
    inputs: Sequence[str],
    targets: Sequence[str],
    split: Mapping[str, int | float] | None = None,
    seed: int = 0,
) -> Rows:
    """Drop what cannot be learned from, then cut by a hash of the ``sample`` ids.

    Args:
        source: A ``Table``, or anything with ``table()`` that returns one, such as a ``Sweep``.
        inputs: Columns to predict from.
        targets: Columns to predict.
        split: Part to rows (int) or fraction (float) of the usable rows; parts are train,
            calibration, selection, test. Default: 0.5, 0.1, 0.1, 0.3.
        seed: Of the cut.

    Raises:
        ArgumentError: A source, name or split that cannot be used.
        SurrogateError: No usable row is left.
    """
    table = _table(source)
    inputs, targets = _names(table, "input", inputs), _names(table, "target", targets)
    both = sorted(set(inputs) & set(targets))
    if both:
        raise ArgumentError(
            f"'{both[0]}' is both an input and a target; expected it on one side, because a "
            "prediction would then be a copy. Take it out of one list."
        )
    sizes = _sizes(split)
    failed = np.zeros(len(table), dtype=bool)
    if "status" in table:
        failed = (table["status"].astype(np.int64) & int(FAILURE)) != 0
    finite = {name: np.isfinite(_numbers(table, name)) for name in (*inputs, *targets)}
    good = ~failed & np.logical_and.reduce(list(finite.values()))
    dropped = {"failed": int(failed.sum()), "not_finite": int((~failed & ~good).sum())}
    worst = min(finite, key=lambda name: int(finite[name].sum()))
    if not good.any():
        raise SurrogateError(
            f"None of the {len(table)} rows can be learned from: {dropped['failed']} failed, "
            f"{dropped['not_finite']} hold a value that is not finite (most often in '{worst}'). "
            "Look at the sweep's status column, or leave that column out."
        )
    ids = table["sample"] if "sample" in table else np.arange(len(table))
    chosen = table.select([*inputs, *targets]).rows(good)
    cut = split_rows(ids[good], sizes, seed)
    parts = {name: chosen.rows(cut[name]) for name in PARTS}
    for name, least in (("train", 2), ("calibration", 1)):
        if len(parts[name]) < least:
            raise ArgumentError(
                f"The {name} part has {len(parts[name])} of {int(good.sum())} usable rows; "
                f"expected at least {least}. Give a larger size for it in split."
            )
    worst = min(finite, key=lambda name: int(finite[name][~failed].sum()))
    return Rows(inputs, targets, parts, dropped, worst if dropped["not_finite"] else None)


def _table(source: Any) -> Table:
    table = source.table() if callable(getattr(source, "table", None)) else source
    if not isinstance(table, Table):
        raise ArgumentError(
            f"The source is a {type(source).__name__}; expected a Sweep or a Table. "
            "Wrap columns as twinml.data.Table({'name': values, ...})."
        )
    return table


def _names(table: Table, role: str, names: Sequence[str]) -> tuple[str, ...]:
    names = (names,) if isinstance(names, str) else tuple(names)
    if not names:
        raise ArgumentError(f"No {role}s are given; expected at least one column name.")
    known = [name for name in table.names if name not in ("sample", "status", "rung")]
    for name in names:
        if name not in known:
            raise ArgumentError(
                f"There is no column '{name}' to use as {role}; the columns are "
                f"{', '.join(known)}.{nearest(name, known)}"
            )
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ArgumentError(f"The {role} '{twice}' is named twice; name it once.")
    return names


def _sizes(split: Mapping[str, int | float] | None) -> dict[str, int | float]:
    split = DEFAULT_SPLIT if split is None else split
    for name in split:
        if name not in PARTS:
            raise ArgumentError(
                f"split has no part '{name}'; its parts are {', '.join(PARTS)}."
                f"{nearest(name, PARTS)}"
            )
    return {name: split.get(name, 0) for name in PARTS}


def _numbers(table: Table, name: str) -> np.ndarray:
    values = table[name]
    if values.dtype.kind not in "fiub":
        raise DataError(
            f"Column '{name}' has type {values.dtype}; expected numbers. Leave it out, or code it "
            "as numbers."
        )
    return values


def _matrix(table: Table, names: Sequence[str]) -> np.ndarray:
    return np.stack([table[name].astype(np.float64) for name in names], axis=1)
