"""Distributions cut at one end or both and rescaled.

Sources are those of ``twinml.scenario.continuous``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import numpy as np

from twinml.scenario.continuous import Continuous, Distribution, ordered, positive

LEAST_MASS = 1e-100  # of what a cut leaves; the inverses keep their digits down to there


@final
@dataclass(frozen=True)
class Truncated(Distribution):
    """A normal cut at ``low``, ``high`` or both and rescaled."""

    mean: float
    std: float
    low: float | None = None
    high: float | None = None
    kind: ClassVar[str] = "truncated"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 13.10"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr, ndtri

        low, high = ((x - self.mean) / self.std for x in self.support)
        # In the upper tail ndtr rounds to 1; the mirrored normal keeps its digits there.
        sign, a, b, v = (-1.0, -high, -low, 1.0 - u) if low > 0 else (1.0, low, high, u)
        z = sign * ndtri(ndtr(a) + (ndtr(b) - ndtr(a)) * v)
        return np.clip(self.mean + self.std * z, *self.support)  # rounding at the ends only

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr, ndtri

        a, b = ((x - self.mean) / self.std for x in self.support)
        below = ndtri(ndtr(a) + (ndtr(b) - ndtr(a)) * ndtr(score))
        above = -ndtri(ndtr(-b) + (ndtr(-a) - ndtr(-b)) * ndtr(-score))
        z = np.where((a > 0) | ((b >= 0) & (score > 0)), above, below)
        return np.clip(self.mean + self.std * z, *self.support)

    @property
    def support(self) -> tuple[float, float]:
        return (
            -math.inf if self.low is None else self.low,
            math.inf if self.high is None else self.high,
        )

    def problem(self) -> str | None:
        if self.low is None and self.high is None:
            return "neither low nor high is given; use the normal distribution"
        low, high = self.support
        nearest_side = max((low - self.mean) / self.std, (self.mean - high) / self.std)
        if self.std > 0 and nearest_side > 30:
            return f"[{low:g}, {high:g}] lies more than 30 std from the mean"
        return positive(std=self.std) or ordered(low, high)


@final
@dataclass(frozen=True)
class Cut(Distribution):
    """Any continuous distribution cut at ``low``, ``high`` or both and rescaled."""

    of: Distribution
    low: float | None = None
    high: float | None = None
    kind: ClassVar[str] = "truncated"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 1.4"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self._between(u, 1.0 - u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return self._between(ndtr(score), ndtr(-score))

    def _between(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        (left, _), (_, right), mass = self._ends()
        values = self._base().at_tails(left + mass * below, right + mass * above)
        return np.clip(values, *self.support)  # rounding at the ends only

    def _ends(self) -> tuple[tuple[float, float], tuple[float, float], float]:
        """Both tails at the lower and at the upper end, and the probability between these."""
        low, high = self.support
        start, stop = self._base().tails(low), self._base().tails(high)
        # of both differences, the one of the smaller numbers keeps its digits
        mass = stop[0] - start[0] if start[0] < stop[1] else start[1] - stop[1]
        return start, stop, mass

    def _base(self) -> Continuous:
        assert isinstance(self.of, Continuous)  # problem() refuses all else
        return self.of

    @property
    def support(self) -> tuple[float, float]:
        low, high = self.of.support
        return (
            low if self.low is None else max(low, self.low),
            high if self.high is None else min(high, self.high),
        )

    def problem(self) -> str | None:
        if not isinstance(self.of, Continuous):
            known = ", ".join(sorted(kind.kind for kind in Continuous.__subclasses__()))
            return f"of is {self.of.kind}, which cannot be cut; expected one of {known}"
        if self.low is None and self.high is None:
            return f"neither low nor high is given; use the {self.of.kind} distribution"
        if self.low is not None and self.high is not None and not self.low < self.high:
            return ordered(self.low, self.high)
        low, high = self.support
        if not low < high or not self._ends()[2] > LEAST_MASS:
            low, high = (-math.inf if self.low is None else self.low,
                         math.inf if self.high is None else self.high)  # fmt: skip
            return f"nothing of the {self.of.kind} distribution lies in [{low:g}, {high:g}]"
        return None

    def to_mapping(self) -> dict[str, Any]:
        return {**super().to_mapping(), "of": self.of.to_mapping()}
