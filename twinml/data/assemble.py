"""Columns become a record: time, units, numbers, experiments, order, in this one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.numbers import numbers
from twinml.data.order import Order, arrange
from twinml.data.problems import Problem, refuse
from twinml.data.record import Record
from twinml.data.rules import Rules
from twinml.data.table import Table
from twinml.data.time_axis import Axis, counted, read_axis, show_tick
from twinml.errors import DataError, UnitError, nearest
from twinml.units import check_unit, conversion


@dataclass(frozen=True)
class Request:
    """What is asked of a file.

    Args:
        time: Column of times, or None.
        time_unit: Unit of the time axis, or None.
        columns: Name in the record -> column of the file; None takes every column as it is.
        units: Unit per name.
        kinds: "hold" or "linear" for inputs.
        period: Time between rows, for a file without a time column.
    """

    time: str | None = None
    time_unit: str | None = None
    columns: Mapping[str, str] | None = None
    units: Mapping[str, str] | None = None
    kinds: Mapping[str, str] | None = None
    period: float | None = None

    @property
    def wanted(self) -> list[str] | None:
        """Columns that will be used, time first; None where all are."""
        first = [] if self.time is None else [self.time]
        return None if self.columns is None and not first else [
            *first, *(self.columns or {}).values()
        ]  # fmt: skip


def assemble(found: Columns, request: Request, rules: Rules) -> Record:
    """The record that columns hold.

    Raises:
        DataError: a missing column, a cell that is no number, times that cannot be used.
        UnitError: a stated unit contradicts the file.
    """
    source = found.source
    if (request.time is None) == (request.period is None):
        raise DataError(
            f"{source}: say where time comes from, either the column (time=...) or the time "
            f"between rows (period=...), and not both. Columns: {found.names}."
        )
    found = chosen(found, rules)
    clock = None if request.time is None else found.find(request.time)
    labels = [found.find(name) for name in rules.labels]
    apart = {c.name for c in ([clock] if clock else []) + labels}
    wanted = request.columns
    if wanted is None:
        wanted = {name: name for name in found.names if name not in apart}
    columns = {name: found.find(column) for name, column in wanted.items()}
    _check_names(source, request, rules, columns)
    refuse(source, found.problems)
    units, notes = _units(source, columns, request, rules)
    axis = time_axis(found, clock, request, rules)
    refuse(source, axis.problems)
    data: dict[str, np.ndarray] = {}
    problems: list[Problem] = []
    for name, column in columns.items():
        data[name], odd = numbers(column, found, rules.missing)
        problems += odd
    refuse(source, problems)
    groups = group_rows(found, labels)
    orders = {
        name: arrange(axis.ticks[rows], rules.late, rules.duplicates)
        for name, rows in groups.items()
    }
    problems = [
        problem
        for name, rows in groups.items()
        for problem in order_problems(found, axis, rows, orders[name], request, rules)
    ]
    refuse(source, sorted(problems, key=lambda p: p.row))
    return _build(found, request, rules, axis, data, units, groups, orders, notes)


def chosen(found: Columns, rules: Rules) -> Columns:
    """The rows of the one experiment that is asked for, or all.

    Raises:
        DataError: no such experiment, or nothing that labels experiments.
    """
    if rules.experiment is None:
        return found
    if not rules.labels:
        raise DataError(
            f"{found.source}: experiment '{rules.experiment}' is asked for, and nothing labels "
            "experiments in it. Name the column that does: experiments: <column>."
        )
    groups = group_rows(found, [found.find(name) for name in rules.labels])
    if rules.experiment not in groups:
        raise DataError(
            f"{found.source} holds no experiment '{rules.experiment}'; it holds "
            f"{', '.join(groups)}.{nearest(rules.experiment, groups)}"
        )
    return found.take(groups[rules.experiment])


def time_axis(found: Columns, clock: Column | None, request: Request, rules: Rules) -> Axis:
    """The time axis asked for.

    Raises:
        UnitError: the stated unit contradicts the file.
    """
    if clock is None:
        assert request.period is not None
        if not (np.isfinite(request.period) and request.period > 0):
            raise DataError(
                f"{found.source}: period={request.period!r} cannot be used; expected a positive "
                "time between rows."
            )
        return counted(found.rows, request.period, request.time_unit or rules.assumed_time)
    unit = request.time_unit or rules.assumed_time
    if clock.type != "datetime" and clock.unit is not None and rules.header_units:
        unit = agreed(found.source, clock, request.time_unit)
    check_unit(unit, f"the time axis of {found.source}")
    return read_axis(clock, found, unit, rules.zone, rules.time_format, rules.missing)


def agreed(source: str, column: Column, stated: str | None) -> str:
    """The unit of a column whose file states one.

    Raises:
        UnitError: another one is stated.
    """
    assert column.unit is not None
    if stated is None or stated == column.unit:
        return column.unit
    text = f"column '{column.name}' of {source}"
    try:
        scale, offset = conversion(column.unit, stated, text)
        same = abs(scale - 1) < 1e-12 and offset == 0
    except UnitError:
        check_unit(stated, text)
        same = False
    if not same:
        raise UnitError(
            f"{text} is in {column.unit!r} by its header, but {stated!r} is stated. State "
            f"{column.unit!r} (or nothing), or header_units: false where the header is wrong."
        )
    return stated


def group_rows(found: Columns, labels: Sequence[Column]) -> dict[str, np.ndarray]:
    """Rows of each experiment, in the order in which experiments first appear."""
    if not labels:
        return {"": np.arange(found.rows)}
    texts = [_texts(column) for column in labels]
    places: dict[str, list[int]] = {}
    for row, parts in enumerate(zip(*texts, strict=True)):
        if not all(parts):
            name = labels[parts.index("")].name
            text = "the experiment is missing; every row needs a label."
            refuse(found.source, [Problem("label", found.place(row, name), text, name, row)])
        places.setdefault("/".join(parts), []).append(row)
    return {key: np.array(rows) for key, rows in places.items()}


def order_problems(
    found: Columns, axis: Axis, rows: np.ndarray, order: Order, request: Request, rules: Rules
) -> list[Problem]:
    """Times that run backwards or repeat, as far as the rules refuse them."""
    column = request.time or ""
    problems = []
    ticks = axis.ticks[rows]
    if rules.late == "refuse":
        tops = np.maximum.accumulate(ticks)
        for index in order.late:
            text = (
                f"the time runs backwards (from {show_tick(tops[index - 1], axis.unit)} to "
                f"{show_tick(ticks[index], axis.unit)}); expected increasing times. State what "
                "holds for rows that arrive late: late: sort, or late: set_aside."
            )
            row = int(rows[index])
            problems.append(Problem("late", found.place(row, column), text, column, row))
    if rules.duplicates == "refuse":
        for index in order.repeated:
            text = (
                f"the time repeats ({show_tick(ticks[index], axis.unit)}); expected one row per "
                "time. State which one counts: duplicates: first, last or mean."
            )
            row = int(rows[index])
            problems.append(Problem("repeated", found.place(row, column), text, column, row))
    return problems


def _check_names(
    source: str, request: Request, rules: Rules, columns: Mapping[str, Column]
) -> None:
    for what, given in (("a unit", request.units), ("a kind", request.kinds), ("fill", rules.fill)):
        for name in given or ():
            if name not in columns:
                raise DataError(
                    f"{source}: {what} is given for '{name}', which is not read; names are "
                    f"{list(columns)}." + nearest(name, columns)
                )


def _units(
    source: str, columns: Mapping[str, Column], request: Request, rules: Rules
) -> tuple[dict[str, str], list[str]]:
    """Unit of every name: as stated, as the file states, as assumed, "1"."""
    units, notes = {}, []
    for name, column in columns.items():
        stated = (request.units or {}).get(name)
        if column.unit is not None and rules.header_units:
            units[name] = agreed(source, column, stated)
            if stated is None:
                notes.append(f"unit of '{column.name}' read from the file: {column.unit}")
        else:
            units[name] = stated or rules.assumed.get(name, "1")
    return units, notes


def _build(
    found: Columns,
    request: Request,
    rules: Rules,
    axis: Axis,
    data: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    groups: Mapping[str, np.ndarray],
    orders: Mapping[str, Order],
    notes: list[str],
) -> Record:
    notes = [*found.notes, *axis.notes, *notes]
    times: list[np.ndarray] = []
    values: dict[str, list[np.ndarray]] = {name: [] for name in data}
    parts: dict[str, int] = {}
    aside: dict[str, list[Any]] = {
        "experiment": [],
        "row": [],
        "place": [],
        "reason": [],
        "time": [],
    }
    late = repeated = 0
    start = ""
    for label, rows in groups.items():
        order = orders[label]
        kept = rows[order.rows]
        zero = axis.ticks[kept[0]]
        start = start or show_tick(zero, axis.unit)
        parts[label] = sum(map(len, times))
        times.append(axis.since(zero, kept))
        for name, column in data.items():
            chosen = column[kept].copy()
            for position, merged in order.merged.items():
                same = column[rows[merged]]
                known = same[np.isfinite(same)]
                chosen[position] = known.mean() if len(known) else np.nan
            values[name].append(chosen)
        late, repeated = late + len(order.late), repeated + len(order.repeated)
        for index, reason in order.aside.items():
            row = int(rows[index])
            aside["experiment"].append(label)
            aside["row"].append(row)
            aside["place"].append(found.place(row))
            aside["reason"].append(reason)
            aside["time"].append(float(axis.since(zero, np.array([row]))[0]))
    places = np.array(aside["row"], dtype=np.int64)
    table = Table(
        {
            **{name: np.array(cells) for name, cells in aside.items()},
            **{name: column[places] for name, column in data.items() if name not in aside},
        },
        {"time": axis.unit, **{n: u for n, u in units.items() if n not in aside}},
    )
    counts = {"late": late, "repeated": repeated, "set_aside": len(places)}
    if late:
        word = "put in place" if rules.late == "sort" else "set aside"
        notes.append(f"{late} late row{'' if late == 1 else 's'} {word}")
    if repeated:
        notes.append(f"{repeated} rows repeat a time: duplicates: {rules.duplicates}")
    record = Record(
        np.concatenate(times),
        {name: np.concatenate(pieces) for name, pieces in values.items()},
        units,
        axis.unit,
        dict(request.kinds or {}),
        found.source,
        parts if rules.labels else {},
        tuple(notes),
        table,
        counts,
        start,
        found.digest,
    )  # fmt: skip
    return record.filled(rules.fill) if rules.fill else record


def _texts(column: Column) -> list[str]:
    if isinstance(column.cells, list):
        return [cell.strip() for cell in column.cells]
    if column.type == "datetime":
        return ["" if np.isnat(cell) else str(cell) for cell in column.cells]
    return ["" if np.isnan(cell) else f"{cell:.15g}" for cell in column.cells]
