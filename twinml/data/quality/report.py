"""The findings about a file, as data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from twinml.data.problems import Problem
from twinml.data.quality.clock import Clock
from twinml.data.quality.column import Values

SCHEMA = "data_report/1"
LISTED = 1000  # places written per kind of problem


@dataclass(frozen=True)
class ColumnReport:
    """One column.

    Args:
        name: In the file.
        type: "number", "text" or "datetime".
        unit: Stated, or found in the file; None where there is none.
        values: Of a number column.
        distinct: Different texts of a text column.
        used: Name under which a twin reads it, or "".
        bounds: Declared range in the column's unit, +-inf where there is none.
        outside: Rows beyond the range.
    """

    name: str
    type: str
    unit: str | None = None
    values: Values | None = None
    distinct: int = 0
    used: str = ""
    bounds: tuple[float, float] = (-math.inf, math.inf)
    outside: tuple[int, ...] = ()


@dataclass(frozen=True)
class Finding:
    """Something to look at, with its place; it does not keep the file from being read.

    Args:
        kind: One word for counting.
        column: The column, or "" for the time axis.
        text: What was found, in words.
    """

    kind: str
    column: str
    text: str


@dataclass(frozen=True)
class Report:
    """What a file holds and what is wrong with it.

    Args:
        source: The file.
        digest: sha256 of its bytes.
        rows: Rows of values.
        time: Column of times, "" where there is none.
        time_unit: Unit of the axis.
        start, end: First and last time in words.
        clocks: Time axis of each experiment.
        columns: Every column but the time.
        problems: What a record would be refused for.
        findings: What should be looked at.
        notes: What was found out or assumed.
        lines: Line in the file of each row, (rows,); None where rows are counted from 1.
        counted: What ``lines`` counts, "lines" or "rows".
        axis: Time of each row since the first of its experiment, nan where unknown, (rows,).
        data: Values of the number columns, for drawing.
        groups: Rows of each experiment.
    """

    source: str
    digest: str
    rows: int
    time: str
    time_unit: str
    start: str
    end: str
    clocks: Mapping[str, Clock]
    columns: tuple[ColumnReport, ...]
    problems: tuple[Problem, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    lines: np.ndarray | None = None
    counted: str = "rows"
    axis: np.ndarray = field(default_factory=lambda: np.zeros(0))
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a record would be read as asked for."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain data with its schema; numbers that are not finite become null.

        Places are lines of the file where it has lines, else rows counted from 1.
        """
        counts: dict[str, int] = {}
        listed = []
        for problem in self.problems:
            key = f"{problem.kind}:{problem.column}"
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= LISTED:
                place = None if problem.row < 0 else self._at(problem.row)
                listed.append(asdict(problem) | {"row": place})
        plain = {
            "schema": SCHEMA,
            "source": self.source,
            "sha256": self.digest,
            "usable": self.usable,
            "rows": self.rows,
            "places": self.counted,
            "time": {
                "column": self.time or None, "unit": self.time_unit,
                "start": self.start, "end": self.end,
            },
            "experiments": {name: self._clock(clock) for name, clock in self.clocks.items()},
            "columns": {column.name: self._column(column) for column in self.columns},
            "problem_counts": counts,
            "problems": listed,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip
        return _finite(plain)

    def _at(self, row: int) -> int:
        return row + 1 if self.lines is None else int(self.lines[row])

    def _clock(self, clock: Clock) -> dict[str, Any]:
        events = {
            name: [{"place": self._at(e.row), "size": e.size} for e in getattr(clock, name)]
            for name in ("gaps", "backward", "jumps")
        }
        return asdict(clock) | events | {"repeated": [self._at(row) for row in clock.repeated]}

    def _column(self, column: ColumnReport) -> dict[str, Any]:
        plain = asdict(column)
        del plain["name"]
        values = column.values
        if values is not None:
            plain["values"] |= {
                "run_row": self._at(values.run_row),
                "spikes": [self._at(row) for row in values.spikes],
                "gaps": [[self._at(row), rows] for row, rows in values.gaps],
            }
        return plain | {"outside": [self._at(row) for row in column.outside]}


def _finite(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node
