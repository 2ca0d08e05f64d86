"""All that can be said about the columns of a file, also where a record would be refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from twinml.data.assemble import Request, agreed, chosen, group_rows, order_problems, time_axis
from twinml.data.columns import Column, Columns
from twinml.data.header import bare_name
from twinml.data.numbers import number, numbers
from twinml.data.order import arrange
from twinml.data.problems import Problem
from twinml.data.quality.clock import GAP, Clock, read_clock
from twinml.data.quality.column import Values, read_values
from twinml.data.quality.report import ColumnReport, Finding, Report
from twinml.data.rules import Rules
from twinml.data.time_axis import Axis, read_axis, show_tick
from twinml.errors import DataError, UnitError
from twinml.units import check_unit, conversion, same_dimension

TIME_NAMES = ("time", "datetime", "timestamp", "date", "zeit", "date time", "time stamp")
T = TypeVar("T")
_NAMED = 4  # places that a finding names


def examine(
    found: Columns,
    request: Request,
    rules: Rules,
    used: Mapping[str, str] | None = None,
    bounds: Mapping[str, tuple[float, float, str | None]] | None = None,
) -> Report:
    """Look at a whole file.

    Args:
        found: The columns of the file.
        request: Time column or period, and units by column; a time column is found by its name
            or its content when neither is given.
        rules: As for a record.
        used: Column -> name under which it is used; given, only these are looked at.
        bounds: Column -> declared (low, high, unit); unit None for the column's own.

    Raises:
        DataError: a column that is named and does not exist, unless it is one of ``used``.
    """
    found = chosen(found, rules)
    notes = list(found.notes)
    problems = list(found.problems)
    lost = _lost(found, used or {}, problems)
    stated = _known(found, request.units or {}, lost)
    for name, unit in stated.items():
        check_unit(unit, f"column '{name}' of {found.source}")
    assumed = _known(found, rules.assumed, lost)
    ranges = _known(found, bounds or {}, lost)
    names = None if used is None else _known(found, used, lost)
    clock = _time_column(found, request, notes)
    axis = _axis(found, clock, request, rules, problems, notes)
    labels = [found.find(name) for name in rules.labels]
    try:
        groups = group_rows(found, labels)
    except DataError as error:
        problems.append(Problem("label", "", str(error)))
        groups = {"": np.arange(found.rows)}
    clocks, findings, ordered = {}, [], {}
    for name, rows in groups.items():
        rows = rows[axis.known[rows]]
        if not len(rows):
            continue
        since = axis.since(axis.ticks[rows].min(), rows)
        order = arrange(axis.ticks[rows], rules.late, rules.duplicates)
        asked = Request(time=clock.name if clock else "")
        problems += order_problems(found, axis, rows, order, asked, rules)
        clocks[name] = read_clock(since, rows)
        ordered[name] = rows[np.argsort(axis.ticks[rows], kind="stable")]
        findings += _clock_findings(found, axis.unit, clocks[name], name, rules)
    columns, data = [], {}
    skipped = {c.name for c in [*([clock] if clock else []), *labels]}
    for column in found.columns.values():
        if column.name in skipped or (names is not None and column.name not in names):
            continue
        report = _column(
            found, column, stated.get(column.name), assumed.get(column.name), rules,
            list(ordered.values()) or [np.arange(found.rows)],
            (names or {}).get(column.name, ""), ranges.get(column.name), problems, data,
        )  # fmt: skip
        columns.append(report)
        findings += _column_findings(found, report)
    if not data:
        text = "no column holds numbers; expected at least one beside the times."
        problems.append(Problem("empty", "", text))
    ticks = axis.ticks[axis.known]
    return Report(
        source=found.source,
        digest=found.digest,
        rows=found.rows,
        time=clock.name if clock else "",
        time_unit=axis.unit,
        start=show_tick(ticks.min(), axis.unit) if len(ticks) else "",
        end=show_tick(ticks.max(), axis.unit) if len(ticks) else "",
        clocks=clocks,
        columns=tuple(columns),
        problems=tuple(sorted(problems, key=lambda p: p.row)),
        findings=tuple(findings),
        notes=tuple(notes),
        lines=found.lines,
        counted="rows" if found.lines is None or found.word == "row" else "lines",
        axis=_since_start(axis, groups),
        data=data,
        groups=ordered,
    )


def _time_column(found: Columns, request: Request, notes: list[str]) -> Column | None:
    if request.time is not None:
        return found.find(request.time)
    if request.period is not None:
        return None
    for column in found.columns.values():
        if _called_time(column):
            notes.append(f"time: column '{column.name}', by its name")
            return column
    for column in found.columns.values():
        if column.type == "datetime" or (
            isinstance(column.cells, list) and column.cells[0][:4].isdigit() and
            read_axis(column, found, "s", "UTC").known.mean() > 0.5 and
            number(column.cells[0], found.decimal) is None
        ):  # fmt: skip
            notes.append(f"time: column '{column.name}', since it holds datetimes")
            return column
    notes.append("time: no column looks like it; rows are counted. Name it with --time")
    return None


def _called_time(column: Column) -> bool:
    name = bare_name(column.name)
    if column.unit is not None and not same_dimension(column.unit, "s"):
        return False
    return name == "t" or name.lower().replace("_", " ") in TIME_NAMES  # T is a temperature


def _axis(
    found: Columns,
    clock: Column | None,
    request: Request,
    rules: Rules,
    problems: list[Problem],
    notes: list[str],
) -> Axis:
    """The time axis, as good as it can be had; what is wrong goes to ``problems``."""
    if clock is None:
        period = request.period or 1.0
        unit = request.time_unit or ("s" if request.period else "1")
        return time_axis(found, None, Request(period=period, time_unit=unit), rules)
    try:
        axis = time_axis(found, clock, request, rules)
    except UnitError as error:
        problems.append(Problem("unit", f"column '{clock.name}'", str(error), clock.name))
        axis = read_axis(clock, found, clock.unit or "s", rules.zone, rules.time_format)
    naive = [p for p in axis.problems if p.kind == "zone"]
    if naive:
        text = (
            f"{len(naive)} of {found.rows} times have no time zone, so intervals across a clock "
            "change would be wrong. State it: zone: UTC, or Europe/Berlin, +01:00 ..."
        )
        problems.append(Problem("zone", f"column '{clock.name}'", text, clock.name))
        notes.append("times without a zone are shown as if they were UTC")
        axis = read_axis(clock, found, axis.unit, "UTC", rules.time_format, rules.missing)
    if request.time_unit is None and clock.unit is None and not axis.dated:
        notes.append(
            f"the file states no unit of time; {axis.unit} is assumed until a unit is stated"
        )
    problems += axis.problems
    notes += [note for note in axis.notes if not naive or "UTC" not in note]
    return axis


def _column(
    found: Columns,
    column: Column,
    stated: str | None,
    assumed: str | None,
    rules: Rules,
    groups: list[np.ndarray],
    used: str,
    bounds: tuple[float, float, str | None] | None,
    problems: list[Problem],
    data: dict[str, np.ndarray],
) -> ColumnReport:
    if column.type == "datetime":
        return ColumnReport(column.name, "datetime", used=used)
    values, odd = numbers(column, found, rules.missing)
    if isinstance(column.cells, list) and not used:
        filled = sum(bool(cell.strip()) for cell in column.cells)
        if odd and sum(p.kind == "number" for p in odd) > filled / 2:
            distinct = len({cell.strip() for cell in column.cells})
            return ColumnReport(column.name, "text", distinct=distinct)
    problems += odd
    own = column.unit if rules.header_units else None
    unit = stated or own or assumed
    if stated and column.unit and rules.header_units:
        try:
            agreed(found.source, column, stated)
        except UnitError as error:
            problems.append(Problem("unit", f"column '{column.name}'", str(error), column.name))
            unit = column.unit
    low, high, outside = -math.inf, math.inf, ()
    if bounds is not None:
        low, high, declared = bounds
        try:
            if unit is not None and declared is not None:
                scale, offset = conversion(declared, unit, f"column '{column.name}'")
                low, high = low * scale + offset, high * scale + offset
            beyond = (values < low) | (values > high)
            outside = tuple(int(row) for row in np.flatnonzero(beyond))
        except UnitError as error:
            problems.append(Problem("unit", f"column '{column.name}'", str(error), column.name))
            low, high = -math.inf, math.inf
    data[column.name] = values
    return ColumnReport(
        column.name, "number", unit, read_values(values, groups), 0, used, (low, high), outside
    )


def _lost(found: Columns, used: Mapping[str, str], problems: list[Problem]) -> set[str]:
    """Columns that a twin uses and the file does not have; each is a problem."""
    lost = set()
    for name, known_as in used.items():
        try:
            found.find(name)
        except DataError as error:
            lost.add(name)
            text = str(error).removeprefix(found.source).lstrip(": ")
            problems.append(Problem("column", f"{known_as}", text, name))
    return lost


def _known(found: Columns, by_column: Mapping[str, T], lost: set[str]) -> dict[str, T]:
    """The same under the full names of the columns."""
    return {found.find(n).name: value for n, value in by_column.items() if n not in lost}


def _clock_findings(
    found: Columns, unit: str, clock: Clock, name: str, rules: Rules
) -> list[Finding]:
    """What to look at on the time axis of one experiment."""
    where = f"experiment '{name}': " if name else ""
    at = found.place
    findings = []
    if clock.gaps:
        longest = max(clock.gaps, key=lambda gap: gap.size)
        findings.append(
            Finding(
                "gaps", "",
                f"{where}{_count(len(clock.gaps), 'gap')} longer than {GAP:g} x the median "
                f"interval of {clock.period:.6g} {unit}; the longest, {longest.size:.6g} {unit}, "
                f"ends at {at(longest.row)}; about {_count(clock.absent, 'row')} absent",
            )
        )  # fmt: skip
    if clock.backward and rules.late != "refuse":
        text = _places([at(e.row) for e in clock.backward])
        findings.append(
            Finding("late", "", f"{where}{_count(len(clock.backward), 'late row')}: {text}")
        )
    if clock.repeated and rules.duplicates != "refuse":
        text = _places([at(row) for row in clock.repeated])
        findings.append(
            Finding(
                "repeated", "", f"{where}{_count(len(clock.repeated), 'repeated time')}: {text}"
            )
        )
    for jump in clock.jumps:
        word = "forward" if jump.size > 0 else "back"
        findings.append(
            Finding(
                "jump", "",
                f"{where}the clock is shifted {word} by {abs(jump.size):.6g} {unit} against its "
                f"own grid from {at(jump.row)} on",
            )
        )  # fmt: skip
    return findings


def _column_findings(found: Columns, report: ColumnReport) -> list[Finding]:
    values = report.values
    if values is None:
        return []
    name, findings = report.name, []
    unit = "" if report.unit in (None, "1") else f" {report.unit}"
    if values.missing:
        text = f"{values.missing} of {found.rows} samples are missing"
        if values.gaps:  # rows without a time lie in no stretch
            longest = max(values.gaps, key=lambda gap: gap[1])
            text += (
                f" in {_count(len(values.gaps), 'stretch', 'es')}; the longest, "
                f"{_count(longest[1], 'row')}, begins at "
                f"{found.place(longest[0])}"
            )
        findings.append(Finding("missing", name, text))
    if values.behaviour == "stuck":
        edge = _edge(values)
        findings.append(
            Finding(
                "stuck", name,
                f"stands at {values.run_value:.6g}{unit}{edge} for {values.run} rows from "
                f"{found.place(values.run_row)} on, though it otherwise changes",
            )
        )  # fmt: skip
    if values.behaviour == "constant" and values.count > 1:
        findings.append(Finding("constant", name, f"is {values.low:.6g}{unit} throughout"))
    if values.spikes:
        text = _places([found.place(row) for row in values.spikes])
        findings.append(
            Finding("spikes", name, f"{len(values.spikes)} values leave both neighbours: {text}")
        )
    if report.outside:
        low, high = report.bounds
        text = _places([found.place(row) for row in report.outside])
        findings.append(
            Finding(
                "range", name,
                f"{len(report.outside)} values lie outside [{low:g}, {high:g}]{unit}: {text}",
            )
        )  # fmt: skip
    return findings


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _edge(values: Values) -> str:
    if values.run_value == values.high:
        return ", its largest value (a limit of the sensor?),"
    return (
        ", its smallest value (a limit of the sensor?)," if values.run_value == values.low else ""
    )


def _places(places: list[str]) -> str:
    rest = len(places) - _NAMED
    return ", ".join(places[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _since_start(axis: Axis, groups: Mapping[str, np.ndarray]) -> np.ndarray:
    out = np.full(len(axis.ticks), np.nan)
    for rows in groups.values():
        rows = rows[axis.known[rows]]
        if len(rows):
            out[rows] = axis.since(axis.ticks[rows].min(), rows)
    return out
