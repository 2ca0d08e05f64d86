"""Results as data and as a Markdown table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from measure import Entry
from problems import Problem

_HEAD = (
    "| contestant | method | tolerance | rows | rows/s of CPU | spread | wall/CPU "
    "| median error | largest | steps |\n|---|---|---|---|---|---|---|---|---|---|"
)


def record(problem: Problem, entries: Sequence[Entry], skipped: dict[str, str]) -> dict[str, Any]:
    """Everything measured for one problem."""
    return {
        "title": problem.title,
        "entries": [
            {
                "contestant": entry.contestant.name,
                "label": entry.label,
                "method": entry.contestant.method(problem),
                "tolerance": None if problem.steps else entry.tolerance,
                "rows": entry.rows,
                "rate": entry.rate,
                "cpu_seconds": [one.cpu for one in entry.taken],
                "wall_seconds": [one.wall for one in entry.taken],
                "spread": entry.spread,
                "wall": entry.wall,
                "cpu": entry.cpu,
                "error_median": entry.error.median,
                "error_largest": entry.error.largest,
                "counters": entry.counters,
            }
            for entry in entries
        ],
        "skipped": skipped,
    }


def markdown(name: str, found: dict[str, Any]) -> str:
    """One problem as a table, the fastest first."""
    lines = [f"\n### {found['title']} (`{name}`)\n", _HEAD]
    for entry in sorted(found["entries"], key=lambda one: -one["rate"]):
        tolerance = "fixed" if entry["tolerance"] is None else f"{entry['tolerance']:.1e}"
        steps = entry["counters"].get("steps")
        who = entry["contestant"] + (f" ({entry['label']})" if entry["label"] else "")
        lines.append(
            f"| {who} | {entry['method']} | {tolerance} | {entry['rows']} | {entry['rate']:.3g} "
            f"| {100 * entry['spread']:.0f} % | {entry['wall'] / entry['cpu']:.2f} "
            f"| {entry['error_median']:.1e} | {entry['error_largest']:.1e} "
            f"| {'' if steps is None else f'{steps:.1f}'} |"
        )
    lines += [f"\nSkipped, {who}: {why}." for who, why in found["skipped"].items()]
    return "\n".join(lines)
