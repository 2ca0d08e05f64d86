"""Tilted sampling: the design moved to where a rare event happens, and the weight of each sample.

A tilt adds a shift to the independent standard normal coordinates of the varied quantities
(exponential tilting of a Gaussian: Bucklew 2004, Introduction to Rare Event Simulation, ch. 5).
A share of the samples stays where it was (a defensive mixture: Hesterberg 1995, Technometrics
37(2), 185-194), so that no weight exceeds one over that share and quantities far from the
event are still estimated. With y the coordinates of a sample and s the shift its weight is::

    w = phi(y) / (share * phi(y) + (1 - share) * phi(y - s))
      = 1 / (share + (1 - share) * exp(s.y - |s|^2 / 2))

the density asked for over the density drawn from, so that the mean of w times a quantity over
the tilted samples estimates the quantity's mean. It is computed from y, never from a
probability that rounds to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.distribution import Choice, Fixed, Tabled
from twinml.scenario.factor import factors, sources
from twinml.scenario.keys import check_number

if TYPE_CHECKING:
    from twinml.data.posterior import Posterior
    from twinml.scenario.draw import Factor
    from twinml.scenario.scenario import Scenario, Varied

WEIGHT = "weight"  # the column of a tilted sweep's table
DEFENSIVE = 0.1
FARTHEST = 30.0  # s.d.; a normal lies beyond with probability 5e-198
DESIGNS = ("sobol", "halton", "random", "latin")


@final
@dataclass(frozen=True, eq=False)
class Tilt:
    """A shift of independent standard normals, and the share of samples it leaves alone.

    Args:
        shift: Shape (d,), one per coordinate of the factors.
        defensive: Share of samples that are not shifted, in [0, 1).
    """

    shift: np.ndarray
    defensive: float = DEFENSIVE

    def move(self, normals: np.ndarray, pick: np.ndarray) -> np.ndarray:
        """Coordinates of the tilted samples.

        Args:
            normals: Independent standard normals, (N, d).
            pick: Uniform numbers, (N,); a sample whose number lies below ``defensive`` stays.
        """
        return normals + np.where(pick < self.defensive, 0.0, 1.0)[:, None] * self.shift

    def weight(self, coordinates: np.ndarray) -> np.ndarray:
        """Likelihood ratios of samples at ``coordinates`` (N, d), each (N,).

        Sums run coordinate by coordinate, so a row does not depend on the rows beside it.
        """
        exponent = np.full(len(coordinates), -0.5 * math.fsum(s * s for s in self.shift))
        for j, shift in enumerate(self.shift):
            exponent = exponent + shift * coordinates[:, j]
        small = np.exp(-np.abs(exponent))  # the exponential that cannot overflow
        share = self.defensive
        outward = small / (share * small + (1.0 - share))
        return np.where(exponent > 0, outward, 1.0 / (share + (1.0 - share) * small))


def read_tilt(data: Any, vary: Mapping[str, Varied]) -> dict[str, float]:
    """Shifts by name, checked as far as can be done without a calibration.

    Raises:
        ScenarioError: Not numbers by name, or a quantity that has no normal score.
    """
    if not isinstance(data, Mapping):
        raise ScenarioError(
            f"tilt is {data!r}; expected varied names with shifts in standard deviations, e.g. "
            "{beta: 2.5}."
        )
    result = {}
    for name, shift in data.items():
        where = f"tilt {name}"
        entry = vary[name].distribution if name in vary else None
        if isinstance(entry, Fixed | Choice | Tabled):
            raise ScenarioError(
                f"{where}: its distribution is {entry.kind}, which has no normal score to shift. "
                "Tilt a quantity with a continuous distribution, and leave this one as it is."
            )
        result[str(name)] = check_number(shift, where)
    farthest = math.sqrt(math.fsum(s * s for s in result.values()))
    if farthest > FARTHEST:
        raise ScenarioError(
            f"tilt moves the samples by {farthest:g} standard deviations; at most {FARTHEST:g} are "
            "taken, as no sample would have a weight left. Shifts are in standard deviations of "
            "the normal score, not in units of the quantity."
        )
    return result


def read_defensive(value: Any, tilt: Mapping[str, float]) -> float:
    """The share of samples that a tilt leaves alone.

    Raises:
        ScenarioError: Not a number in [0, 1), or given without a tilt.
    """
    if value is None:
        return DEFENSIVE
    share = check_number(value, "defensive")
    if not 0 <= share < 1:
        raise ScenarioError(
            f"defensive is {share:g}; expected the share of samples that a tilt leaves alone, "
            f"zero or more and below 1 ({DEFENSIVE:g} where it is left out)."
        )
    if share != DEFENSIVE and not tilt:
        raise ScenarioError(
            "defensive is the share of samples that a tilt leaves alone, and the scenario has no "
            "tilt. Add tilt, or leave defensive out."
        )
    return share


def check_tilt(scenario: Scenario) -> None:
    """Refuse a tilt that leaves a sample without a likelihood ratio.

    Raises:
        ScenarioError: The design is a grid or a table's rows, a constraint names a tilted
            quantity, or a quantity is called as the weights are.
    """
    if not scenario.tilt:
        return
    if WEIGHT in (*scenario.vary, *scenario.quantities):
        raise ScenarioError(
            f"The name '{WEIGHT}' is taken: the table of a tilted scenario has the likelihood "
            "ratio of each sample there. Choose another."
        )
    if scenario.design not in DESIGNS:
        raise ScenarioError(
            f"design: {scenario.design} cannot be tilted: its samples are not drawn from the "
            f"distributions, so they have no likelihood ratio. Use design: {' or '.join(DESIGNS)}."
        )


def bind_tilt(scenario: Scenario, posterior: Posterior | None) -> Tilt | None:
    """The scenario's tilt in the coordinates of what varies, or None.

    A quantity is moved by the shift given for it. Quantities that are drawn jointly with it and
    not named follow by their correlation: of all shifts of the coordinates that move the named
    ones as asked, the least is taken, which keeps the weights as even as can be.

    Raises:
        ScenarioError: A name that is not drawn, or that a constraint ties.
    """
    if not scenario.tilt:
        return None
    independent = sources(scenario, posterior)
    shift = np.zeros(sum(len(source.dimensions) for source in independent))
    drawn = [name for source in independent for name in source.names]
    for name in scenario.tilt:
        if name not in drawn:
            raise ScenarioError(
                f"tilt names '{name}', which is not drawn.{nearest(name, drawn)} "
                f"Drawn are {', '.join(drawn) or 'none'}."
            )
    for factor in factors(scenario, posterior):
        for name in factor.names:
            if name in scenario.tilt and factor.conditions:
                raise ScenarioError(
                    f"tilt {name}: the constraint '{factor.conditions[0].text}' rejects some of "
                    "its samples, and how many of the tilted ones is known by trial only, so that "
                    "their likelihood ratio is not. Tilt quantities without constraints, or use "
                    "subset simulation (tw.rare_event), which takes both."
                )
    for source in independent:
        named = [i for i, name in enumerate(source.names) if name in scenario.tilt]
        if named:
            wanted = np.array([scenario.tilt[source.names[i]] for i in named])
            rows = loadings(source, posterior)[named]
            shift[list(source.dimensions)] = rows.T @ np.linalg.solve(rows @ rows.T, wanted)
    return Tilt(shift, scenario.defensive)


def name_shifts(
    shift: np.ndarray, scenario: Scenario, posterior: Posterior | None
) -> dict[str, float]:
    """Shifts by name for shifts of coordinates (d,): what ``bind_tilt`` turns back."""
    result: dict[str, float] = {}
    for source in sources(scenario, posterior):
        if shift[list(source.dimensions)].any():
            moved = loadings(source, posterior) @ shift[list(source.dimensions)]
            result.update(zip(source.names, moved.tolist(), strict=True))
    return result


def loadings(source: Factor, posterior: Posterior | None) -> np.ndarray:
    """Normal scores of a source's quantities by its coordinates, (names, coordinates).

    Rows have length 1: each score is a standard normal.
    """
    if source.correlated is not None:
        return np.array(source.correlated.lower)
    if not source.calibrated or posterior is None:
        return np.eye(len(source.dimensions))
    cholesky = posterior.subset(source.names).factor
    return cholesky / np.linalg.norm(cholesky, axis=1, keepdims=True)
