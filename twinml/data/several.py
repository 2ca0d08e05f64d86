"""One file or several: each of several is an experiment."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from twinml.data.assemble import Request, assemble
from twinml.data.files.open import read_columns
from twinml.data.record import Record
from twinml.data.rules import Rules, sort_out
from twinml.data.table import Table
from twinml.errors import DataError, nearest


def read_paths(
    path: str | Path | Sequence[str | Path], request: Request, given: Mapping[str, Any]
) -> Record:
    """The record of one file, or of several with an experiment each.

    Raises:
        DataError: no such file, or files that do not hold the same columns.
    """
    rules, text, format = sort_out(given)
    wanted = request.wanted
    files = expand(path)
    if isinstance(path, str | os.PathLike) and Path(path) in files.values():
        return assemble(read_columns(Path(path), format, text, wanted), request, rules)
    inner = {name: rules for name in files}
    if rules.experiment is not None:
        inner = _chosen(rules, files)
    return join(
        {
            name: assemble(read_columns(files[name], format, text, wanted), request, own)
            for name, own in inner.items()
        }
    )


def _chosen(rules: Rules, files: Mapping[str, Path]) -> dict[str, Rules]:
    """The file of the one experiment asked for, ``file`` or ``file/label``."""
    asked = rules.experiment or ""
    for name in files:
        if asked == name or (rules.labels and asked.startswith(f"{name}/")):
            label = asked.removeprefix(name).removeprefix("/") or None
            return {name: replace(rules, experiment=label)}
    raise DataError(
        f"none of the files is experiment '{asked}'; they are {', '.join(files)}."
        + nearest(asked, files)
    )


def expand(path: str | Path | Sequence[str | Path]) -> dict[str, Path]:
    """Files by the name of their experiment: that of the file without its ending.

    Raises:
        DataError: a pattern that matches nothing, a list without files.
    """
    given = [path] if isinstance(path, str | os.PathLike) else list(path)
    files: list[Path] = []
    for item in given:
        text = os.fspath(item)
        if glob.has_magic(text) and not Path(text).exists():
            matched = sorted(Path(found) for found in glob.glob(text))
            if not matched:
                raise DataError(
                    f"no file matches {text}. Paths are relative to the working directory "
                    f"{Path.cwd()}."
                )
            files += matched
        else:
            files.append(Path(text))
    if not files:
        raise DataError("no file is named; expected a path, a list of paths or a pattern.")
    names = [_stem(file) for file in files]
    if len(set(names)) < len(names):
        names = [str(file) for file in files]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{twice} is named twice among the files of a record; name it once.")
    return dict(zip(names, files, strict=True))


def join(records: Mapping[str, Record]) -> Record:
    """Records one after the other as experiments of one; a name goes before inner names.

    Raises:
        DataError: they do not hold the same columns and units.
    """
    first = next(iter(records.values()))
    parts: dict[str, int] = {}
    rows = 0
    for name, record in records.items():
        if set(record.columns) != set(first.columns):
            odd = sorted(set(record.columns) ^ set(first.columns))
            raise DataError(
                f"{record.source} and {first.source} do not hold the same columns: {odd} is in "
                "one of them only. Name the columns to read."
            )
        if (record.units, record.time_unit) != (first.units, first.time_unit):
            raise DataError(
                f"{record.source} has units {dict(record.units)} and time in {record.time_unit}, "
                f"{first.source} {dict(first.units)} and {first.time_unit}; expected the same in "
                "all files of a record. Convert one of them."
            )
        for inner, start in (record.parts or {"": 0}).items():
            parts[f"{name}/{inner}" if inner else name] = rows + start
        rows += len(record)
    every = list(records.values())
    digest = hashlib.sha256("".join(r.source_digest for r in every).encode()).hexdigest()
    counts = {key: sum(r.counts.get(key, 0) for r in every) for r in every for key in r.counts}
    return Record(
        np.concatenate([r.time for r in every]),
        {n: np.concatenate([r[n] for r in every]) for n in first.columns},
        first.units,
        first.time_unit,
        first.kinds,
        ", ".join(r.source for r in every)
        if len(every) < 4
        else f"{first.source} and {len(every) - 1} more files",
        parts,
        tuple(f"{name}: {note}" for name, r in records.items() for note in r.notes),
        _aside(records),
        counts,
        first.start,
        digest,
    )


def _aside(records: Mapping[str, Record]) -> Table:
    """What was set aside in any of them, under the joined names of experiments."""
    held = {name: r.set_aside for name, r in records.items() if len(r.set_aside)}
    if not held:
        return next(iter(records.values())).set_aside
    names = next(iter(held.values())).names
    columns = {c: np.concatenate([table[c] for table in held.values()]) for c in names}
    columns["experiment"] = np.array(
        [
            f"{name}/{inner}" if inner else name
            for name, table in held.items()
            for inner in table["experiment"]
        ]
    )
    return Table(columns, next(iter(held.values())).units)


def _stem(file: Path) -> str:
    name = file.name
    for _ in range(2 if name.lower().endswith(".gz") else 1):
        name = name[: -len(Path(name).suffix)] if Path(name).suffix else name
    return name or file.name
