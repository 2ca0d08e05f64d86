"""Morris' elementary effects: which inputs matter at all, from few simulations.

Trajectories after Morris (1991), Technometrics 33(2), 161-174: one factor is moved at a time,
each once, in random order. The mean of the effects' sizes (mu*) after Campolongo, Cariboni and
Saltelli (2007), Environ. Model. Softw. 22, 1509-1518, who also treat groups of factors that move
together. Levels are mid-points of cells of equal probability, not their ends, so that a
distribution without bounds is asked for finite values only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from twinml.errors import ArgumentError
from twinml.scenario.design import philox_points
from twinml.sweep.sensitivity import check_factors

LEVELS = 4
STEP = 0.5  # half of all levels, in probability
REPLICATES = 200


@final
@dataclass(frozen=True, eq=False)
class MorrisEffects:
    """Effects of f factors on m quantities, each (f, m), per unit of probability.

    Args:
        factors, quantities: Their names.
        mean_size: Mean of the effects' sizes (mu*): how much the factor matters.
        mean_size_low, mean_size_high: Bootstrap interval over trajectories at ``level``.
        mean: Mean effect (mu), with its sign; nan for a factor whose direction means nothing:
            several coordinates, the rows of a table, values listed in no order.
        deviation: Their standard deviation (sigma): large beside ``mean_size`` where the factor
            acts non-linearly or with others; nan where ``mean`` is.
        trajectories: How many; (f + 1) times as many points were evaluated.
        used: Effects with finite values, (f, m).
    """

    factors: tuple[str, ...]
    quantities: tuple[str, ...]
    mean_size: np.ndarray
    mean_size_low: np.ndarray
    mean_size_high: np.ndarray
    mean: np.ndarray
    deviation: np.ndarray
    trajectories: int
    used: np.ndarray
    level: float

    def to_mapping(self) -> dict[str, Any]:
        """quantity -> factor -> numbers; nan becomes None."""
        keys = ("mean_size", "mean_size_low", "mean_size_high", "mean", "deviation")
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


def morris_effects(
    function: Callable[[np.ndarray], np.ndarray],
    factors: Sequence[tuple[str, Sequence[int]]],
    quantities: Sequence[str],
    trajectories: int = 64,
    seed: int = 0,
    level: float = 0.9,
    signed: Sequence[bool] | None = None,
) -> MorrisEffects:
    """Elementary effects of a vectorised function on the unit cube.

    Args:
        function: (N, d) points to (N, m) values. Points come trajectory by trajectory, f + 1 each.
            An effect with a value that is not finite is left out.
        factors: Name and coordinates of each factor; together they are all d coordinates.
        trajectories: At least 4; 20 to 100 are usual.
        seed: Of the trajectories and of the bootstrap.
        signed: Which factors have a direction; those of one coordinate when None.

    Raises:
        ArgumentError: Fewer than 4 trajectories, or the coordinates are not those of the cube.
    """
    if isinstance(trajectories, bool) or not isinstance(trajectories, int) or trajectories < 4:
        raise ArgumentError(
            f"trajectories is {trajectories!r}; expected a whole number, at least 4."
        )
    dimensions = check_factors(factors)
    count = len(factors)
    uniform = philox_points(0, trajectories, 2 * dimensions + count, seed, "morris")
    cell = np.floor(uniform[:, :dimensions] * (LEVELS // 2))
    sign = np.where(uniform[:, dimensions : 2 * dimensions] < 0.5, 1.0, -1.0)
    order = np.argsort(uniform[:, 2 * dimensions :], axis=1, kind="stable")
    start = (cell + 0.5) / LEVELS + np.where(sign < 0, STEP, 0.0)
    points = np.repeat(start[:, None, :], count + 1, axis=1)
    for moved in range(count):
        for row, factor in enumerate(order[:, moved]):
            group = list(factors[factor][1])
            points[row, moved + 1 :, group] += (sign[row, group] * STEP)[:, None]
    values = np.asarray(function(points.reshape(-1, dimensions)), dtype=np.float64)
    values = values.reshape(trajectories, count + 1, len(quantities))
    values = np.where(np.isfinite(values), values, np.nan)  # inf - inf would warn
    steps = np.diff(values, axis=1) / STEP
    effects = np.empty((trajectories, count, len(quantities)))
    rows = np.arange(trajectories)
    for moved in range(count):
        effects[rows, order[:, moved]] = steps[:, moved]
    directed = [len(group) == 1 for _, group in factors] if signed is None else signed
    for index, (_, group) in enumerate(factors):
        effects[:, index] *= sign[:, group[0]][:, None] if directed[index] else np.nan
    sizes = np.empty_like(effects)
    for moved in range(count):
        sizes[rows, order[:, moved]] = np.abs(steps[:, moved])
    finite = np.isfinite(sizes)
    low, high = _bootstrap(np.where(finite, sizes, np.nan), seed, level)
    mean = _mean(effects)
    spread = _mean((effects - mean) ** 2)
    used = finite.sum(axis=0)
    return MorrisEffects(
        factors=tuple(name for name, _ in factors), quantities=tuple(quantities),
        mean_size=_mean(sizes), mean_size_low=low, mean_size_high=high, mean=mean,
        deviation=np.sqrt(spread * used / np.maximum(used - 1, 1)), trajectories=trajectories,
        used=used, level=level,
    )  # fmt: skip


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over trajectories of what is finite; nan where nothing is."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    total = np.where(finite, values, 0.0).sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _bootstrap(sizes: np.ndarray, seed: int, level: float) -> tuple[np.ndarray, np.ndarray]:
    count = len(sizes)
    replicates = np.empty((REPLICATES, *sizes.shape[1:]))
    for replicate in range(REPLICATES):
        uniform = philox_points(0, count, 1, seed, f"morris bootstrap {replicate}")[:, 0]
        replicates[replicate] = _mean(sizes[(uniform * count).astype(np.int64)])
    low, high = np.quantile(replicates, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high
