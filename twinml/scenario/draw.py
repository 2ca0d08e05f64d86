"""From points of the unit cube to values of the varied quantities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from twinml.errors import ScenarioError, nearest
from twinml.scenario.design import Grid
from twinml.scenario.distribution import Calibrated, Distribution, Fixed, Tabled
from twinml.scenario.tilt import WEIGHT, bind_tilt

if TYPE_CHECKING:
    from twinml.data.posterior import Posterior
    from twinml.scenario.scenario import Scenario


@final
@dataclass(frozen=True)
class Factor:
    """An independent source of variation: one quantity, one table's row, or the calibration.

    Args:
        label: For tables and plots, e.g. "day" or "calibrated(beta,gamma)".
        names: The quantities it drives.
        dimensions: Its coordinates among the design's.
        calibrated: Whether the coordinates are the calibration's independent normals.
    """

    label: str
    names: tuple[str, ...]
    dimensions: tuple[int, ...]
    calibrated: bool = False


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


def factors(scenario: Scenario, posterior: Posterior | None) -> tuple[Factor, ...]:
    """The independent factors in the order of their coordinates."""
    groups: dict[str, list[str]] = {}
    for name, varied in scenario.vary.items():
        match varied.distribution:
            case Calibrated() | Fixed():
                continue
            case Tabled(path=path):
                groups.setdefault(f"table({path})", []).append(name)
            case _:
                groups[name] = [name]
    result = [
        Factor(label, tuple(names), (position,))
        for position, (label, names) in enumerate(groups.items())
    ]
    drawn = drawn_posterior(scenario, posterior)
    if drawn is not None:
        block = tuple(range(len(result), len(result) + len(drawn.names)))
        label = f"calibrated({','.join(drawn.names)})"
        result.append(Factor(label, drawn.names, block, calibrated=True))
    return tuple(result)


def draw(
    scenario: Scenario,
    posterior: Posterior | None,
    start: int,
    stop: int,
    n_total: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Values of samples ``start`` to ``stop``; see ``Scenario.draw``."""
    check_total(scenario, posterior, n_total)
    count = sum(len(factor.dimensions) for factor in factors(scenario, posterior))
    tilt = bind_tilt(scenario, posterior, factors(scenario, posterior))
    if tilt is not None:
        from scipy.special import ndtri

        # the coordinate after all others says whether the sample is tilted
        points = scenario.rule.points(start, stop, n_total, count + 1, seed)
        moved = tilt.move(ndtri(points[:, :count]), points[:, count])
        return {WEIGHT: tilt.weight(moved), **draw_normal(scenario, posterior, moved)}
    points = scenario.rule.points(start, stop, n_total, count, seed)
    rows = np.arange(start, stop) if scenario.design == "table" else None
    return draw_at(scenario, posterior, points, rows)


def check_total(scenario: Scenario, posterior: Posterior | None, n_total: int) -> None:
    """Refuse a number of samples that the design or a table cannot give.

    Raises:
        ScenarioError: Not a positive whole number, not a power of levels (grid), or more
            samples than rows (table).
    """
    if isinstance(n_total, bool) or not isinstance(n_total, int) or n_total < 1:
        raise ScenarioError(f"samples is {n_total!r}; expected a whole number, at least 1.")
    count = sum(len(factor.dimensions) for factor in factors(scenario, posterior))
    if scenario.design == "grid" and count:
        Grid.levels(n_total, count)
    if scenario.design == "table":
        for varied in scenario.vary.values():
            entry = varied.distribution
            if isinstance(entry, Tabled) and n_total > len(entry.values):
                raise ScenarioError(
                    f"samples is {n_total:,}, but {entry.path} has {len(entry.values):,} rows and "
                    "design: table takes one row per sample. Ask for fewer, or use another design."
                )


def draw_at(
    scenario: Scenario,
    posterior: Posterior | None,
    points: np.ndarray,
    rows: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Values at given points of the unit cube.

    Args:
        points: Shape (N, d), strictly inside (0, 1), d the coordinates of all factors.
        rows: Row of each table for each sample; None draws rows by their coordinate.

    Returns:
        Name to values, each (N,).
    """
    from scipy.special import ndtri

    def value(entry: Distribution, u: np.ndarray) -> np.ndarray:
        if rows is not None and isinstance(entry, Tabled):
            return entry.values[np.minimum(rows, len(entry.values) - 1)]
        return entry.quantile(u)

    return _values(scenario, posterior, points, ndtri, value)


def draw_normal(
    scenario: Scenario, posterior: Posterior | None, normals: np.ndarray
) -> dict[str, np.ndarray]:
    """Values at given independent standard normals (N, d), as ``draw_at`` at Phi of them.

    Digits are kept in both tails, where Phi rounds to 1.
    """

    def value(entry: Distribution, score: np.ndarray) -> np.ndarray:
        return entry.from_normal(score)

    return _values(scenario, posterior, normals, lambda scores: scores, value)


def _values(
    scenario: Scenario,
    posterior: Posterior | None,
    coordinates: np.ndarray,
    normal: Callable[[np.ndarray], np.ndarray],
    value: Callable[[Distribution, np.ndarray], np.ndarray],
) -> dict[str, np.ndarray]:
    """Every drawn quantity, from coordinates that ``normal`` turns into standard normals."""
    columns: dict[str, np.ndarray] = {}
    drawn = drawn_posterior(scenario, posterior)
    for factor in factors(scenario, posterior):
        picked = np.ascontiguousarray(coordinates[:, list(factor.dimensions)])
        if factor.calibrated and drawn is not None:
            values = drawn.draw(normal(picked))
            columns.update({name: values[:, j] for j, name in enumerate(drawn.names)})
            continue
        for name in factor.names:
            columns[name] = value(scenario.vary[name].distribution, picked[:, 0])
    for name, varied in scenario.vary.items():
        if isinstance(varied.distribution, Fixed):
            columns[name] = varied.distribution.quantile(np.empty(len(coordinates)))
    if posterior is not None:
        for name in scenario.except_:
            estimate = posterior.values[posterior.names.index(name)]
            columns[name] = np.full(len(coordinates), estimate)
    order = dict.fromkeys([*scenario.vary, *(() if posterior is None else posterior.names)])
    return {name: np.ascontiguousarray(columns[name]) for name in order if name in columns}
