"""``twinml <task> --help``: groups, keys and an example, from the task's own dataclass."""

from __future__ import annotations

from typing import Any

from twinml.cli.commands import TASKS
from twinml.cli.compose import ALIASES
from twinml.cli.schema import leaves
from twinml.cli.search import GROUPS, SearchPath, shown
from twinml.cli.task import Task


def describe(task: Task, search: SearchPath) -> str:
    """The help text of a task."""
    lines = [f"twinml {task.name}: {TASKS[task.name].summary}.", "", task.summary, ""]
    if task.groups:
        lines.append("Groups (group=choice):")
        for group in task.groups:
            choices = ", ".join(search.options(group)) or "none found"
            needed = "  (required)" if group in task.needs else ""
            lines.append(f"  {group:<11} {choices}{needed}")
        lines.append("")
    # A group without a declared shape is listed above; its keys are those of the chosen file.
    keys = [leaf for leaf in leaves(task.schema) if leaf[0] not in GROUPS]
    width = max((len(name) for name, _, _ in keys), default=0)
    lines.append("Keys (key=value):")
    lines += [f"  {name:<{width}}  {text} [{_default(value)}]" for name, value, text in keys]
    if any(name.startswith("twin.") for name, _, _ in keys):
        short = ", ".join(f"{short} for {full}" for short, full in ALIASES.items())
        lines.append(f"Short forms: {short}.")
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


def _default(value: Any) -> str:
    if value is None or value == "":
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict) and not value:
        return "empty"
    return str(value)
