"""Cells as numbers: what is missing, what is none, what is infinite."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.problems import Problem

# Always a missing sample, in any case of letters; others are stated with missing=.
MISSING = ("", "nan")
# Common in files; a message about them names the way out.
MARKERS = ("na", "n/a", "#n/a", "null", "none", "-", "--", "---", ".", "?", "missing", "bad")

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d*)?|[+-]?[1-9]\d{0,2}(?:\.\d{3})+,\d*")


def numbers(
    column: Column, of: Columns, missing: Sequence[str] = ()
) -> tuple[np.ndarray, list[Problem]]:
    """The cells of a column as float64.

    Args:
        column: The column.
        of: What it is a column of, for the decimal mark and the places.
        missing: Texts that mark a missing sample, beside an empty cell and "nan".

    Returns:
        Shape (rows,), nan where missing or unusable; and the cells that are not finite numbers.
    """
    cells = column.cells
    if not isinstance(cells, list):
        if column.type == "datetime":
            text = "the column holds datetimes; expected numbers. Leave it out, or name it as time."
            return np.full(of.rows, np.nan), [Problem("number", _column(column), text, column.name)]
        return _finite(cells.astype(np.float64), column, of)
    marked = {*MISSING, *(str(m).strip().lower() for m in missing)}
    quick = _quick(cells, of.decimal, marked)
    if quick is not None:
        return _finite(quick, column, of)
    values = np.full(len(cells), np.nan)
    problems = []
    for row, cell in enumerate(cells):
        cell = cell.strip()
        if cell.lower() in marked:
            continue
        value = number(cell, of.decimal)
        if value is None:
            text = f"{cell!r} is not a number.{_advice(cell, of.decimal)}"
            place = of.place(row, column.name)
            problems.append(Problem("number", place, text, column.name, row))
        else:
            values[row] = value
    values, infinite = _finite(values, column, of)
    return values, sorted([*problems, *infinite], key=lambda p: p.row)


def number(cell: str, decimal: str = ".") -> float | None:
    """One cell as a number, or None; infinities are numbers here."""
    text = cell.strip()
    if decimal == "," and "." not in text:
        text = text.replace(",", ".")
    if _NUMBER.fullmatch(text):
        return float(text)
    bare = text.lower().lstrip("+-")
    if bare in ("inf", "infinity"):
        return -np.inf if text.startswith("-") else np.inf
    return None


def _quick(cells: list[str], decimal: str, marked: set[str]) -> np.ndarray | None:
    """The cells by one call of ``float``, or None where a look at each is needed."""
    joined = "\n".join(cells)
    # float() takes 1_000 and the digits of other scripts; a record does not
    if "_" in joined or not joined.isascii() or (decimal == "," and "." in joined):
        return None
    if decimal == ",":
        cells = [cell.replace(",", ".") for cell in cells]
    try:
        return np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return None


def _finite(values: np.ndarray, column: Column, of: Columns) -> tuple[np.ndarray, list[Problem]]:
    rows = np.flatnonzero(np.isinf(values))
    if not len(rows):
        return values, []
    text = (
        "the value is infinite; no sensor measures that. Correct the cell, or leave it empty for "
        "a missing sample."
    )
    problems = [
        Problem("infinite", of.place(int(row), column.name), text, column.name, int(row))
        for row in rows
    ]
    return np.where(np.isinf(values), np.nan, values), problems


def _advice(cell: str, decimal: str) -> str:
    if cell.lower() in MARKERS:
        return f" Where it marks a missing sample, say so: missing: [{cell!r}]."
    if _THOUSANDS.fullmatch(cell):
        return " Marks between thousands are not read: write the number without them."
    other = "," if decimal == "." else "."
    if number(cell, other) is not None:
        return (
            f" The decimal mark of this file is {decimal!r}; state another with decimal: {other!r}."
        )
    return " Correct the cell, or leave it empty for a missing sample."


def _column(column: Column) -> str:
    return f"column '{column.name}'"
