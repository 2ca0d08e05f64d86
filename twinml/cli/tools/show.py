"""``twinml show PATH``: what a file or folder of ours holds, in one screen."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinml.cli.console import Console
from twinml.cli.search import SearchPath
from twinml.cli.tools.arguments import Parser, parse
from twinml.cli.tools.origin import origin
from twinml.errors import ArgumentError, ConfigError, DataError

NAMED = "scenario="
METRICS_SHOWN = 40
ROWS_SHOWN = 30


@dataclass(frozen=True)
class Kind:
    """One kind of thing that can be shown."""

    name: str
    matches: Callable[[Path], bool]
    show: Callable[[Path, Console], None]


def run(words: Sequence[str]) -> int:
    """Prints what ``PATH`` holds."""
    parser = Parser(
        "twinml show",
        description=f"Shows what a path holds: {', '.join(k.name for k in KINDS)}.",
        add_help=False,
    )
    parser.add_argument("path", metavar="PATH", help="a file or folder, or scenario=<name>")
    parser.add_argument("--twin", help="draw and cost a scenario for this twin")
    parser.add_argument("--samples", type=int, help="cost a scenario for so many samples (1024)")
    parser.add_argument("--out", help="write the figure of a scenario's marginals (.png)")
    asked = parse(parser, words)
    if asked is None:
        return 0
    path = Path(asked.path)
    if asked.path.startswith(NAMED):
        path = SearchPath.of(None).find("scenario", asked.path.removeprefix(NAMED))
    if path.is_file() and _is_scenario(path):
        from twinml.cli.tools.scenario_page import Asked, show_scenario

        samples = 1024 if asked.samples is None else asked.samples
        show_scenario(path, Asked(asked.twin, samples, asked.out), Console())
        return 0
    for name in ("twin", "samples", "out"):
        if getattr(asked, name) is not None:
            raise ArgumentError(
                f"--{name} is for a scenario, and {path} is none. Leave it out, or name one: "
                "twinml show scenario=isolation."
            )
    if not path.exists():
        raise DataError(f"{path} does not exist. Give {', '.join(k.name for k in KINDS)}.")
    for kind in KINDS:
        if kind.matches(path):
            try:
                kind.show(path, Console())
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{path} is not UTF-8 text ({error.reason}), as every text file of ours is. "
                    "Save it as UTF-8."
                ) from error
            for line in origin(path):
                print(line)
            return 0
    raise DataError(
        f"{path} is nothing that twinml writes or reads; expected one of: "
        f"{', '.join(k.name for k in KINDS)}."
    )


def _is_scenario(path: Path) -> bool:
    """Whether a file holds a scenario, by its keys; one that is no YAML is left to its reader."""
    from twinml.scenario.yaml_file import load_yaml

    if path.suffix not in (".yaml", ".yml"):
        return False
    try:
        content = load_yaml(path)
    except ConfigError:
        return False
    return "model" not in content and "quantities" in content


def _has(*names: str) -> Callable[[Path], bool]:
    return lambda path: path.is_dir() and all((path / name).is_file() for name in names)


def _ends(*endings: str) -> Callable[[Path], bool]:
    return lambda path: path.is_file() and path.suffix in endings


def _runs_below(path: Path) -> list[Path]:
    from twinml.run.directory import PROVENANCE

    return [found.parent for found in sorted(path.rglob(PROVENANCE))] if path.is_dir() else []


def _runs(path: Path, console: Console) -> None:
    from twinml.run import open_run

    found = _runs_below(path)
    rows = []
    for folder in found[-ROWS_SHOWN:]:
        block = open_run(folder, finished=False).provenance()
        choices = " ".join(f"{g}={c}" for g, c in block["choices"].items())
        rows.append([str(folder), block["task"], block["status"], block["started"], choices])
    print(f"folder {path}: {len(found)} runs")
    console.table(("run", "task", "status", "started", "choices"), rows)
    if len(found) > len(rows):
        print(f"  these are the last {len(rows)}")


def _sweep(path: Path, console: Console) -> None:
    from twinml.sweep import open_sweep

    found = open_sweep(path)
    print(
        f"sweep {path}: {found.done:,} of {found.samples:,} samples done, {found.failed:,} failed"
    )
    if not found.done:
        return
    rows = [
        [name, found.summary["units"][name], about.get("mean"), about.get("sd"), about.get("max")]
        for name, about in found.summary["quantities"].items()
    ]
    console.table(("quantity", "unit", "mean", "s.d.", "max"), rows)


def _run(path: Path, console: Console) -> None:
    from twinml.run import open_run
    from twinml.run.directory import METRICS

    opened = open_run(path, finished=False)
    block = opened.provenance()
    code = block.get("exit_code")
    ending = f"{block['status']}, exit {code}" if code else block["status"]
    print(f"run {path}: twinml {block['task']}, {ending}")
    if block.get("error"):
        print(f"  {block['error']}")
    git = block.get("git") or {}
    rows = [
        ["command", "twinml " + " ".join(block["command"])],
        ["choices", " ".join(f"{g}={c}" for g, c in block["choices"].items()) or "none"],
        ["seed", str(block["seed"])],
        ["started", block["started"]],
        ["ended", block.get("ended", "-")],
        ["commit", git.get("commit", "none") + (" (changed)" if git.get("dirty") else "")],
        ["packages", ", ".join(f"{n} {v}" for n, v in block["packages"].items())],
        ["device", ", ".join([block["device"]["cpu"], *block["device"].get("cuda", [])])],
    ]
    console.table(("what", ""), rows)
    if (path / METRICS).is_file():
        metrics = opened.metrics()
        shown = list(metrics.items())[:METRICS_SHOWN]
        console.table(("metric", "value"), [[name, value] for name, value in shown])
        if len(metrics) > len(shown):
            print(f"  and {len(metrics) - len(shown)} more in {path / METRICS}")
    _files(path, console)


def _files(path: Path, console: Console) -> None:
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    rows = [[file.relative_to(path).as_posix(), file.stat().st_size] for file in files]
    console.table(("file", "bytes"), rows[:30])
    if len(rows) > 30:
        print(f"  and {len(rows) - 30} more")


def _multirun(path: Path, console: Console) -> None:
    path = path.parent if path.is_file() else path
    with open(path / "multirun.csv", newline="", encoding="utf-8") as file:
        columns, *rows = csv.reader(file)
    print(f"multirun {path}: {len(rows)} jobs; a job's folder is named in the first column")
    count = next((i for i, name in enumerate(columns) if name == "exit"), 0) + 1
    shown = columns[: count + 6]
    console.table(shown, [row[: len(shown)] for row in rows])
    if len(columns) > len(shown):
        print(f"  and {len(columns) - len(shown)} more columns in {path / 'multirun.csv'}")


def _artifact(path: Path, console: Console) -> None:
    from twinml.export import read_artifact

    console.table(("what", ""), [list(row) for row in read_artifact(path).describe()])


def _surrogate(path: Path, console: Console) -> None:
    from twinml.surrogate import load_surrogate

    found = load_surrogate(path)
    rows = [
        ["kind", found.kind],
        ["level", found.level],
        *([f"input {name}", unit] for name, unit in found.input_units.items()),
        *([f"target {name}", unit] for name, unit in found.target_units.items()),
        *([f"{part} rows", count] for part, count in found.training["rows"].items()),
    ]
    print(f"surrogate {path}; twinml export run={path.parent} writes it as an artifact")
    console.table(("what", ""), [[name, str(value)] for name, value in rows])


def _measured(path: Path, console: Console) -> None:
    """A file of measured values: its first rows as they stand."""
    from twinml.data.files.open import read_columns

    found = read_columns(path)
    print(f"{path.suffix[1:]} file {path}: {found.rows} rows; twinml data {path} examines it")
    for note in found.notes:
        print(f"  {note}")
    cells = [[str(cell) for cell in c.cells[:ROWS_SHOWN]] for c in found.columns.values()]
    console.table(tuple(found.columns), [list(row) for row in zip(*cells, strict=True)])
    if found.rows > ROWS_SHOWN:
        print(f"  and {found.rows - ROWS_SHOWN} more")


def _text(path: Path, console: Console) -> None:
    print(path.read_text(encoding="utf-8"), end="")


def _page(path: Path, console: Console) -> None:
    print(f"{path}: {path.stat().st_size:,} bytes; open it in a browser or an image viewer.")


def _table(path: Path, console: Console) -> None:
    import numpy as np

    from twinml.data import Table

    if not _is_ours(path):
        _measured(path, console)
        return
    table = Table.read_parquet(path)
    print(f"table {path}: {len(table)} rows")
    rows = []
    for name in table.names:
        values = table[name]
        finite = values[np.isfinite(values)] if values.dtype.kind in "fiu" else values[:0]
        low, high = (finite.min().item(), finite.max().item()) if len(finite) else (None, None)
        rows.append(
            [name, table.units[name], str(values.dtype), low, high, len(values) - len(finite)]
        )
    console.table(("column", "unit", "type", "min", "max", "not finite"), rows)


def _is_ours(path: Path) -> bool:
    """Whether a Parquet file names a schema; one that is no Parquet is left to its reader."""
    import pyarrow
    import pyarrow.parquet

    try:
        return b"schema" in (pyarrow.parquet.read_schema(path).metadata or {})
    except pyarrow.ArrowInvalid:
        return True


def _yaml(path: Path, console: Console) -> None:
    from twinml.scenario.yaml_file import load_yaml

    content = load_yaml(path)
    kind = "twin" if "model" in content else "scenario" if "quantities" in content else "settings"
    print(f"{kind} {path}")
    console.table(("key", "value"), [[name, _short(value)] for name, value in _leaves(content)])


def _json(path: Path, console: Console) -> None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(
            f"{path} is not valid JSON ({error}): it was cut or changed. Restore it, or run the "
            "task again."
        ) from error
    if not isinstance(content, dict):
        raise DataError(f"{path} holds a {type(content).__name__}; expected named values.")
    print(f"{content.get('schema', 'file')} {path}")
    console.table(("key", "value"), [[name, _short(value)] for name, value in _leaves(content)])


def _leaves(node: Any, path: str = "") -> list[tuple[str, Any]]:
    if not isinstance(node, Mapping) or not node:
        return [(path, node)]
    return [
        leaf
        for name, value in node.items()
        for leaf in _leaves(value, f"{path}.{name}" if path else str(name))
    ]


def _short(value: Any) -> Any:
    if isinstance(value, list | dict):
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= 70 else text[:67] + "..."
    return value


# The first that matches is used: a run may hold other things inside.
KINDS: tuple[Kind, ...] = (
    Kind("a run directory", _has("provenance.json"), _run),
    Kind(
        "a multirun",
        lambda path: path.name == "multirun.csv" or (path / "multirun.csv").is_file(),
        _multirun,
    ),
    Kind("a sweep", _has("manifest.json", "ledger.jsonl"), _sweep),
    Kind("an artifact", _has("manifest.json", "config.pbtxt"), _artifact),
    Kind("a surrogate", lambda path: path.is_file() and path.name == "surrogate.pt", _surrogate),
    Kind("a model file", _ends(".pt"), _artifact),
    Kind("a Parquet table", _ends(".parquet"), _table),
    Kind("a twin, scenario or group file", _ends(".yaml", ".yml"), _yaml),
    Kind("a JSON file of ours", _ends(".json"), _json),
    Kind("a CSV or MAT file", _ends(".csv", ".mat"), _measured),
    Kind("a text file of ours", _ends(".jsonl", ".pbtxt", ".md"), _text),
    Kind("a page or figure", _ends(".html", ".png"), _page),
    Kind("a folder of runs", lambda path: bool(_runs_below(path)), _runs),
)
