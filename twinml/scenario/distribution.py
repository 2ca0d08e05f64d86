"""The kinds of distribution, and how they are read: the continuous ones and those by values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.continuous import (
    Beta,
    Distribution,
    Gamma,
    LogNormal,
    Normal,
    Triangular,
    Uniform,
)
from twinml.scenario.keys import check_keys, check_number
from twinml.scenario.truncated import Cut, Truncated

__all__ = [
    "KINDS", "Beta", "Calibrated", "Choice", "Cut", "Distribution", "Fixed", "Gamma", "LogNormal",
    "Normal", "Tabled", "Triangular", "Truncated", "Uniform", "read_distribution",
]  # fmt: skip


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
    form = Cut if kind == Cut.kind and "of" in data else KINDS[kind]
    declared = fields(form)
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
    result = form(**values)
    if problem := result.problem():
        raise ScenarioError(f"{what}: {problem}.")
    return result


def _read(value: Any, where: str) -> Any:
    if where.endswith(": of"):
        return read_distribution(value, where)
    if isinstance(value, list | tuple):
        return tuple(check_number(item, where) for item in value)
    if where.endswith((": values", ": weights")):
        raise ScenarioError(f"{where} is {value!r}; expected a list of numbers.")
    if where.endswith((": path", ": column")):
        if not isinstance(value, str):
            raise ScenarioError(f"{where} is {value!r}; expected text.")
        return value
    return check_number(value, where)
