"""``rare:`` of ``twinml sweep``: the probability of an event too rare to be counted in a table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.schema import key

if TYPE_CHECKING:
    from twinml.sweep.rare import RareEvent
    from twinml.sweep.task import Task

FILE, CASES = "rare_event.json", "rare_event_cases.parquet"


@dataclass(frozen=True)
class RareKeys:
    """Keys of ``rare``."""

    event: str | None = key(None, "one comparison, e.g. 'peak > 400'; none when unset")
    estimator: str = key("subset", "subset (simulation) or importance (sampling by a tilt)")
    samples: int = key(2000, "per level of subset, in all of importance")


def check_rare_event(keys: RareKeys, task: Task) -> None:
    """Refuses an event that does not fit, before any work.

    Raises:
        ScenarioError, ExpressionError, ArgumentError: What does not, with what would.
    """
    if keys.event is not None:
        from twinml.sweep.rare import check_rare_event as check

        check(task, keys.event, keys.estimator, keys.samples)


def rare_event_outcome(
    keys: RareKeys, task: Task, folder: Path
) -> tuple[dict[str, Any], list[str], list[tuple[str, Path]]]:
    """Metrics, lines and files of the event's probability; empty where none is asked for."""
    if keys.event is None:
        return {}, [], []
    from twinml.data.atomic import replacing
    from twinml.sweep.rare import estimate_rare_event

    found = estimate_rare_event(task, keys.event, keys.estimator, keys.samples)
    path, cases = folder / FILE, folder / CASES
    with replacing(path) as temporary:
        temporary.write_text(_text(found))
    found.cases.write_parquet(cases)
    lines = [found.text]
    if found.tilt:
        listed = ", ".join(f"{name}: {shift:g}" for name, shift in found.tilt.items())
        lines.append(f"As a scenario's key: tilt: {{{listed}}}.")
    metrics = {
        f"rare.{name}": value
        for name in ("probability", "variation", "low", "high", "evaluations", "failed", "reliable")
        if (value := found.to_mapping()[name]) is not None
    }
    return metrics, lines, [("rare event", path), ("its cases", cases)]


def _text(found: RareEvent) -> str:
    import json

    content = {"schema": "rare_event/1", **found.to_mapping()}
    return json.dumps(content, indent=2, allow_nan=False) + "\n"
