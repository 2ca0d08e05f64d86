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
        seconds: Time of each row since the first of its experiment, nan where unknown, (rows,).
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
    axis: np.ndarray = field(default_factory=lambda: np.zeros(0))
    data: Mapping[str, np.ndarray] = field(default_factory=dict)
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def usable(self) -> bool:
        """Whether a record would be read as asked for."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain data with its schema; numbers that are not finite become null."""
        counts: dict[str, int] = {}
        listed = []
        for problem in self.problems:
            key = f"{problem.kind}:{problem.column}"
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= LISTED:
                listed.append(
                    {k: v for k, v in asdict(problem).items() if k != "row"}
                    | {"row": problem.row + 1 or None}
                )
        plain = {
            "schema": SCHEMA,
            "source": self.source,
            "sha256": self.digest,
            "usable": self.usable,
            "rows": self.rows,
            "time": {
                "column": self.time or None, "unit": self.time_unit,
                "start": self.start, "end": self.end,
            },
            "experiments": {name: asdict(clock) for name, clock in self.clocks.items()},
            "columns": {
                c.name: {k: v for k, v in asdict(c).items() if k != "name"} for c in self.columns
            },
            "problem_counts": counts,
            "problems": listed,
            "findings": [asdict(finding) for finding in self.findings],
            "notes": list(self.notes),
        }  # fmt: skip
        return _finite(plain)


def _finite(node: Any) -> Any:
    if isinstance(node, dict):
        return {str(key): _finite(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [_finite(value) for value in node]
    if isinstance(node, float) and not math.isfinite(node):
        return None
    return node
