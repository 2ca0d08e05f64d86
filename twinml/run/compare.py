"""Two runs' metrics side by side: the same bits, or where they differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# Measured, not computed: they differ between two runs of the same experiment.
TIMINGS = (".seconds", ".per_second", ".memory_mb")


@dataclass(frozen=True)
class Difference:
    """One metric that is not the same; None stands for a missing value."""

    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        return f"{self.name}: was {self.before!r}, now {self.after!r}"


def compare_metrics(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The metrics that differ in any bit, in the order of their names; timings are left out."""
    names = sorted(set(before) | set(after))
    return [
        Difference(name, before.get(name), after.get(name))
        for name in names
        if not name.endswith(TIMINGS)
        and (name not in before or name not in after or before[name] != after[name])
    ]
