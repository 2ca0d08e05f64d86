"""Sobol indices by pick-freeze: which input explains how much of a quantity's variance.

First order after Saltelli et al. (2010), Comput. Phys. Commun. 181, 259-270, table 2(b); total
after Jansen (1999), Comput. Phys. Commun. 117, 35-43, as table 2(f) there. Indices are defined
for independent factors; several coordinates may form one factor, whose index is that of the
group.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from twinml.errors import ArgumentError
from twinml.scenario.design import philox_points
from twinml.scenario.sobol import sobol_points

REPLICATES = 200


@final
@dataclass(frozen=True, eq=False)
class SobolIndices:
    """Indices of m quantities with respect to f factors, each (f, m).

    Args:
        factors, quantities: Their names.
        first, total: Estimates; nan where a quantity does not vary.
        first_low, first_high, total_low, total_high: Bootstrap interval at ``level``.
        samples: Base samples; (f + 2) times as many were evaluated.
        used: Base samples with finite values throughout, (m,).
    """

    factors: tuple[str, ...]
    quantities: tuple[str, ...]
    first: np.ndarray
    first_low: np.ndarray
    first_high: np.ndarray
    total: np.ndarray
    total_low: np.ndarray
    total_high: np.ndarray
    samples: int
    used: np.ndarray
    level: float

    def to_mapping(self) -> dict[str, Any]:
        """quantity -> factor -> numbers; nan becomes None."""
        keys = ("first", "first_low", "first_high", "total", "total_low", "total_high")
        return {
            quantity: {
                factor: {
                    key: None if np.isnan(x := float(getattr(self, key)[i, j])) else x
                    for key in keys
                }
                for i, factor in enumerate(self.factors)
            }
            for j, quantity in enumerate(self.quantities)
        }


def sobol_indices(
    function: Callable[[np.ndarray], np.ndarray],
    factors: Sequence[tuple[str, Sequence[int]]],
    quantities: Sequence[str],
    samples: int = 2**12,
    seed: int = 0,
    level: float = 0.9,
) -> SobolIndices:
    """First-order and total indices of a vectorised function on the unit cube.

    Args:
        function: (N, d) points, independent and uniform on (0, 1), to (N, m) values. Rows
            with a value that is not finite are left out, quantity by quantity.
        factors: Name and coordinates of each factor; together they are all d coordinates.
        samples: Base samples; a power of two serves the underlying Sobol points best.
        seed: Of the points and of the bootstrap.
        level: Level of the bootstrap intervals over base samples. They take the points as
            independent and so are on the wide side.

    Raises:
        ArgumentError: Fewer than 8 samples, or the coordinates are not those of the cube.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 8:
        raise ArgumentError(f"samples is {samples!r}; expected a whole number, at least 8.")
    dimensions = check_factors(factors)
    both = sobol_points(0, samples, 2 * dimensions, seed)
    base, other = both[:, :dimensions], both[:, dimensions:]
    batches = [base, other]
    for _, group in factors:
        mixed = base.copy()
        mixed[:, list(group)] = other[:, list(group)]
        batches.append(mixed)
    values = np.asarray(function(np.concatenate(batches)), dtype=np.float64)
    values = values.reshape(len(batches), samples, len(quantities))
    results = [_indices(values[:, :, j], seed, level) for j in range(len(quantities))]
    stacked = {key: np.stack([result[key] for result in results], axis=1) for key in results[0]}
    used = stacked.pop("used")[0]
    names = tuple(name for name, _ in factors)
    return SobolIndices(
        factors=names, quantities=tuple(quantities), samples=samples, used=used, level=level,
        **stacked,
    )  # fmt: skip


def check_factors(factors: Sequence[tuple[str, Sequence[int]]]) -> int:
    """The number of coordinates that the factors share out among them.

    Raises:
        ArgumentError: They do not name each coordinate once.
    """
    columns = sorted(column for _, group in factors for column in group)
    if columns != list(range(len(columns))) or not factors:
        raise ArgumentError(
            f"The factors use the coordinates {columns}; expected each of 0 to "
            f"{len(columns) - 1} once."
        )
    return len(columns)


def _indices(values: np.ndarray, seed: int, level: float) -> dict[str, np.ndarray]:
    """Indices of one quantity from (f + 2, N) values: A, B, then A with factor i from B."""
    count = len(values) - 2
    finite = values[:, np.isfinite(values).all(axis=0)]
    used = finite.shape[1]
    keys = ("first", "first_low", "first_high", "total", "total_low", "total_high")
    result = {key: np.full(count, np.nan) for key in keys}
    result["used"] = np.array([used] * count)
    # what varies by rounding alone has no variance to explain
    if used < 8 or np.ptp(finite) <= 1e-12 * np.abs(finite).max():
        return result
    a, b, mixed = finite[0], finite[1], finite[2:]
    b = b - finite[:2].mean()  # the estimate is unbiased about any centre, and best about this
    terms = np.concatenate([b * (mixed - a), 0.5 * (a - mixed) ** 2, finite[:2], finite[:2] ** 2])
    estimate = _ratios(terms.mean(axis=1), count)
    replicates = np.empty((REPLICATES, 2 * count))
    for replicate in range(REPLICATES):
        uniform = philox_points(0, used, 1, seed, f"sobol bootstrap {replicate}")[:, 0]
        weights = np.bincount((uniform * used).astype(np.int64), minlength=used)
        replicates[replicate] = _ratios((terms * weights).sum(axis=1) / used, count)
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    for key, numbers in (("", estimate), ("_low", low), ("_high", high)):
        result["first" + key], result["total" + key] = numbers[:count], numbers[count:]
    return result


def _ratios(means: np.ndarray, count: int) -> np.ndarray:
    variance = means[-2:].mean() - means[-4:-2].mean() ** 2
    return means[: 2 * count] / variance if variance > 0 else np.full(2 * count, np.nan)
