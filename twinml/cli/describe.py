"""``twinml <task> --help``: groups, keys and an example, from the task's own dataclass."""

from __future__ import annotations

import textwrap
import typing
from typing import Any

from twinml.cli.commands import TASKS
from twinml.cli.compose import ALIASES
from twinml.cli.schema import key_type, leaves
from twinml.cli.search import GROUPS, SearchPath, flat_keys, shown
from twinml.cli.task import Task

WIDTH = 100
# A switch is true or false.
WORDS = {bool: "switch", int: "integer", float: "number", str: "text", list: "list", dict: "map"}


def describe(task: Task, search: SearchPath) -> str:
    """The help text of a task."""
    lines = [f"twinml {task.name}: {TASKS[task.name].summary}.", "", task.summary, ""]
    if task.groups:
        lines.append("Groups (group=choice):")
        for group in task.groups:
            choices = ", ".join(search.options(group)) or "none found"
            needed = "required: " if group in task.needs else ""
            lines += textwrap.wrap(
                f"  {group:<11} {needed}{choices}",
                WIDTH,
                subsequent_indent=" " * 14,
                break_on_hyphens=False,
            )
        lines.append("")
    # A group without a declared shape is listed above; its keys are those of the chosen file.
    keys = [leaf for leaf in leaves(task.schema) if leaf[0] not in GROUPS]
    own = [leaf for leaf in keys if leaf[0].partition(".")[0] not in task.groups]
    lines += ["Keys of the task (key=value):", *_listed(task, own)]
    for group in task.groups:
        of_group = [leaf for leaf in keys if leaf[0].startswith(f"{group}.")]
        if of_group:
            lines += ["", f"Keys of the {group} file, changed here:", *_listed(task, of_group)]
        elif key_type(task.schema, group) is not None and (found := flat_keys(search, group)):
            lines += ["", f"Keys of the {group} file, changed here ({group}.key=value):"]
            for choice, values in found.items():
                text = ", ".join(f"{name} [{_default(v)}]" for name, v in values.items())
                line = f"  {choice:<5} {text}"
                lines += textwrap.wrap(line, WIDTH, subsequent_indent=" " * 8)
    if any(name.startswith("twin.") for name, _, _ in keys):
        short = ", ".join(f"{short} for {full}" for short, full in ALIASES.items())
        lines.append(f"  Short forms: {short}.")
    lines += ["", "Example:" if len(task.examples) == 1 else "Examples:"]
    lines += [f"  {example}" for example in task.examples]
    folders = ", ".join(shown(folder) for folder in search.folders)
    lines += [
        "",
        "Options: -m runs every combination of comma-separated values (seed=1,2), "
        "--config-dir DIR is searched first.",
        f"Configuration files are looked for in: {folders}.",
    ]
    return "\n".join(lines)


def _listed(task: Task, keys: list[tuple[str, Any, str]]) -> list[str]:
    """One line per key: name, type, meaning, default."""
    kinds = [_kind(key_type(task.schema, name)) for name, _, _ in keys]
    width = max((len(name) for name, _, _ in keys), default=0)
    return [
        f"  {name:<{width}}  {kind:<8}  {text} [{_default(value)}]"
        for (name, value, text), kind in zip(keys, kinds, strict=True)
    ]


def _kind(hint: Any) -> str:
    """A type in one word."""
    if typing.get_origin(hint) is typing.Literal:
        return "choice"
    return WORDS.get(typing.get_origin(hint) or hint, "any")


def _default(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict) and not value:
        return "empty"
    return str(value)
