"""Continuous distributions as data: each turns a uniform number in (0, 1) into a value.

All are inverse distribution functions, so every design (random, quasi-random, stratified)
serves every distribution. Parametrisations and inverses follow Johnson, Kotz and
Balakrishnan, Continuous Univariate Distributions (2nd ed., 1994/95), chapters cited below;
the special functions are scipy's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, final

import numpy as np


@dataclass(frozen=True)
class Distribution(ABC):
    """One varied quantity."""

    kind: ClassVar[str]
    source: ClassVar[str]

    @abstractmethod
    def quantile(self, u: np.ndarray) -> np.ndarray:
        """Values at probabilities ``u`` in (0, 1), same shape."""

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        """Values at standard normal scores, same shape: ``quantile(Phi(score))``.

        In the upper tail Phi rounds to 1 and a score of 8.3 would be infinity; kinds that reach
        there compute from the smaller of the two tail probabilities and keep their digits.
        """
        from scipy.special import ndtr

        return self.quantile(ndtr(score))

    @property
    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Smallest and largest possible value, infinite where there is none."""

    def problem(self) -> str | None:
        """What contradicts itself in the numbers given, or None."""
        return None

    def to_mapping(self) -> dict[str, Any]:
        """The keys one would write in YAML."""
        given = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            "distribution": self.kind,
            **{
                name: list(value) if isinstance(value, tuple) else value
                for name, value in given.items()
                if value is not None
            },
        }


@dataclass(frozen=True)
class Continuous(Distribution):
    """A distribution that can be cut: it knows how much lies to either side of a value."""

    @abstractmethod
    def tails(self, value: float) -> tuple[float, float]:
        """P(X <= value) and P(X > value), each with its own digits."""

    @abstractmethod
    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        """Values with these probabilities to their left and right, from the smaller of the two."""


@final
@dataclass(frozen=True)
class Uniform(Continuous):
    low: float
    high: float
    kind: ClassVar[str] = "uniform"
    source: ClassVar[str] = "Johnson et al. (1995), vol. 2, ch. 26"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.low + (self.high - self.low) * u

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        part = (self.high - self.low) * ndtr(-np.abs(score))
        return np.where(score < 0, self.low + part, self.high - part)

    def tails(self, value: float) -> tuple[float, float]:
        inside, width = min(max(value, self.low), self.high), self.high - self.low
        return (inside - self.low) / width, (self.high - inside) / width

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        width = self.high - self.low
        return np.where(below < above, self.low + width * below, self.high - width * above)

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def problem(self) -> str | None:
        return ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Normal(Continuous):
    mean: float
    std: float
    kind: ClassVar[str] = "normal"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 13"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return self.mean + self.std * ndtri(u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        return self.mean + self.std * score

    def tails(self, value: float) -> tuple[float, float]:
        return _normal_tails((value - self.mean) / self.std)

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        return self.mean + self.std * _normal_score(below, above)

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf

    def problem(self) -> str | None:
        return positive(std=self.std)


@final
@dataclass(frozen=True)
class LogNormal(Continuous):
    """exp of a normal: ``median`` in the quantity's unit, ``sigma`` the s.d. of the logarithm."""

    median: float
    sigma: float
    kind: ClassVar[str] = "lognormal"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 14"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return self.median * np.exp(self.sigma * ndtri(u))

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        return self.median * np.exp(self.sigma * score)

    def tails(self, value: float) -> tuple[float, float]:
        if value <= 0:
            return 0.0, 1.0
        return _normal_tails(math.log(value / self.median) / self.sigma)

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        return self.median * np.exp(self.sigma * _normal_score(below, above))

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def problem(self) -> str | None:
        return positive(median=self.median, sigma=self.sigma)


@final
@dataclass(frozen=True)
class Triangular(Continuous):
    low: float
    mode: float
    high: float
    kind: ClassVar[str] = "triangular"
    source: ClassVar[str] = "Johnson et al. (1995), vol. 2, ch. 26.9"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self.at_tails(u, 1.0 - u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return self.at_tails(ndtr(score), ndtr(-score))

    def tails(self, value: float) -> tuple[float, float]:
        inside, width = min(max(value, self.low), self.high), self.high - self.low
        if inside < self.mode:
            below = (inside - self.low) ** 2 / (width * (self.mode - self.low))
            return below, 1.0 - below
        if self.mode == self.high:
            return 1.0, 0.0
        above = (self.high - inside) ** 2 / (width * (self.high - self.mode))
        return 1.0 - above, above

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        width, rise = self.high - self.low, self.mode - self.low
        left = self.low + np.sqrt(below * width * rise)
        right = self.high - np.sqrt(above * width * (self.high - self.mode))
        return np.where(below * width < rise, left, right)

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def problem(self) -> str | None:
        if not self.low <= self.mode <= self.high:
            return f"mode={self.mode:g} lies outside [{self.low:g}, {self.high:g}]"
        return ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Beta(Continuous):
    alpha: float
    beta: float
    low: float = 0.0
    high: float = 1.0
    kind: ClassVar[str] = "beta"
    source: ClassVar[str] = "Johnson et al. (1995), vol. 2, ch. 25"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import betaincinv

        return self.low + (self.high - self.low) * betaincinv(self.alpha, self.beta, u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import betainccinv, betaincinv, ndtr

        tail = ndtr(-np.abs(score))
        lower = betaincinv(self.alpha, self.beta, tail)
        upper = betainccinv(self.alpha, self.beta, tail)
        return self.low + (self.high - self.low) * np.where(score < 0, lower, upper)

    def tails(self, value: float) -> tuple[float, float]:
        from scipy.special import betainc, betaincc

        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return float(betainc(self.alpha, self.beta, part)), float(
            betaincc(self.alpha, self.beta, part)
        )

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        from scipy.special import betainccinv, betaincinv

        left = below < above
        part = np.empty(np.shape(below))
        part[left] = betaincinv(self.alpha, self.beta, below[left])
        part[~left] = betainccinv(self.alpha, self.beta, above[~left])
        return self.low + (self.high - self.low) * part

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def problem(self) -> str | None:
        return positive(alpha=self.alpha, beta=self.beta) or ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Gamma(Continuous):
    shape: float
    scale: float
    kind: ClassVar[str] = "gamma"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 17"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import gammaincinv

        return self.scale * gammaincinv(self.shape, u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import gammainccinv, gammaincinv, ndtr

        tail = ndtr(-np.abs(score))
        lower, upper = gammaincinv(self.shape, tail), gammainccinv(self.shape, tail)
        return self.scale * np.where(score < 0, lower, upper)

    def tails(self, value: float) -> tuple[float, float]:
        from scipy.special import gammainc, gammaincc

        part = max(value, 0.0) / self.scale
        return float(gammainc(self.shape, part)), float(gammaincc(self.shape, part))

    def at_tails(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
        from scipy.special import gammainccinv, gammaincinv

        left = below < above
        part = np.empty(np.shape(below))
        part[left] = gammaincinv(self.shape, below[left])
        part[~left] = gammainccinv(self.shape, above[~left])
        return self.scale * part

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def problem(self) -> str | None:
        return positive(shape=self.shape, scale=self.scale)


def _normal_tails(score: float) -> tuple[float, float]:
    from scipy.special import ndtr

    return float(ndtr(score)), float(ndtr(-score))


def _normal_score(below: np.ndarray, above: np.ndarray) -> np.ndarray:
    """Standard normal scores with these probabilities below and above."""
    from scipy.special import ndtri

    return np.where(below < above, ndtri(below), -ndtri(above))


def ordered(low: float, high: float) -> str | None:
    """What is wrong with two bounds."""
    return None if low < high else f"low={low:g} must lie below high={high:g}"


def positive(**numbers: float) -> str | None:
    """What is wrong with numbers that must be positive."""
    for name, value in numbers.items():
        if not value > 0:
            return f"{name}={value:g} must be positive"
    return None
