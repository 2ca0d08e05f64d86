"""``twinml compare A B``: two runs, sweeps, calibrations or artifacts side by side."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from twinml.cli.console import Console
from twinml.cli.tools.arguments import Parser, parse
from twinml.errors import ConfigError, DataError

SHOWN = 40


@dataclass(frozen=True)
class Section:
    """One table of the comparison; ``rows`` are what differs, ``same`` how much does not."""

    title: str
    columns: tuple[str, ...]
    rows: list[list[Any]] = field(default_factory=list)
    same: int = 0


def run(words: Sequence[str]) -> int:
    """Prints what differs; exit 0 whether or not something does."""
    parser = Parser(
        "twinml compare",
        description=(
            "Compares two of a kind: run directories (metrics, configuration, inputs, code and "
            "packages), sweeps (also sample by sample where the draws are the same), "
            "calibrations (differences in standard deviations), artifacts (files, numbers)."
        ),
        epilog="Example: twinml compare runs/a runs/b. Exit code 0; reproduce says yes or no.",
        add_help=False,
    )
    parser.add_argument("first", metavar="A", help="a run directory, calibration.json or artifact")
    parser.add_argument("second", metavar="B", help="another of the same kind")
    parser.add_argument("--json", action="store_true", help="as JSON, all rows")
    parser.add_argument("--html", metavar="FILE", help="of two sweeps: also write a page")
    asked = parse(parser, words)
    if asked is None:
        return 0
    first, second = Path(asked.first), Path(asked.second)
    kind, other = kind_of(first), kind_of(second)
    if kind != other:
        raise DataError(
            f"{first} is {kind} and {second} is {other}: they have nothing to be compared by. "
            "Give two of one kind."
        )
    if asked.html and kind not in ("a sweep", "a stored sweep"):
        raise ConfigError(f"--html is of two sweeps; {first} is {kind}. Leave it away.")
    if asked.html and Path(asked.html).suffix != ".html":
        raise ConfigError(f"--html {asked.html}: expected the name of a .html file.")
    if asked.html and not Path(asked.html).parent.is_dir():
        raise ConfigError(f"--html {asked.html}: there is no folder {Path(asked.html).parent}.")
    sections = KINDS.get(kind, _runs)(first, second)
    if asked.html:
        _write_page(first, second, Path(asked.html))
    if asked.json:
        content = {
            "schema": "comparison/1",
            "kind": kind,
            "first": str(first),
            "second": str(second),
            "sections": [
                {
                    "title": s.title,
                    "same": s.same,
                    "different": [
                        dict(zip(s.columns, map(_plain, r), strict=True)) for r in s.rows
                    ],
                }
                for s in sections
            ],
        }
        print(json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False))
        return 0
    print(f"{kind}: A = {first}, B = {second}")
    for section in sections:
        _print(section)
    return 0


def _write_page(first: Path, second: Path, path: Path) -> None:
    from twinml.report.versus import write_comparison
    from twinml.sweep import compare, open_sweep

    write_comparison(path, compare(open_sweep(first), open_sweep(second)))
    print(f"page  {path}", file=sys.stderr)


def _print(section: Section) -> None:
    if not section.rows:
        print(f"{section.title}: no difference ({section.same} compared)")
        return
    shown = section.rows[:SHOWN]
    title = f"{section.title}: {len(section.rows)} differ, {section.same} do not"
    Console().table(section.columns, [[_cell(v) for v in row] for row in shown], title)
    if len(section.rows) > len(shown):
        print(f"  and {len(section.rows) - len(shown)} more; --json lists all")


def kind_of(path: Path) -> str:
    """What a path is, in words.

    Raises:
        DataError: nothing that can be compared.
    """
    if not path.exists():
        raise DataError(f"{path} does not exist. Give a run directory, calibration or artifact.")
    if (path / "provenance.json").is_file():
        task = _json(path / "provenance.json").get("task", "?")
        return "a sweep" if task == "sweep" else f"a run of {task}"
    schema = str(_json(path / "manifest.json").get("schema", "")) if path.is_dir() else ""
    if schema.startswith("artifact/") or (path.is_file() and path.suffix == ".pt"):
        return "an artifact"
    if schema.startswith("sweep/"):
        return "a stored sweep"
    if path.suffix == ".json" and str(_json(path).get("schema", "")).startswith("calibration/"):
        return "a calibration"
    raise DataError(
        f"{path} cannot be compared: expected a run directory, the folder of a sweep or artifact, "
        "or a calibration.json. 'twinml show' says what it holds."
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _runs(first: Path, second: Path) -> list[Section]:
    from twinml.run import open_run

    a, b = open_run(first, finished=False), open_run(second, finished=False)
    before, after = a.provenance(), b.provenance()
    sections = [_metrics(a, b)]
    if (first / "calibration.json").is_file() and (second / "calibration.json").is_file():
        sections += _calibrations(first, second)
    config = _paired(_flat(a.config()), _flat(b.config()), skip=("out",))
    sections.append(Section("configuration", ("key", "A", "B"), *config))
    for title, names in (
        ("inputs (sha256)", ("inputs",)),
        ("code and packages", ("git", "twinml_git", "packages", "python", "platform", "device")),
    ):
        sections.append(
            Section(
                title, ("what", "A", "B"), *_paired(*(_picked(x, names) for x in (before, after)))
            )
        )
    return sections


def _metrics(a: Any, b: Any) -> Section:
    from twinml.run import compare_metrics

    found = [run.metrics() if (run.path / "metrics.json").is_file() else {} for run in (a, b)]
    different = compare_metrics(*found)
    known = [d for d in different if not (d.before is None and d.after is None)]
    # what only one of them has tells least, and there may be hundreds: it comes last
    known.sort(key=lambda d: d.before is None or d.after is None)
    rows = [[d.name, d.before, d.after, *_difference(d.before, d.after)] for d in known]
    total = len(set(found[0]) | set(found[1]))
    columns = ("metric", "A", "B", "B - A", "relative")
    return Section("metrics", columns, rows, total - len(rows))


def _sweep_runs(first: Path, second: Path) -> list[Section]:
    return [*_sweeps(first, second), *_runs(first, second)]


def _sweeps(first: Path, second: Path) -> list[Section]:
    """Differences with intervals, sample by sample where the draws are the same; and why not."""
    from twinml.errors import ArgumentError
    from twinml.sweep import compare, open_sweep
    from twinml.sweep.compare import identity_differences, unpaired

    a, b = open_sweep(first), open_sweep(second)
    if not (a.done and b.done):
        return [Section("rows", ("sweep", "A", "B"), [["samples finished", a.done, b.done]])]
    try:
        found = compare(a, b)
    except ArgumentError as error:
        print(f"not paired: {error}", file=sys.stderr)
        sections = [_independent(unpaired(a, b))]
    else:
        sections = _paired_sections(found)
    known = identity_differences(a, b)
    about = [[name, *both] for name, both in known.items()]
    done = [["samples finished", a.done, b.done]] if a.done != b.done else []
    return [*sections, Section("what the sweeps are", ("what", "A", "B"), [*done, *about])]


def _independent(found: Mapping[str, Mapping[str, Any]]) -> Section:
    rows = [
        [name, *(q.get(key) for key in ("a", "b", "difference", "low", "high"))]
        for name, q in found.items()
    ]
    changed = [row for row in rows if row[3] != 0]
    columns = ("quantity", "A", "B", "B - A", "90 % from", "to")
    title = "means, the rows taken as independent"
    return Section(title, columns, changed, len(rows) - len(changed))


def _paired_sections(found: Any) -> list[Section]:
    means, chances = [], []
    for name, q in found.quantities.items():
        keys = ("pairs", "a", "b", "difference", "low", "high")
        lower, higher = (q[side].get("probability") for side in ("lower", "higher"))
        means.append(
            [name, found.units[name], *(q.get(key) for key in keys), lower, higher,
             q.get("variance_ratio")]
        )  # fmt: skip
        for one in q["over"]:
            chances.append(
                [f"{name} > {one['threshold']:g}",
                 *(one.get(key) for key in ("a", "b", "difference", "low", "high"))]
            )  # fmt: skip
    changed = [row for row in means if row[8] or row[9]]
    columns = ("quantity", "unit", "pairs", "A", "B", "B - A", "90 % from", "to", "P(B lower)",
               "P(B higher)", "variance ratio")  # fmt: skip
    title = f"the same draws ({', '.join(found.paired)}), sample by sample"
    sections = [Section(title, columns, changed, len(means) - len(changed))]
    if chances:
        differ = [row for row in chances if row[3] != 0]
        columns = ("probability", "A", "B", "B - A", "90 % from", "to")
        sections.append(Section("probabilities", columns, differ, len(chances) - len(differ)))
    lost = [[side, count] for side, count in found.failed.items() if count]
    if lost:
        sections.append(Section("rows left out, failed in", ("sweep", "rows"), lost))
    return sections


def _calibrations(first: Path, second: Path) -> list[Section]:
    from twinml.calibrate import load_calibration

    a, b = load_calibration(first), load_calibration(second)
    names = list(dict.fromkeys([*a.names, *b.names]))
    rows, same = [], 0
    for name in names:
        if name not in a.names or name not in b.names:
            fitted = [float(c.values[name]) if name in c.names else None for c in (a, b)]
            rows.append([name, "", *fitted, None, None])
            continue
        x, y = float(a.values[name]), float(b.values[name])
        spread = math.hypot(float(a.std[name]), float(b.std[name]))
        unit = a.units[a.names.index(name)]
        if x == y:
            same += 1
        else:
            rows.append([name, unit, x, y, y - x, (y - x) / spread if spread else None])
    columns = ("fitted", "unit", "A", "B", "B - A", "in joint s.d.")
    about = _paired(
        *(
            {"model": c.model, "record": c.record, "converged": c.converged, **dict(c.fixed)}
            for c in (a, b)
        )
    )
    return [
        Section("fitted values", columns, rows, same),
        Section("what was fitted", ("what", "A", "B"), *about),
    ]


def _artifacts(first: Path, second: Path) -> list[Section]:
    """Files, description, and each other's stored answers where the inputs agree."""
    import numpy as np
    import torch

    from twinml.export import read_artifact
    from twinml.export.description import NUMERIC_OUTPUTS

    a, b = read_artifact(first), read_artifact(second)
    files = _paired(*({n: sha for n, (_, sha) in x.files.items()} for x in (a, b)))
    about = _paired(*(_flat(vars(x.description)) for x in (a, b)))
    sections = [
        Section("files (sha256)", ("file", "A", "B"), *files),
        Section("description", ("what", "A", "B"), *about),
    ]
    x, y = a.description, b.description
    if (x.inputs, x.targets, x.input_units, x.target_units) != (
        y.inputs, y.targets, y.input_units, y.target_units,
    ):  # fmt: skip
        return sections
    points = torch.as_tensor(np.asarray(a.golden.inputs), dtype=y.torch_dtype)
    with torch.inference_mode():
        answers = dict(zip(NUMERIC_OUTPUTS, _numeric(b.load()(points)), strict=True))
    rows, same = [], 0
    for output in NUMERIC_OUTPUTS:
        for column, target in enumerate(x.targets):
            known = a.golden.outputs[output][:, column]
            found = answers[output][:, column].numpy().astype(np.float64)
            gap = np.abs(found - known)[a.golden.in_domain]
            gap = gap[np.isfinite(gap)]
            largest = float(gap.max()) if len(gap) else 0.0
            if largest:
                rows.append([output, target, x.target_units[target], largest, float(gap.mean())])
            else:
                same += 1
    columns = ("output", "target", "unit", "largest |B - A|", "mean")
    sections.append(Section("B's answers at A's stored rows", columns, rows, same))
    return sections


def _numeric(outputs: Sequence[Any]) -> list[Any]:
    mean, lower, upper, _, std = outputs
    from twinml.export.description import NUMERIC_OUTPUTS

    named = {"mean": mean, "lower": lower, "upper": upper, "std": std}
    return [named[name] for name in NUMERIC_OUTPUTS]


def _picked(block: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return _flat({name: block.get(name) for name in names})


def _flat(node: Any, path: str = "") -> dict[str, Any]:
    if isinstance(node, Mapping) and node:
        return {
            key: value
            for name, item in node.items()
            for key, value in _flat(item, f"{path}.{name}" if path else str(name)).items()
        }
    return {path: list(node) if isinstance(node, tuple) else node}


def _paired(
    before: Mapping[str, Any], after: Mapping[str, Any], *, skip: Sequence[str] = ()
) -> tuple[list[list[Any]], int]:
    """Rows of what differs, and how many entries do not."""
    names = [n for n in dict.fromkeys([*before, *after]) if n not in skip]
    rows = [[n, before.get(n), after.get(n)] for n in names if before.get(n) != after.get(n)]
    return rows, len(names) - len(rows)


def _difference(before: Any, after: Any) -> list[float | None]:
    """B - A and its share of A, where both are numbers."""
    if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in (before, after)):
        return [None, None]
    gap = after - before
    return [gap, gap / abs(before) if before else None]


def _cell(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


KINDS: dict[str, Callable[[Path, Path], list[Section]]] = {
    "a sweep": _sweep_runs,
    "a stored sweep": _sweeps,
    "a calibration": _calibrations,
    "an artifact": _artifacts,
}
