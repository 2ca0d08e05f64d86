"""``twinml data FILE``: what a record holds and what is wrong with it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.console import Console
from twinml.cli.tools.arguments import Parser, parse
from twinml.errors import ArgumentError

Ranges = dict[str, tuple[float, float, str | None]]

if TYPE_CHECKING:
    from twinml.cli.twin import TwinKeys
    from twinml.data.assemble import Request
    from twinml.data.quality.report import Report
    from twinml.data.rules import Rules
    from twinml.physics import Physics

SHOWN = 5  # places printed for each kind of problem
LISTED = 10  # findings printed of each kind
EXPERIMENTS = 20  # experiments printed one by one
EPILOG = (
    "Exit code: 0 when a record would be read with what is stated here (findings are printed), "
    "1 when it would be refused (every reason is printed), 2 when the file cannot be read at all."
)


def run(words: Sequence[str]) -> int:
    """Prints the report; exit 1 where a record would be refused."""
    asked = parse(_parser(), words)
    if asked is None:
        return 0
    from twinml.data.atomic import replacing
    from twinml.data.files.open import read_columns
    from twinml.data.quality.examine import examine
    from twinml.units import check_unit

    given = _given(asked)
    file, twin = _file(asked)
    used, bounds = None, {}
    model = None
    if twin is not None:
        from twinml.cli.twin import build_model

        model = build_model(twin)
        used, bounds = _declared(twin, model)
    request, rules, text, format = _stated(given, twin, model)
    bounds = {**bounds, **_ranges(asked.range)}
    if asked.plot and Path(asked.plot).suffix.lower() != ".png":
        raise ArgumentError(f"--plot {asked.plot}: figures are PNG files; end the name with .png.")
    columns = read_columns(file, format, text, request.wanted)
    for name, unit in given.get("units", {}).items():
        check_unit(unit, f"column '{columns.find(name).name}' of {file}")
    for word in asked.range:
        columns.find(word.rpartition("=")[0])
    report = examine(columns, request, rules, used, bounds)
    if asked.json:
        print(json.dumps(report.to_json(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        show(report, Console())
    if asked.plot:
        from twinml.report.record import record_figure

        target = Path(asked.plot)
        with replacing(target) as temporary:
            made = record_figure(temporary.with_suffix(".png"), report)
            made.replace(temporary)
        if not asked.json:
            Console().paths([("figure", target)])
    return 0 if report.usable else 1


def _parser() -> Parser:
    parser = Parser(
        "twinml data",
        description="Says what a record holds: columns, units, gaps, repeats, stuck values, clock "
        "jumps, ranges; and all that is wrong with it, with line numbers.",
        epilog=EPILOG,
        add_help=False,
    )
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", help="CSV, Parquet or MAT file; a twin's own if unset")
    add("--twin", help="look at it as this twin does: its columns, units, bounds and rules")
    add("--config-dir", help="a folder that is searched first for the twin")
    add("--time", help="column of times; found by name or content if unset")
    add("--time-unit", help="unit of the time axis")
    add("--time-format", help="of datetimes that are not ISO 8601, such as '%%d.%%m.%%Y %%H:%%M'")
    add("--zone", help="of datetimes without an offset: UTC, Europe/Berlin, +01:00")
    add("--period", type=float, help="time between rows, for a file without times")
    add("--unit", action="append", default=[], metavar="COLUMN=UNIT", help="unit of a column")
    add("--range", action="append", default=[], metavar="COLUMN=LOW:HIGH", help="range to check")
    add("--experiments", action="append", metavar="COLUMN", help="column that labels experiments")
    add("--experiment", metavar="NAME", help="the one experiment to look at")
    add("--late", help="refuse, sort or set_aside rows whose time runs backwards")
    add("--duplicates", help="refuse, first, last or mean of rows with one time")
    add("--missing", action="append", metavar="TEXT", help="text that marks a missing sample")
    add("--format", help="csv, parquet or mat; by the file's ending if unset")
    add("--delimiter", help="comma, semicolon, tab, bar, space; found if unset")
    add("--decimal", help="decimal mark, '.' or ','; found if unset")
    add("--encoding", help="such as latin-1; utf-8 if unset")
    add("--names", help="names of the columns of a file without a header: a,b,c")
    add("--json", action="store_true", help="print the report as JSON, schema data_report/1")
    add("--plot", metavar="PNG", help="draw every column over time into this file")
    return parser


def _given(asked: Any) -> dict[str, Any]:
    """What the words state, by the names of ``Record.read``."""
    plain = (
        "time", "time_unit", "time_format", "zone", "period", "experiments", "experiment", "late",
        "duplicates", "missing", "format", "delimiter", "decimal", "encoding",
    )  # fmt: skip
    given = {name: getattr(asked, name) for name in plain if getattr(asked, name) is not None}
    if asked.names is not None:
        given["names"] = [name.strip() for name in asked.names.split(",")]
    if asked.unit:
        given["units"] = dict(_pair(word, "--unit", "COLUMN=UNIT") for word in asked.unit)
    return given


def _pair(word: str, flag: str, form: str) -> tuple[str, str]:
    name, sign, value = word.rpartition("=")
    if not sign or not name or not value:
        raise ArgumentError(f"twinml data: {flag} {word!r} cannot be used; expected {form}.")
    return name, value


def _ranges(words: Sequence[str]) -> Ranges:
    found: Ranges = {}
    for word in words:
        name, value = _pair(word, "--range", "COLUMN=LOW:HIGH")
        low, _, high = value.partition(":")
        try:
            found[name] = (float(low or "-inf"), float(high or "inf"), None)
        except ValueError:
            raise ArgumentError(
                f"twinml data: --range {word!r} cannot be used; expected numbers, as in "
                "level=0:10, or level=0: for no upper end."
            ) from None
    return found


def _file(asked: Any) -> tuple[Path, TwinKeys | None]:
    """The file, and the twin it is looked at for."""
    if asked.twin is None:
        if asked.file is None:
            raise ArgumentError("twinml data: name a file, or a twin with --twin.")
        return Path(asked.file), None
    from twinml.cli.compose import compose
    from twinml.cli.overrides import Selection
    from twinml.cli.search import SearchPath
    from twinml.cli.tasks.simulate import TASK, Simulate
    from twinml.cli.twin import data_path

    selection = Selection({"twin": asked.twin})
    search = SearchPath.of(asked.config_dir)
    twin = compose(Simulate, "simulate", TASK.groups, selection, search).typed.twin
    if asked.file is not None:
        return Path(asked.file), twin
    path = data_path(twin)
    if isinstance(path, list):
        raise ArgumentError(
            f"twinml data: twin '{twin.name}' reads several files ({', '.join(path)}); name the "
            "one to look at in front of --twin."
        )
    return path, twin


def _stated(
    given: Mapping[str, Any], twin: TwinKeys | None, model: Physics | None
) -> tuple[Request, Rules, Any, str | None]:
    """What is asked of the file: the words go before the twin's keys."""
    from twinml.data.assemble import Request
    from twinml.data.rules import sort_out

    merged: dict[str, Any] = {}
    if twin is not None and model is not None:
        columns = {**twin.outputs, **twin.inputs}
        time = twin.time
        merged = {
            "time": time.column, "time_unit": time.unit, "period": time.period, "zone": time.zone,
            "time_format": time.format,
            "units": {k.column or n: k.unit for n, k in columns.items() if k.unit is not None},
            "assumed": {k.column or n: model.declared.unit(n) for n, k in columns.items()},
            "assumed_time": model.time_unit,
            **(twin.data.rules() if twin.data is not None else {}),
        }  # fmt: skip
        if "period" in given:
            merged["time"] = None
        if "time" in given:
            merged["period"] = None
    merged |= given
    meaning = {name: merged.pop(name, None) for name in ("time", "time_unit", "units", "period")}
    request = Request(**meaning)
    rules, text, format = sort_out(merged)
    return request, rules, text, format


def _declared(twin: TwinKeys, model: Physics) -> tuple[dict[str, str], Ranges]:
    """Column -> what the twin uses it as, and the declared range where there is one."""
    from twinml.data.quality.declared import output_ranges

    used = {
        keys.column or name: f"{kind} {name}"
        for kind, group in (("output", twin.outputs), ("input", twin.inputs))
        for name, keys in group.items()
    }
    ranges = output_ranges(model)
    bounds: Ranges = {
        keys.column or name: (*ranges[name], model.declared.unit(name))
        for name, keys in twin.outputs.items()
        if name in ranges
    }
    return used, bounds


def show(report: Report, console: Console) -> None:
    """Prints the report as tables and lines."""
    print(f"record {report.source}: {report.rows} rows, {len(report.columns)} columns")
    for note in report.notes:
        print(f"  {note}")
    _show_columns(report, console)
    _show_time(report, console)
    if report.findings:
        print("To look at:")
        _show_findings(report)
    if report.problems:
        print("A record would be refused:")
        _show_problems(report)
    else:
        others = any(column.type != "number" for column in report.columns)
        what = " of its columns of numbers" if others else ""
        print(f"A record{what} would be read as stated.")


def _show_columns(report: Report, console: Console) -> None:
    rows = []
    for column in report.columns:
        values = column.values
        if values is None:
            kind = column.type if column.type != "text" else f"text, {column.distinct} different"
            rows.append([column.name, column.unit or "-", kind, *[None] * 5])
            continue
        numbers = (values.low, values.median, values.high) if values.count else (None,) * 3
        rows.append(
            [
                column.name, column.unit or "-", values.behaviour, values.count, values.missing,
                *numbers,
            ]
        )  # fmt: skip
    heads = ["column", "unit", "kind", "values", "missing", "min", "median", "max"]
    if any(column.used for column in report.columns):
        heads.append("twin's")
        rows = [[*r, c.used or "-"] for r, c in zip(rows, report.columns, strict=True)]
    console.table(heads, rows)


def _show_time(report: Report, console: Console) -> None:
    unit = report.time_unit
    if report.start:
        print(f"Time from {report.start} to {report.end}.")
    heads = (
        "experiment", "rows", f"length [{unit}]", "median step", "shortest", "longest",
        "uneven", "gaps", "repeated", "backward", "jumps",
    )  # fmt: skip
    rows = [
        [
            name or "(all)", clock.rows, clock.end - clock.start, clock.period, clock.shortest,
            clock.longest, f"{100 * clock.irregular:.3g} %", len(clock.gaps), len(clock.repeated),
            len(clock.backward), len(clock.jumps),
        ]
        for name, clock in report.clocks.items()
    ]  # fmt: skip
    console.table(heads, rows[:EXPERIMENTS])
    if len(rows) > EXPERIMENTS:
        print(f"  and {len(rows) - EXPERIMENTS} more experiments")


def _show_findings(report: Report) -> None:
    counts = Counter(finding.kind for finding in report.findings)
    printed: Counter[str] = Counter()
    for finding in report.findings:
        printed[finding.kind] += 1
        if printed[finding.kind] <= LISTED:
            where = f"column '{finding.column}' " if finding.column else ""
            print(f"  {finding.kind}: {where}{finding.text}")
        elif printed[finding.kind] == LISTED + 1:
            print(f"  {finding.kind}: {counts[finding.kind] - LISTED} more; --json lists them.")


def _show_problems(report: Report) -> None:
    counts = Counter((p.kind, p.column) for p in report.problems)
    printed: Counter[tuple[str, str]] = Counter()
    for problem in report.problems:
        key = (problem.kind, problem.column)
        printed[key] += 1
        if printed[key] <= SHOWN:
            print(f"  {problem.sentence('').removeprefix(', ').removeprefix(': ')}")
        elif printed[key] == SHOWN + 1:
            where = f" in column '{problem.column}'" if problem.column else ""
            print(f"  and {counts[key] - SHOWN} more of this kind{where}; --json lists them.")
