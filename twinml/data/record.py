"""Measured columns with units on a time axis."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import final

import numpy as np

from twinml.errors import DataError, ShapeError, nearest
from twinml.units import check_unit, convert


@final
@dataclass(frozen=True, eq=False)
class Record:
    """What sensors recorded: columns by name, a time axis that starts at zero.

    Args:
        time: Times in ``time_unit``, shape (T,), strictly increasing; zero is the first row.
        columns: Values by name, shape (T,); nan marks a missing sample.
        units: Unit of every column.
        time_unit: Unit of ``time``.
        kinds: "hold" or "linear" for columns that drive an input.
        source: Where the record came from.

    Raises:
        ShapeError: a column and the time axis disagree on T.
        DataError: times that repeat or run backwards, an empty record.
    """

    time: np.ndarray
    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    time_unit: str = "s"
    kinds: Mapping[str, str] = field(default_factory=dict)
    source: str = "memory"

    def __post_init__(self) -> None:
        time = np.asarray(self.time, dtype=np.float64)
        if time.ndim != 1 or len(time) == 0:
            raise DataError(
                f"{self.source} holds no samples (times of shape {time.shape}); expected at least "
                "one row of measured values."
            )
        columns = {name: np.asarray(v, dtype=np.float64) for name, v in self.columns.items()}
        for name, values in columns.items():
            if values.shape != time.shape:
                raise ShapeError(
                    f"column '{name}' of {self.source} has shape {values.shape}; expected "
                    f"{time.shape}, one value per time."
                )
            check_unit(self.units.get(name, "1"), f"column '{name}' of {self.source}")
        check_unit(self.time_unit, f"the time axis of {self.source}")
        if not np.isfinite(time).all():
            row = int(np.flatnonzero(~np.isfinite(time))[0]) + 1
            raise DataError(
                f"{self.source}, sample {row}: the time is missing; every row needs one."
            )
        back = np.flatnonzero(np.diff(time) <= 0)
        if len(back):
            row = int(back[0]) + 2
            word = "repeats" if time[row - 1] == time[row - 2] else "runs backwards"
            raise DataError(
                f"{self.source}, sample {row}: the time {word} (from {time[row - 2]:g} to "
                f"{time[row - 1]:g} {self.time_unit}); expected strictly increasing times. Sort "
                "the rows and keep one per time."
            )
        object.__setattr__(self, "time", time - time[0])
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "units", {name: self.units.get(name, "1") for name in columns})

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise DataError(
                f"{self.source} has no column '{name}'; it has {list(self.columns)}."
                + nearest(name, self.columns)
            )
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def values_in(self, name: str, unit: str) -> np.ndarray:
        """A column expressed in ``unit``.

        Raises:
            UnitError: the dimensions differ.
        """
        return convert(self[name], self.units[name], unit, f"column '{name}' of {self.source}")

    def time_in(self, unit: str) -> np.ndarray:
        """Times expressed in ``unit``, starting at zero."""
        return convert(self.time, self.time_unit, unit, f"the time axis of {self.source}")

    def head(self, rows: int) -> Record:
        """The first ``rows`` samples."""
        return Record(
            self.time[:rows], {name: v[:rows] for name, v in self.columns.items()}, self.units,
            self.time_unit, self.kinds, self.source,
        )  # fmt: skip

    @property
    def digest(self) -> str:
        """sha256 of names, units, times and values."""
        total = hashlib.sha256()
        total.update(f"record/1 {self.time_unit}".encode())
        total.update(self.time.astype("<f8").tobytes())
        for name in sorted(self.columns):
            total.update(f"{name} {self.units[name]} {self.kinds.get(name, '')}".encode())
            total.update(self.columns[name].astype("<f8").tobytes())
        return total.hexdigest()

    @classmethod
    def from_csv(
        cls,
        path: str | Path,
        time: str | None = None,
        time_unit: str = "s",
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        kinds: Mapping[str, str] | None = None,
        period: float | None = None,
    ) -> Record:
        """Read a CSV file with a header line.

        Args:
            path: The file; lines that begin with ``#`` before the header are remarks.
            time: Column of times: numbers in ``time_unit`` or ISO datetimes with a zone. The
                first row becomes zero.
            time_unit: Unit of the time axis.
            columns: Name in the record -> column of the file; None takes every column as it is.
            units: Unit per name; "1" where absent.
            kinds: "hold" or "linear" for inputs.
            period: Time between rows, for a file without a time column.

        Returns:
            The record; empty cells are nan.

        Raises:
            DataError: missing file or column, a cell that is not a number (row and column are
                named), times that repeat or run backwards.
        """
        path = Path(path)
        header, rows, first_line = _read(path)
        if (time is None) == (period is None):
            raise DataError(
                f"{path}: say where time comes from, either the column (time=...) or the time "
                f"between rows (period=...), and not both. Columns: {header}."
            )
        wanted = dict(columns) if columns is not None else {h: h for h in header if h != time}
        for column in [*wanted.values(), *([time] if time is not None else [])]:
            if column not in header:
                raise DataError(
                    f"{path} has no column '{column}'; it has {header}." + nearest(column, header)
                )
        for name in units or {}:
            if name not in wanted:
                raise DataError(
                    f"{path}: a unit is given for '{name}', which is not read; names are "
                    f"{list(wanted)}." + nearest(name, wanted)
                )
        if time is None:
            assert period is not None
            axis = np.arange(len(rows), dtype=np.float64) * period
        else:
            axis = _times(path, rows, header.index(time), time, time_unit, first_line)
        data = {
            name: _numbers(path, rows, header.index(column), column, first_line)
            for name, column in wanted.items()
        }
        return cls(axis, data, dict(units or {}), time_unit, dict(kinds or {}), str(path))


def _read(path: Path) -> tuple[list[str], list[list[str]], int]:
    """Header, rows and the line number of the first row."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"{path} does not exist; expected a CSV file with a header line.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read as text: {error}.") from None
    lines = text.splitlines()
    skipped = 0
    while skipped < len(lines) and (lines[skipped].startswith("#") or not lines[skipped].strip()):
        skipped += 1
    table = [row for row in csv.reader(lines[skipped:])]
    if not table:
        raise DataError(f"{path} is empty; expected a header line and at least one row of values.")
    header = [name.strip() for name in table[0]]
    repeated = {name for name in header if name and header.count(name) > 1}
    if repeated:
        raise DataError(f"{path} names column {sorted(repeated)} twice; give each its own name.")
    rows = []
    for offset, row in enumerate(table[1:]):
        if not any(cell.strip() for cell in row):
            continue
        extra = any(cell.strip() for cell in row[len(header) :])
        if extra or len(row) + 1 < len(header):
            raise DataError(
                f"{path}, line {skipped + offset + 2}: {len(row)} cells, but the header has "
                f"{len(header)} columns. Complete or remove the line."
            )
        rows.append([*row, *[""] * (len(header) - len(row))])
    if not rows:
        raise DataError(f"{path} has a header and no rows; expected at least one row of values.")
    return header, rows, skipped + 2


def _numbers(
    path: Path, rows: list[list[str]], index: int, column: str, first_line: int
) -> np.ndarray:
    values = np.empty(len(rows))
    for number, row in enumerate(rows):
        cell = row[index].strip()
        if not cell:
            values[number] = math.nan
            continue
        try:
            values[number] = float(cell)
        except ValueError:
            raise DataError(
                f"{path}, line {first_line + number}, column '{column}': {cell!r} is not a number. "
                "Correct the cell, or leave it empty for a missing sample."
            ) from None
    return values


def _times(
    path: Path, rows: list[list[str]], index: int, column: str, unit: str, first_line: int
) -> np.ndarray:
    first = rows[0][index].strip()
    try:
        float(first)
    except ValueError:
        return _datetimes(path, rows, index, column, unit, first_line)
    values = _numbers(path, rows, index, column, first_line)
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        raise DataError(
            f"{path}, line {first_line + int(missing[0])}, column '{column}': the time is missing; "
            "every row needs one."
        )
    return values


def _datetimes(
    path: Path, rows: list[list[str]], index: int, column: str, unit: str, first_line: int
) -> np.ndarray:
    seconds = np.empty(len(rows))
    origin: datetime | None = None
    for number, row in enumerate(rows):
        cell = row[index].strip()
        where = f"{path}, line {first_line + number}, column '{column}'"
        try:
            moment = datetime.fromisoformat(cell)
        except ValueError:
            raise DataError(
                f"{where}: {cell!r} is neither a number nor an ISO datetime such as "
                "2026-03-01T12:00:00+01:00."
            ) from None
        if moment.tzinfo is None:
            raise DataError(
                f"{where}: {cell!r} has no time zone, so intervals across a clock change would be "
                "wrong. Write the offset, as in 2026-03-01T12:00:00+01:00 or ...Z."
            )
        origin = origin or moment
        seconds[number] = (moment - origin).total_seconds()
    return convert(seconds, "s", unit, f"the time axis of {path}")
