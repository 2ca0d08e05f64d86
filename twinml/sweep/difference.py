"""Paired differences of one quantity, taken in part by part."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from twinml.sweep.estimate import Rows, quantiles, shares
from twinml.sweep.intervals import normal_quantile, student_quantile
from twinml.sweep.moments import Moments, Sums
from twinml.sweep.sketch import QuantileSketch

QUANTILES = (0.05, 0.5, 0.95)


@final
@dataclass
class Discordance:
    """Pairs of which one side is over a threshold and the other not."""

    pairs: Sums = field(default_factory=Sums)
    only_a: Sums = field(default_factory=Sums)
    only_b: Sums = field(default_factory=Sums)
    both: Sums = field(default_factory=Sums)
    change: Moments = field(default_factory=Moments)

    def add(self, a: np.ndarray, b: np.ndarray, weights: np.ndarray | None) -> None:
        """Take in whether each side is over, (N,) bool both."""
        self.pairs.add(np.ones(len(a), dtype=bool), weights)
        self.only_a.add(a & ~b, weights)
        self.only_b.add(b & ~a, weights)
        self.both.add(a & b, weights)
        if weights is not None:
            self.change.add(b.astype(float) - a.astype(float), weights)

    def to_mapping(self, level: float) -> dict[str, Any]:
        """Probabilities of both sides and of their difference b - a, with its interval.

        Without weights the interval is that of Bonett and Price (2012), J. Educ. Behav. Stat. 37,
        479-488: Wald's with one pair added to each discordant cell.
        """
        z = normal_quantile(level)
        total = self.pairs.weight
        if not total:
            return {"pairs": 0}
        gap = (self.only_b.weight - self.only_a.weight) / total
        if self.change.sums.count:
            low, high = gap - z * self.change.error, gap + z * self.change.error
        else:
            more, less = ((cell.count + 1) / (total + 2) for cell in (self.only_b, self.only_a))
            half = z * math.sqrt((more + less - (more - less) ** 2) / (total + 2))
            low, high = more - less - half, more - less + half
        return {
            "pairs": self.pairs.count,
            "a": (self.only_a.weight + self.both.weight) / total,
            "b": (self.only_b.weight + self.both.weight) / total,
            "only_a": self.only_a.count,
            "only_b": self.only_b.count,
            "difference": gap,
            "low": _number(max(low, -1.0)),
            "high": _number(min(high, 1.0)),
        }


@final
@dataclass
class Differences:
    """b - a of one quantity over pairs of rows that did not fail.

    Args:
        sketch: Finite differences.
        before, after, change: Moments of a, b and b - a over pairs with finite values.
        lower, equal, higher: Pairs with b < a, b = a, b > a; inf is later than any time.
        undefined: Pairs of which one side is nan.
        lost: Pairs of which one side failed.
        thresholds: What lies over each threshold on either side.
    """

    sketch: QuantileSketch
    thresholds: dict[float, Discordance]
    before: Moments = field(default_factory=Moments)
    after: Moments = field(default_factory=Moments)
    change: Moments = field(default_factory=Moments)
    lower: Sums = field(default_factory=Sums)
    equal: Sums = field(default_factory=Sums)
    higher: Sums = field(default_factory=Sums)
    undefined: Sums = field(default_factory=Sums)
    lost: Sums = field(default_factory=Sums)

    @classmethod
    def begin(cls, room: int, weighted: bool, thresholds: Iterable[float]) -> Differences:
        """Nothing taken in yet."""
        return cls(QuantileSketch(room, weighted), {x: Discordance() for x in thresholds})

    def add(self, a: np.ndarray, b: np.ndarray, weights: np.ndarray | None) -> None:
        """Take in pairs, (N,) float64 each."""
        nan = np.isnan(a) | np.isnan(b)
        self.undefined.add(nan, weights)
        self.lower.add(b < a, weights)
        self.equal.add(b == a, weights)
        self.higher.add(b > a, weights)
        if nan.any():
            a, b = a[~nan], b[~nan]
            weights = None if weights is None else weights[~nan]
        for threshold, found in self.thresholds.items():
            found.add(a > threshold, b > threshold, weights)
        finite = np.isfinite(a) & np.isfinite(b)
        if not finite.all():
            a, b = a[finite], b[finite]
            weights = None if weights is None else weights[finite]
        gap = b - a
        self.before.add(a, weights)
        self.after.add(b, weights)
        self.change.add(gap, weights)
        self.sketch.add(gap, weights)

    def to_mapping(self, level: float, better: str, total: int) -> dict[str, Any]:
        """Plain data.

        ``difference`` is the mean of b - a with Student's interval; ``better`` the probability
        that b lies on the side asked for; ``correlation`` that of the two sides, and
        ``variance_ratio`` how many times more independent pairs of rows would be needed for the
        same interval, (var a + var b) / var(b - a); ``quantiles`` those of b - a.

        Args:
            total: Pairs, those left out included.
        """
        pairs = self.change.sums.count
        kept = _sum(self.lower, self.equal, self.higher)
        weighted = self.sketch.weighted
        rows = Rows(total, kept, _sum(self.lost, self.undefined), weighted)
        result: dict[str, Any] = {
            "pairs": pairs,
            "undefined": self.undefined.count,
            "infinite": kept.count - pairs,
            "better": {"is": better, **_share(getattr(self, better), rows, level)},
            "lower": _share(self.lower, rows, level),
            "equal": _share(self.equal, rows, level),
            "higher": _share(self.higher, rows, level),
            "over": [
                {"threshold": x, **found.to_mapping(level)} for x, found in self.thresholds.items()
            ],
        }
        if pairs == 0:
            return result
        freedom = (self.change.sums.effective if weighted else pairs) - 1
        half = student_quantile(level, freedom) * self.change.error
        finite = _sum(self.change.sums)
        infinite = Sums(
            kept.count - finite.count, kept.weight - finite.weight, kept.squares - finite.squares
        )
        within = Rows(total, finite, _sum(rows.lost, infinite), weighted)
        listed = quantiles(self.sketch.ordered(), within, QUANTILES, level)
        spread = [m.deviation**2 for m in (self.before, self.after, self.change)]
        product = math.sqrt(spread[0] * spread[1])
        return result | {
            "a": self.before.mean,
            "b": self.after.mean,
            "difference": self.change.mean,
            "error": _number(self.change.error),
            "low": _number(self.change.mean - half),
            "high": _number(self.change.mean + half),
            "sd": self.change.deviation,
            "min": self.change.low,
            "max": self.change.high,
            "correlation": (spread[0] + spread[1] - spread[2]) / (2 * product) if product else None,
            "variance_ratio": (spread[0] + spread[1]) / spread[2] if spread[2] else None,
            "quantiles": {
                f"{q:.0%}".rstrip("%"): list(found)
                for q, found in zip(QUANTILES, listed, strict=True)
            },
        }


def _share(over: Sums, rows: Rows, level: float) -> dict[str, Any]:
    if rows.kept.count == 0:
        return {"count": 0}
    probability, low, high = shares(over.weight, over.squares, rows, level)
    return {
        "count": over.count,
        "probability": _number(float(probability)),
        "low": _number(float(low)),
        "high": _number(float(high)),
    }


def _sum(*parts: Sums) -> Sums:
    return Sums(
        sum(part.count for part in parts),
        math.fsum(part.weight for part in parts),
        math.fsum(part.squares for part in parts),
    )


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
