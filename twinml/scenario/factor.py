"""The independent sources of variation of a scenario, and the coordinates each one takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from twinml.errors import ScenarioError, nearest
from twinml.scenario.distribution import Calibrated, Fixed, Tabled

if TYPE_CHECKING:
    from twinml.data.posterior import Posterior
    from twinml.expression import Expression
    from twinml.scenario.correlation import CorrelatedSet
    from twinml.scenario.scenario import Scenario


@final
@dataclass(frozen=True)
class Factor:
    """An independent source of variation: a quantity, or several that hang together.

    Args:
        label: For tables and plots, e.g. "day", "correlated(a,b)" or "calibrated(beta,gamma)".
        names: The quantities it drives.
        dimensions: Its coordinates among the design's.
        calibrated: Whether the coordinates are the calibration's independent normals.
        correlated: How its coordinates become correlated ones, or None.
        conditions: Constraints between the quantities of this factor.
        parts: The factors that the conditions tie together; empty without conditions.
    """

    label: str
    names: tuple[str, ...]
    dimensions: tuple[int, ...]
    calibrated: bool = False
    correlated: CorrelatedSet | None = None
    conditions: tuple[Expression, ...] = ()
    parts: tuple[Factor, ...] = ()


def drawn_posterior(scenario: Scenario, posterior: Posterior | None) -> Posterior | None:
    """The marginal joint distribution of the fitted quantities that are drawn, or None.

    Raises:
        ScenarioError: ``vary`` or ``except`` asks for what no calibration gives.
    """
    asked = dict.fromkeys(scenario.calibrated, "vary")
    asked.update(dict.fromkeys(scenario.except_, "except"))
    if posterior is None:
        if asked:
            name, key = next(iter(asked.items()))
            raise ScenarioError(
                f"{key} asks for '{name}' from a calibration, and none was given. Give one with "
                "calibration=<run or calibration.json>; 'twinml calibrate twin=<name>' makes it."
            )
        return None
    for name, key in asked.items():
        if name not in posterior.names:
            raise ScenarioError(
                f"{key} asks for '{name}' from the calibration, which fitted "
                f"{', '.join(posterior.names)}.{nearest(name, posterior.names)} "
                "Calibrate it too, or give it another distribution."
            )
    drawn = [
        name
        for name in posterior.names
        if name in scenario.calibrated or not (name in scenario.vary or name in scenario.except_)
    ]
    return posterior.subset(drawn) if drawn else None


def sources(scenario: Scenario, posterior: Posterior | None) -> tuple[Factor, ...]:
    """What would vary independently if there were no constraints, in the coordinates' order."""
    tied = {name: group for group in scenario.correlated for name in group.names}
    names: dict[str, list[str]] = {}
    dimensions: dict[str, list[int]] = {}
    sets: dict[str, CorrelatedSet] = {}
    position = 0
    for name, varied in scenario.vary.items():
        entry = varied.distribution
        if isinstance(entry, Calibrated | Fixed):
            continue
        label = name
        if isinstance(entry, Tabled):
            label = f"table({entry.path})"
        elif name in tied:
            label = f"correlated({','.join(tied[name].names)})"
            sets[label] = tied[name]
        # columns of one file share the coordinate that picks the row
        if not (isinstance(entry, Tabled) and label in names):
            dimensions.setdefault(label, []).append(position)
            position += 1
        names.setdefault(label, []).append(name)
    result = [
        Factor(label, tuple(group), tuple(dimensions[label]), correlated=sets.get(label))
        for label, group in names.items()
    ]
    drawn = drawn_posterior(scenario, posterior)
    if drawn is not None:
        block = tuple(range(position, position + len(drawn.names)))
        label = f"calibrated({','.join(drawn.names)})"
        result.append(Factor(label, drawn.names, block, calibrated=True))
    return tuple(result)


def factors(scenario: Scenario, posterior: Posterior | None) -> tuple[Factor, ...]:
    """The independent factors, in the order of their first coordinates.

    Quantities under a common constraint are not independent of each other and form one factor.
    """
    groups: list[tuple[list[Factor], list[Expression]]] = [
        ([source], []) for source in sources(scenario, posterior)
    ]
    for condition in scenario.constraints:
        touched = [g for g in groups if any(condition.names & set(s.names) for s in g[0])]
        if not touched:
            continue
        joined = (
            [source for group in touched for source in group[0]],
            [*(c for group in touched for c in group[1]), condition],
        )
        first = groups.index(touched[0])
        groups[first] = joined
        groups = [group for group in groups if group is joined or group not in touched]
    return tuple(_joined(parts, conditions) for parts, conditions in groups)


def coordinates(scenario: Scenario, posterior: Posterior | None) -> int:
    """How many coordinates of the design the scenario takes."""
    return sum(len(source.dimensions) for source in sources(scenario, posterior))


def _joined(parts: list[Factor], conditions: list[Expression]) -> Factor:
    if not conditions:
        return parts[0]
    names = tuple(name for part in parts for name in part.names)
    dimensions = tuple(place for part in parts for place in part.dimensions)
    label = parts[0].label if len(parts) == 1 else f"constrained({','.join(names)})"
    return Factor(
        label, names, dimensions, conditions=tuple(conditions), parts=tuple(parts),
    )  # fmt: skip
