"""Mean and spread of a column that comes in parts, weighted or not.

Parts are merged in order by the update of Chan, Golub and LeVeque (1983), Am. Stat. 37(3),
242-247, which takes no difference of large sums. Weights are likelihood ratios of a tilted
sweep; the mean is then the self-normalised one, sum(w x) / sum(w), and its standard error that
of the delta method (Owen 2013, Monte Carlo theory, methods and examples, eq. 9.8).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import final

import numpy as np


@final
@dataclass
class Sums:
    """How many rows, the sum of their weights and of the squares of these."""

    count: int = 0
    weight: float = 0.0
    squares: float = 0.0

    def add(self, chosen: np.ndarray, weights: np.ndarray | None) -> None:
        """Count the rows of a part where ``chosen`` (N,) bool holds."""
        hits = int(np.count_nonzero(chosen))
        self.count += hits
        if weights is None:
            self.weight += hits
            self.squares += hits
        elif hits:
            picked = weights[chosen]
            self.weight += float(picked.sum())
            self.squares += float((picked * picked).sum())

    @property
    def effective(self) -> float:
        """Effective sample size, sum(w)^2 / sum(w^2) (Kish 1965, Survey sampling, sec. 11.7)."""
        return self.weight * self.weight / self.squares if self.squares > 0 else 0.0


@final
@dataclass
class Centred:
    """Weight, mean and sum of weighted squared differences from it, merged part by part."""

    weight: float = 0.0
    mean: float = 0.0
    spread: float = 0.0

    def add(self, weight: float, mean: float, spread: float) -> None:
        """Merge another part."""
        if weight <= 0:
            return
        total = self.weight + weight
        shift = mean - self.mean
        self.spread += spread + shift * shift * (self.weight * weight / total)
        self.mean += shift * (weight / total)
        self.weight = total

    def about(self, centre: float) -> float:
        """The sum of weighted squared differences from ``centre``."""
        return self.spread + self.weight * (self.mean - centre) ** 2


@final
@dataclass
class Moments:
    """Moments and range of finite values."""

    sums: Sums = field(default_factory=Sums)
    by_weight: Centred = field(default_factory=Centred)
    by_square: Centred = field(default_factory=Centred)
    low: float = math.inf
    high: float = -math.inf

    def add(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in a part, (N,) finite float64."""
        if len(values) == 0:
            return
        self.sums.add(np.ones(len(values), dtype=bool), weights)
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        if weights is None:
            mean = float(values.mean())
            self.by_weight.add(len(values), mean, float(((values - mean) ** 2).sum()))
            return
        for centred, factor in ((self.by_weight, weights), (self.by_square, weights * weights)):
            total = float(factor.sum())
            if total > 0:
                mean = float((factor * values).sum()) / total
                centred.add(total, mean, float((factor * (values - mean) ** 2).sum()))

    @property
    def mean(self) -> float:
        """Mean; nan without values."""
        return self.by_weight.mean if self.by_weight.weight > 0 else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation, corrected for the (effective) number of values; 0 for one."""
        effective = self.sums.effective
        if effective <= 1:
            return 0.0
        return math.sqrt(self.by_weight.spread / self.by_weight.weight * effective
                         / (effective - 1))  # fmt: skip

    @property
    def error(self) -> float:
        """Standard error of the mean; nan for fewer than two values."""
        if self.sums.count < 2 or self.by_weight.weight <= 0:
            return math.nan
        if self.by_square.weight > 0:
            return math.sqrt(self.by_square.about(self.mean)) / self.by_weight.weight
        return self.deviation / math.sqrt(self.sums.count)
