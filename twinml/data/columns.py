"""What a file holds before it means anything: named columns of raw cells, with their places."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import final

import numpy as np

from twinml.data.header import bare_name
from twinml.data.problems import Problem
from twinml.errors import DataError, nearest


@final
@dataclass(frozen=True, eq=False)
class Column:
    """One column as it is stored.

    Args:
        name: Its name in the file.
        cells: Text as a list of str; numbers as float64, nan where absent; moments as
            datetime64[ns], NaT where absent.
        unit: Unit that the file itself states, or None.
        zoned: Moments are instants in UTC, not clock readings of an unknown place.
    """

    name: str
    cells: list[str] | np.ndarray
    unit: str | None = None
    zoned: bool = False

    @property
    def type(self) -> str:
        """ "text", "number" or "datetime"."""
        if isinstance(self.cells, list):
            return "text"
        return "datetime" if self.cells.dtype.kind == "M" else "number"


@final
@dataclass(frozen=True, eq=False)
class Columns:
    """Columns of one file or frame, all of ``rows`` cells.

    Args:
        source: What to call it in messages.
        columns: In the order of the file.
        rows: Number of rows.
        lines: Line in the file of each row, (rows,); None where rows are counted from 1.
        word: What ``lines`` counts, "line" or "row".
        decimal: Decimal mark of numbers written as text, "." or ",".
        notes: What was found out about the file, such as its delimiter.
        problems: Rows that do not fit the header.
        unread: Columns that hold no numbers or text, and why.
        digest: sha256 of the bytes of the file, "" for a frame.
    """

    source: str
    columns: Mapping[str, Column]
    rows: int
    lines: np.ndarray | None = None
    decimal: str = "."
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    word: str = "line"

    @property
    def names(self) -> list[str]:
        return list(self.columns)

    def place(self, row: int, column: str = "") -> str:
        """Where a cell is, in words."""
        where = f"row {row + 1}" if self.lines is None else f"{self.word} {int(self.lines[row])}"
        return f"{where}, column '{column}'" if column else where

    def take(self, rows: np.ndarray) -> Columns:
        """The same with some of the rows, whose places stay what they are."""
        columns = {
            name: replace(
                column,
                cells=[column.cells[row] for row in rows]
                if isinstance(column.cells, list)
                else column.cells[rows],
            )
            for name, column in self.columns.items()
        }
        new = {int(row): index for index, row in enumerate(rows)}
        problems = [replace(p, row=new[p.row]) for p in self.problems if p.row in new]
        counted = np.arange(1, self.rows + 1) if self.lines is None else self.lines
        return replace(
            self,
            columns=columns,
            rows=len(rows),
            lines=counted[rows],
            word=self.word if self.lines is not None else "row",
            problems=tuple(problems),
        )

    def find(self, name: str) -> Column:
        """The column called ``name``, in full or without the unit behind it.

        Raises:
            DataError: no such column, or one that cannot be read.
        """
        if name in self.columns:
            return self.columns[name]
        if name in self.unread:
            raise DataError(f"{self.source}: column '{name}' {self.unread[name]}.")
        bare = [column for full, column in self.columns.items() if bare_name(full) == name]
        if len(bare) == 1:
            return bare[0]
        raise DataError(
            f"{self.source} has no column '{name}'; it has {self.names}."
            + nearest(name, self.names)
        )
