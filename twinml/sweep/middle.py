"""Where the middle of a factor is, and its quantiles, also where constraints leave a part of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import numpy as np

from twinml.errors import ScenarioError
from twinml.scenario.distribution import Choice, Tabled

if TYPE_CHECKING:
    from twinml.scenario import BoundScenario
    from twinml.scenario.factor import Factor


@final
class Reach:
    """What a factor's coordinates can be.

    A constraint cuts a part out of the cube of coordinates. Of what it leaves, draws are taken;
    middle and quantiles are the nearest of them, so that they meet the constraint too.

    Args:
        bound: The scenario on its model.
        factor: One of its factors.
    """

    def __init__(self, bound: BoundScenario, factor: Factor) -> None:
        self.factor = factor
        self.entries = [
            varied.distribution
            for name in factor.names
            if (varied := bound.scenario.vary.get(name)) is not None
        ]
        self.draws = bound.admissible_points(factor) if factor.conditions else None

    @property
    def ordered(self) -> bool:
        """Whether it is one quantity that has a smaller and a larger side."""
        return not (
            len(self.factor.names) > 1
            or self.factor.calibrated
            or any(isinstance(entry, Choice | Tabled) for entry in self.entries)
        )

    @property
    def signed(self) -> bool:
        """Whether a larger coordinate is a larger value."""
        values = [list(entry.values) for entry in self.entries if isinstance(entry, Choice)]
        whole = all(listed == sorted(listed) for listed in values)
        loose = any(isinstance(entry, Tabled) for entry in self.entries)
        return len(self.factor.dimensions) == 1 and whole and not loose

    @property
    def middle(self) -> np.ndarray:
        """Coordinates of the median, (c,); of several quantities, of the draw nearest to theirs."""
        if self.draws is not None:
            away = np.abs(self.draws - np.median(self.draws, axis=0)).sum(axis=1)
            return self.draws[np.argmin(away)]
        first = self.entries[0] if self.entries else None
        if isinstance(first, Tabled):
            columns = [entry.values for entry in self.entries if isinstance(entry, Tabled)]
            ranks = [np.argsort(np.argsort(column, kind="stable")) for column in columns]
            away = sum(np.abs(rank - (len(rank) - 1) / 2) for rank in ranks)
            return np.array([(int(np.argmin(away)) + 0.5) / len(columns[0])])
        if isinstance(first, Choice) and len(self.factor.names) == 1:
            return np.array([_middle_choice(first)])
        return np.full(len(self.factor.dimensions), 0.5)

    def at(self, shares: np.ndarray) -> np.ndarray:
        """Coordinates of quantiles of a factor of one coordinate, of the shape of ``shares``."""
        if self.draws is None:
            return shares
        draws = np.sort(self.draws[:, 0])
        return draws[np.clip((shares * len(draws)).astype(np.int64), 0, len(draws) - 1)]


def check_steps(bound: BoundScenario) -> None:
    """Refuses factors in which Morris' steps cannot be made.

    Raises:
        ScenarioError: A constraint ties several quantities; names it.
    """
    for factor in bound.factors:
        if factor.conditions and len(factor.dimensions) > 1:
            raise ScenarioError(
                "Morris' effects move every factor by half of its probability, and the constraint "
                f"'{factor.conditions[0].text}' leaves no such step to {', '.join(factor.names)}. "
                "Use the Sobol indices or the tornado, which take these quantities as one factor, "
                "or leave the constraint out."
            )


def _middle_choice(entry: Choice) -> float:
    """The coordinate in the middle of the median value's cell."""
    weights = np.ones(len(entry.values)) if entry.weights is None else np.array(entry.weights)
    shares = weights / weights.sum()
    order = np.argsort(entry.values, kind="stable")
    below = np.cumsum(shares[order])
    chosen = order[min(int(np.searchsorted(below, 0.5)), len(order) - 1)]
    return float(np.cumsum(shares)[chosen] - shares[chosen] / 2)
