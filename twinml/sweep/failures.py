"""Which rows failed, why, and where in the space of inputs they lie."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from twinml.sweep.sketch import Ordered, QuantileSketch

BINS = 10
ROOM = 1 << 14
# Kolmogorov-Smirnov distance, in its standard unit, that chance exceeds once in a hundred
# (Smirnov 1948, Ann. Math. Stat. 19, 279-281).
NOTABLE = 1.63


@final
@dataclass
class Failures:
    """Counts of failed rows, and the inputs of failed rows beside those of all rows.

    Args:
        inputs: Names of the varied columns.
    """

    inputs: Sequence[str]
    rows: int = 0
    count: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    every: dict[str, QuantileSketch] = field(default_factory=dict)
    lost: dict[str, QuantileSketch] = field(default_factory=dict)
    ends: dict[str, tuple[float, float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for held in (self.every, self.lost):
            held.update({name: QuantileSketch(ROOM) for name in self.inputs})

    def add(self, status: np.ndarray, failed: np.ndarray, columns: Mapping[str, Any]) -> None:
        """Take in a part: status words (N,), which of them failed (N,) bool, and the inputs."""
        from twinml.solve.status import FAILURE, Status

        self.rows += len(status)
        count = int(failed.sum())
        self.count += count
        for bit in Status:
            if bit & FAILURE and count:
                self.reasons[str(bit.name)] = self.reasons.get(str(bit.name), 0) + int(
                    np.count_nonzero(status & int(bit))
                )
        for name in self.inputs:
            values = columns[name]
            low, high = self.ends.get(name, (np.inf, -np.inf))
            self.ends[name] = (min(low, float(values.min())), max(high, float(values.max())))
            self.every[name].add(values)
            if count:
                self.lost[name].add(values[failed])

    def by_reason(self) -> dict[str, Any]:
        """Status bit -> how many rows carry it, and what it means."""
        from twinml.solve.status import ADVICE, Status

        return {
            name: {"count": count, "reason": ADVICE[Status[name]]}
            for name, count in self.reasons.items()
            if count
        }

    def where(self) -> dict[str, Any]:
        """Input -> failed rows by tenths of its rows, and how far its failed rows stand apart.

        ``distance`` is Kolmogorov and Smirnov's, between the input's distribution over failed and
        over good rows; ``notable`` whether chance would exceed it in less than one of a hundred.
        An input of few values has one bin for each. Strongest first.
        """
        if not 0 < self.count < self.rows:
            return {}
        found = {}
        for name in self.inputs:
            every, lost = self.every[name].ordered(), self.lost[name].ordered()
            low, high = self.ends[name]
            if low == high:
                continue
            distance = self._distance(every, lost)
            good = self.rows - self.count
            limit = NOTABLE * np.sqrt(1 / self.count + 1 / good)
            found[name] = {
                "distance": distance,
                "notable": bool(distance > limit),
                "bins": _bins(every, lost, low, high),
            }
        return dict(sorted(found.items(), key=lambda item: -item[1]["distance"]))

    def _distance(self, every: Ordered, lost: Ordered) -> float:
        places = np.concatenate([every.values, lost.values])
        failed, total = _below(lost, places), _below(every, places)
        good = (total - failed) / (self.rows - self.count)
        return float(np.clip(np.abs(failed / self.count - good).max(), 0.0, 1.0))


def _below(found: Ordered, places: np.ndarray) -> np.ndarray:
    """Rows at or below each place."""
    total = np.concatenate([[0.0], np.cumsum(found.weights)])
    return total[np.searchsorted(found.values, places, side="right")]


def _bins(every: Ordered, lost: Ordered, low: float, high: float) -> list[dict[str, Any]]:
    distinct = np.unique(every.values)
    if len(distinct) <= BINS:
        starts = ends = distinct
        tops = distinct
    else:
        ranks = np.cumsum(every.weights)
        share = ranks[-1] * np.arange(1, BINS) / BINS
        inner = np.unique(every.values[np.searchsorted(ranks, share)])
        tops = np.append(inner[inner < high], high)
        starts, ends = np.append(low, tops[:-1]), tops
    rows = np.diff(_below(every, tops), prepend=0.0)
    failed = np.diff(_below(lost, tops), prepend=0.0)
    return [
        {"from": float(a), "to": float(b), "rows": int(n), "failed": int(min(k, n))}
        for a, b, n, k in zip(starts, ends, rows, failed, strict=True)
    ]
