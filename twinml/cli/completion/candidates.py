"""The words that may stand where the cursor is."""

from __future__ import annotations

import contextlib
import importlib
import io
import re
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from twinml.cli.commands import COMMANDS, TASKS, TOOLS
from twinml.cli.schema import key_type, leaves
from twinml.cli.search import GROUPS, SearchPath, flat_keys
from twinml.errors import TwinmlError

# Keys whose value is a file or folder.
PATHS = ("run", "sweep", "resume", "out", "calibration", "artifact", "path", "paths.data")
OPTIONS = ("-m", "--config-dir", "--help")
# Long families that come only when their first letters are typed.
QUIET = ("twin.",)


def candidates(words: list[str], current: str) -> list[str]:
    """Full words that begin with ``current``.

    Args:
        words: What stands before, from the first word after ``twinml`` on.
        current: What is typed of the word at the cursor.
    """
    if not words:
        return _matching([*COMMANDS, "--help", "--version"], current)
    name, before = words[0], words[1:]
    if before and before[-1] == "--config-dir":
        return [path for path in _files(current) if path.endswith("/")]
    if name in TASKS:
        return list(_of_task(name, before, current))
    if name in TOOLS:
        return _of_tool(name, before, current)
    return []


def _of_task(name: str, before: list[str], current: str) -> Iterator[str]:
    task = importlib.import_module(TASKS[name].module).TASK
    try:
        search = SearchPath.of(_config_dir(before))
    except TwinmlError:
        search = SearchPath.of()
    key, equals, value = current.partition("=")
    if current.startswith("-"):
        yield from _matching(OPTIONS, current)
    elif not equals:
        known = [leaf for leaf, _, _ in leaves(task.schema) if leaf.split(".")[0] not in GROUPS]
        known += [leaf for leaf, _, _ in leaves(task.schema) if "." in leaf and leaf not in known]
        if "twin" in task.groups:
            known += ["data.path", "fit", "fit_initial", "parameters."]
        for group in task.groups:
            for choice in flat_keys(search, group).values():
                known += [f"{group}.{leaf}" for leaf in choice]
        if not current:
            known = [leaf for leaf in known if not leaf.startswith(QUIET)]
        known = [leaf if leaf.endswith(".") else f"{leaf}=" for leaf in known]
        yield from _matching(dict.fromkeys([*(f"{g}=" for g in task.groups), *known]), current)
    else:
        head, comma, last = value.rpartition(",")  # several values, for -m
        done = f"{key}={head}{comma}"
        yield from (f"{done}{found}" for found in _values(task, key, last, search))


def _values(task: Any, key: str, value: str, search: SearchPath) -> list[str]:
    if key in task.groups:
        return _matching(search.options(key), value)
    if key in PATHS or key.rpartition(".")[2] in PATHS:
        return _files(value)
    hint = key_type(task.schema, key)
    if hint is bool:
        return _matching(("true", "false"), value)
    if typing.get_origin(hint) is Literal:
        return _matching(map(str, typing.get_args(hint)), value)
    return []


def _of_tool(name: str, before: list[str], current: str) -> list[str]:
    if current.startswith("-"):
        with contextlib.redirect_stdout(io.StringIO()) as told:
            importlib.import_module(TOOLS[name].module).run(["--help"])
        found = re.findall(r"(?<![\w-])--[a-z][a-z-]*", told.getvalue())
        return _matching(dict.fromkeys([*found, "--help"]), current)
    if before and before[-1] == "--twin":
        return _matching(SearchPath.of().options("twin"), current)
    if name == "completion":
        return _matching(("bash", "zsh"), current)
    return [] if name in ("new", "doctor", "twins") else _files(current)


def _config_dir(words: list[str]) -> str | None:
    for index, word in enumerate(words):
        if word == "--config-dir" and index + 1 < len(words):
            return words[index + 1]
        if word.startswith("--config-dir="):
            return word.partition("=")[2]
    return None


def _matching(known: Iterable[str], current: str) -> list[str]:
    return [word for word in known if word.startswith(current)]


def _files(current: str) -> list[str]:
    """Files and folders; a folder ends in '/', hidden ones come only when asked for."""
    head, slash, start = current.rpartition("/")
    folder = Path(f"{head}{slash}" or ".").expanduser()
    try:
        found = sorted(folder.iterdir(), key=lambda path: path.name)
    except OSError:
        return []
    return [
        f"{head}{slash}{path.name}{'/' if path.is_dir() else ''}"
        for path in found
        if path.name.startswith(start) and (start.startswith(".") or path.name[0] != ".")
    ]
