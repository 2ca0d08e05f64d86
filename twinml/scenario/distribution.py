"""Distributions as data: each turns a uniform number in (0, 1) into a value.

All are inverse distribution functions, so every design (random, quasi-random, stratified)
serves every distribution. Parametrisations and inverses follow Johnson, Kotz and
Balakrishnan, Continuous Univariate Distributions (2nd ed., 1994/95), chapters cited below;
the special functions are scipy's.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.keys import check_keys, check_number


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


@final
@dataclass(frozen=True)
class Uniform(Distribution):
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

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def problem(self) -> str | None:
        return _ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Normal(Distribution):
    mean: float
    std: float
    kind: ClassVar[str] = "normal"
    source: ClassVar[str] = "Johnson et al. (1994), vol. 1, ch. 13"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        from scipy.special import ndtri

        return self.mean + self.std * ndtri(u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        return self.mean + self.std * score

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf

    def problem(self) -> str | None:
        return _positive(std=self.std)


@final
@dataclass(frozen=True)
class LogNormal(Distribution):
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

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def problem(self) -> str | None:
        return _positive(median=self.median, sigma=self.sigma)


@final
@dataclass(frozen=True)
class Triangular(Distribution):
    low: float
    mode: float
    high: float
    kind: ClassVar[str] = "triangular"
    source: ClassVar[str] = "Johnson et al. (1995), vol. 2, ch. 26.9"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return self._at(u, 1.0 - u)

    def from_normal(self, score: np.ndarray) -> np.ndarray:
        from scipy.special import ndtr

        return self._at(ndtr(score), ndtr(-score))

    def _at(self, below: np.ndarray, above: np.ndarray) -> np.ndarray:
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
        return _ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Beta(Distribution):
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

    @property
    def support(self) -> tuple[float, float]:
        return self.low, self.high

    def problem(self) -> str | None:
        return _positive(alpha=self.alpha, beta=self.beta) or _ordered(self.low, self.high)


@final
@dataclass(frozen=True)
class Gamma(Distribution):
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

    @property
    def support(self) -> tuple[float, float]:
        return 0.0, math.inf

    def problem(self) -> str | None:
        return _positive(shape=self.shape, scale=self.scale)


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
        return _positive(std=self.std) or _ordered(low, high)


@final
@dataclass(frozen=True)
class Choice(Distribution):
    """One of some values, by ``weights`` (equal ones by default)."""

    values: tuple[float, ...]
    weights: tuple[float, ...] | None = None
    kind: ClassVar[str] = "choice"
    source: ClassVar[str] = "inverse of a step function"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        weights = np.ones(len(self.values)) if self.weights is None else np.array(self.weights)
        edges = np.cumsum(weights) / np.sum(weights)
        position = np.searchsorted(edges, u, side="right")
        return np.array(self.values)[np.minimum(position, len(self.values) - 1)]

    @property
    def support(self) -> tuple[float, float]:
        return min(self.values), max(self.values)

    def problem(self) -> str | None:
        if not self.values:
            return "values is empty"
        if self.weights is None:
            return None
        if len(self.weights) != len(self.values):
            return f"{len(self.weights)} weights for {len(self.values)} values"
        if min(self.weights) < 0 or sum(self.weights) <= 0:
            return "weights must be zero or more, with a positive sum"
        return None


@final
@dataclass(frozen=True)
class Fixed(Distribution):
    value: float
    kind: ClassVar[str] = "fixed"
    source: ClassVar[str] = "a constant"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        return np.full(np.shape(u), self.value)

    @property
    def support(self) -> tuple[float, float]:
        return self.value, self.value


@final
@dataclass(frozen=True)
class Calibrated(Distribution):
    """Drawn jointly with every other fitted quantity; see ``Posterior``."""

    kind: ClassVar[str] = "calibrated"
    source: ClassVar[str] = "the calibration's Gaussian in unconstrained coordinates"

    def quantile(self, u: np.ndarray) -> np.ndarray:
        raise ScenarioError("A calibrated quantity is drawn from a calibration, not by itself.")

    @property
    def support(self) -> tuple[float, float]:
        return -math.inf, math.inf


@final
@dataclass(frozen=True)
class Tabled(Distribution):
    """A column of a Parquet or CSV file; columns of one file are drawn by whole rows.

    Under ``design: table`` sample i is row i; under another design rows are drawn at random.
    """

    path: str
    column: str
    kind: ClassVar[str] = "table"
    source: ClassVar[str] = "the rows of a file"

    @property
    def values(self) -> np.ndarray:
        """The column, shape (rows,)."""
        from twinml.scenario.rows import read_column

        return read_column(self.path, self.column)

    def quantile(self, u: np.ndarray) -> np.ndarray:
        values = self.values
        return values[np.minimum((u * len(values)).astype(np.int64), len(values) - 1)]

    @property
    def support(self) -> tuple[float, float]:
        return float(self.values.min()), float(self.values.max())


KINDS: dict[str, type[Distribution]] = {
    kind.kind: kind
    for kind in (
        Uniform, Normal, LogNormal, Triangular, Beta, Gamma, Truncated, Choice, Fixed,
        Calibrated, Tabled,
    )
}  # fmt: skip


def read_distribution(data: Any, where: str) -> Distribution:
    """A distribution from plain data; a bare number is ``fixed``.

    Raises:
        ScenarioError: Unknown kind or key, a key missing, or numbers that contradict.
    """
    if isinstance(data, Distribution):
        return data
    if isinstance(data, int | float) and not isinstance(data, bool):
        return Fixed(check_number(data, where))
    if not isinstance(data, Mapping) or "distribution" not in data:
        raise ScenarioError(
            f"{where} is {data!r}; expected a number or a mapping with 'distribution', e.g. "
            "{distribution: uniform, low: 0, high: 1}."
        )
    kind = data["distribution"]
    if kind not in KINDS:
        raise ScenarioError(
            f"{where} has the unknown distribution {kind!r}.{nearest(str(kind), KINDS)} "
            f"Known are {', '.join(KINDS)}."
        )
    declared = fields(KINDS[kind])
    required = [f.name for f in declared if f.default is MISSING]
    optional = [f.name for f in declared if f.default is not MISSING]
    what = f"{where} ({kind})"
    given = check_keys(
        {key: value for key, value in data.items() if key != "distribution"},
        required,
        optional,
        what,
    )
    values = {name: _read(value, f"{what}: {name}") for name, value in given.items()}
    result = KINDS[kind](**values)
    if problem := result.problem():
        raise ScenarioError(f"{what}: {problem}.")
    return result


def _read(value: Any, where: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(check_number(item, where) for item in value)
    if where.endswith((": values", ": weights")):
        raise ScenarioError(f"{where} is {value!r}; expected a list of numbers.")
    if where.endswith((": path", ": column")):
        if not isinstance(value, str):
            raise ScenarioError(f"{where} is {value!r}; expected text.")
        return value
    return check_number(value, where)


def _ordered(low: float, high: float) -> str | None:
    return None if low < high else f"low={low:g} must lie below high={high:g}"


def _positive(**numbers: float) -> str | None:
    for name, value in numbers.items():
        if not value > 0:
            return f"{name}={value:g} must be positive"
    return None
