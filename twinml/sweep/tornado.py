"""One input at a time from its low to its high quantile, the others at their medians."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.scenario.sobol import sobol_points
from twinml.sweep.intervals import normal_quantile
from twinml.sweep.middle import Reach
from twinml.sweep.reopen import evaluate, factors_of

if TYPE_CHECKING:
    from twinml.sweep.task import Task

DRAWS = 256


@final
@dataclass(frozen=True, eq=False)
class Tornado:
    """How far each of f factors alone moves m quantities.

    Args:
        factors, quantities: Their names.
        centre: Quantities with everything at its median, (m,); of what constraints leave, and of
            quantities tied to each other by one, at the draw nearest to their medians.
        low, high: Quantities at the factor's low and high quantile, (f, m); for a drawn factor
            the quantiles of the quantity itself.
        drawn: Factors without an order of their own, (f,) bool: several quantities drawn jointly,
            the rows of a table, listed values. They are drawn ``DRAWS`` times with the others at
            their medians, and the bar is the range that holds the same share of the draws.
        values: Per factor its low, middle and high value, by name; empty where drawn.
        level: Share of each factor between its low and its high quantile.
    """

    factors: tuple[str, ...]
    quantities: tuple[str, ...]
    centre: np.ndarray
    low: np.ndarray
    high: np.ndarray
    drawn: np.ndarray
    values: tuple[Mapping[str, tuple[float, float, float]], ...]
    level: float

    def to_mapping(self) -> dict[str, Any]:
        """quantity -> factor -> low, centre, high; nan becomes None."""

        def plain(value: Any) -> float | None:
            return float(value) if np.isfinite(value) else None

        return {
            quantity: {
                factor: {
                    "low": plain(self.low[i, j]),
                    "centre": plain(self.centre[j]),
                    "high": plain(self.high[i, j]),
                    "drawn": bool(self.drawn[i]),
                }
                for i, factor in enumerate(self.factors)
            }
            for j, quantity in enumerate(self.quantities)
        }


def tornado(task: Task, level: float = 0.9, seed: int = 0) -> Tornado:
    """Simulate every factor at its ends; see ``Sweep.tornado``."""
    normal_quantile(level)  # refuses what is no level
    named = factors_of(task)
    factors = task.bound.factors
    dimensions = sum(len(group) for _, group in named)
    tails = ((1 - level) / 2, (1 + level) / 2)
    reaches = [Reach(task.bound, factor) for factor in factors]
    drawn = np.array([not reach.ordered for reach in reaches])
    centre = np.empty(dimensions)
    for reach in reaches:
        centre[list(reach.factor.dimensions)] = reach.middle
    parts = [centre[None, :]]
    for reach in reaches:
        group = list(reach.factor.dimensions)
        if reach.ordered:
            ends = reach.at(np.array(tails))[:, None]
        elif reach.draws is not None:
            ends = reach.draws[:DRAWS]
        else:
            ends = sobol_points(0, DRAWS, len(group), seed)
        points = np.repeat(centre[None, :], len(ends), axis=0)
        points[:, group] = ends
        parts.append(points)
    points = np.concatenate(parts)
    values = evaluate(task, points)
    inputs = task.bound.draw_at(points)
    low: list[np.ndarray] = []
    high: list[np.ndarray] = []
    position = 1
    shown: list[dict[str, tuple[float, float, float]]] = []
    for factor, loose, part in zip(factors, drawn, parts[1:], strict=True):
        stop = position + len(part)
        found = values[position:stop]
        if loose:
            ends = [_quantile(found, tail) for tail in tails]
            shown.append({})
        else:
            ends = [found[0], found[1]]
            shown.append(
                {
                    name: (
                        float(inputs[name][position]),
                        float(inputs[name][0]),
                        float(inputs[name][position + 1]),
                    )
                    for name in factor.names
                }
            )
        low.append(ends[0])
        high.append(ends[1])
        position = stop
    return Tornado(
        tuple(name for name, _ in named), tuple(task.scenario.quantities), values[0],
        np.stack(low), np.stack(high), drawn, tuple(shown), level,
    )  # fmt: skip


def _quantile(values: np.ndarray, share: float) -> np.ndarray:
    """Quantile of what is finite in each column; nan where nothing is."""
    result = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        finite = values[np.isfinite(values[:, column]), column]
        if len(finite):
            result[column] = np.quantile(finite, share)
    return result
