"""From points of the unit cube to values of the varied quantities."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from twinml.errors import ScenarioError
from twinml.scenario.constraint import TRIALS, fingerprints, met, redraw
from twinml.scenario.design import Grid, philox_points
from twinml.scenario.distribution import Fixed, Tabled
from twinml.scenario.factor import (
    Factor,
    coordinates,
    drawn_posterior,
    factors,
    sources,
)
from twinml.scenario.sobol import sobol_points
from twinml.scenario.tilt import WEIGHT, bind_tilt

if TYPE_CHECKING:
    from torch import Tensor

    from twinml.data.posterior import Posterior
    from twinml.scenario.constraint import Known
    from twinml.scenario.scenario import Scenario

__all__ = [
    "Factor", "acceptance", "admissible", "admissible_points", "check_total", "draw", "draw_at",
    "draw_normal", "drawn_posterior", "factors",
]  # fmt: skip

Columns = dict[str, np.ndarray]


def draw(
    scenario: Scenario,
    posterior: Posterior | None,
    start: int,
    stop: int,
    n_total: int,
    seed: int,
    known: Known | None = None,
) -> Columns:
    """Values of samples ``start`` to ``stop``; see ``Scenario.draw``.

    Args:
        known: From values as they are drawn to everything that constraints may name, in the
            model's units; None takes the values as they are.
    """
    check_total(scenario, posterior, n_total)
    count = coordinates(scenario, posterior)
    ids = np.arange(start, stop)
    tilt = bind_tilt(scenario, posterior)
    if tilt is not None:
        from scipy.special import ndtri

        # the coordinate after all others says whether the sample is tilted
        points = scenario.rule.points(start, stop, n_total, count + 1, seed)
        moved = tilt.move(ndtri(points[:, :count]), points[:, count])
        columns = draw_normal(scenario, posterior, moved)
        _keep_constraints(scenario, posterior, columns, known, seed, ids)
        return {WEIGHT: tilt.weight(moved), **columns}
    points = scenario.rule.points(start, stop, n_total, count, seed)
    rows = ids if scenario.design == "table" else None
    return _drawn(scenario, posterior, points, rows, known, seed, ids)


def draw_at(
    scenario: Scenario,
    posterior: Posterior | None,
    points: np.ndarray,
    rows: np.ndarray | None = None,
    known: Known | None = None,
) -> Columns:
    """Values at given points of the unit cube.

    A point that breaks a constraint is replaced by one that follows from its own coordinates, so
    that this, too, is a pure function of the point, factor by factor.

    Args:
        points: Shape (N, d), strictly inside (0, 1), d the coordinates of all factors.
        rows: Row of each table for each sample; None draws rows by their coordinate.
        known: As in ``draw``.

    Returns:
        Name to values, each (N,).
    """
    return _drawn(scenario, posterior, points, rows, known, 0, None)


def draw_normal(scenario: Scenario, posterior: Posterior | None, normals: np.ndarray) -> Columns:
    """Values at independent standard normals (N, d), whether they meet the constraints or not.

    What ``draw_at`` gives at Phi of them without constraints, with digits in both tails, where
    Phi rounds to 1.
    """
    return _unconstrained(scenario, posterior, normals, None, normal=True)


def admissible(
    scenario: Scenario, posterior: Posterior | None, columns: Columns, known: Known | None = None
) -> np.ndarray:
    """Which rows meet every constraint, (N,) bool."""
    good = np.ones(len(next(iter(columns.values()))), dtype=bool)
    for factor in factors(scenario, posterior):
        if factor.conditions:
            good &= met(factor, columns, known or _as_written(scenario))
    return good


def admissible_points(
    scenario: Scenario,
    posterior: Posterior | None,
    factor: Factor,
    known: Known | None = None,
    enough: int = 1024,
) -> np.ndarray:
    """Points of a constrained factor's coordinates that meet its conditions, (K, coordinates).

    They spread evenly over what the constraints leave and are always the same; ``enough`` or
    more, fewer where hardly a trial is accepted.
    """
    own = list(factor.dimensions)
    points = np.full((TRIALS, coordinates(scenario, posterior)), 0.5)
    found: list[np.ndarray] = []
    for chunk in range(64):
        start = chunk * TRIALS
        points[:, own] = sobol_points(start, start + TRIALS, len(own), 0)
        columns = _unconstrained(scenario, posterior, points, None)
        found.append(points[met(factor, columns, known or _as_written(scenario))][:, own])
        if sum(map(len, found)) >= enough:
            break
    return np.concatenate(found)


def acceptance(
    scenario: Scenario, posterior: Posterior | None, known: Known | None = None
) -> dict[Factor, float]:
    """Share of trial samples that meets the constraints of each factor that has some."""
    count = coordinates(scenario, posterior)
    points = philox_points(0, TRIALS, count, 0, "acceptance")
    columns = _unconstrained(scenario, posterior, points, None)
    return {
        factor: float(met(factor, columns, known or _as_written(scenario)).mean())
        for factor in factors(scenario, posterior)
        if factor.conditions
    }


def check_total(scenario: Scenario, posterior: Posterior | None, n_total: int) -> None:
    """Refuse a number of samples that the design or a table cannot give.

    Raises:
        ScenarioError: Not a positive whole number, not a power of levels (grid), or more
            samples than rows (table).
    """
    if isinstance(n_total, bool) or not isinstance(n_total, int) or n_total < 1:
        raise ScenarioError(f"samples is {n_total!r}; expected a whole number, at least 1.")
    count = coordinates(scenario, posterior)
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


def _drawn(
    scenario: Scenario,
    posterior: Posterior | None,
    points: np.ndarray,
    rows: np.ndarray | None,
    known: Known | None,
    seed: int,
    ids: np.ndarray | None,
) -> Columns:
    columns = _unconstrained(scenario, posterior, points, rows)
    _keep_constraints(scenario, posterior, columns, known, seed, points if ids is None else ids)
    return columns


def _keep_constraints(
    scenario: Scenario,
    posterior: Posterior | None,
    columns: Columns,
    known: Known | None,
    seed: int,
    keys: np.ndarray,
) -> None:
    """Draw again, in place, what breaks a constraint; keyed by sample (N,) or by point (N, d)."""
    if not scenario.constraints:
        return
    known = known or _as_written(scenario)
    varied = {name for source in sources(scenario, posterior) for name in source.names}
    constants = {name: column for name, column in columns.items() if name not in varied}
    for factor in factors(scenario, posterior):
        if not factor.conditions:
            continue
        values = {name: columns[name] for name in factor.names} | constants

        def make(trial: np.ndarray, factor: Factor = factor) -> Columns:
            return _of_factor(scenario, posterior, factor, trial)

        ids = keys if keys.ndim == 1 else fingerprints(keys[:, list(factor.dimensions)])
        redraw(factor, values, make, known, seed, ids)


def _unconstrained(
    scenario: Scenario,
    posterior: Posterior | None,
    points: np.ndarray,
    rows: np.ndarray | None,
    normal: bool = False,
) -> Columns:
    columns: Columns = {}
    drawn = drawn_posterior(scenario, posterior)
    for source in sources(scenario, posterior):
        own = points[:, list(source.dimensions)]
        columns |= _of_source(scenario, drawn, source, own, rows, normal)
    for name, varied in scenario.vary.items():
        if isinstance(varied.distribution, Fixed):
            columns[name] = varied.distribution.quantile(np.empty(len(points)))
    if posterior is not None:
        for name in scenario.except_:
            estimate = posterior.values[posterior.names.index(name)]
            columns[name] = np.full(len(points), estimate)
    order = dict.fromkeys([*scenario.vary, *(() if posterior is None else posterior.names)])
    return {name: np.ascontiguousarray(columns[name]) for name in order if name in columns}


def _of_factor(
    scenario: Scenario, posterior: Posterior | None, factor: Factor, points: np.ndarray
) -> Columns:
    """The quantities of a factor at points of its own coordinates, before its conditions."""
    drawn = drawn_posterior(scenario, posterior)
    columns: Columns = {}
    first = 0
    for part in factor.parts:
        block = points[:, first : first + len(part.dimensions)]
        columns |= _of_source(scenario, drawn, part, block, None)
        first += len(part.dimensions)
    return {name: np.ascontiguousarray(column) for name, column in columns.items()}


def _of_source(
    scenario: Scenario,
    drawn: Posterior | None,
    source: Factor,
    points: np.ndarray,
    rows: np.ndarray | None,
    normal: bool = False,
) -> Columns:
    """The quantities of a source at points of its coordinates, or at normal scores of them."""
    from scipy.special import ndtri

    if source.calibrated and drawn is not None:
        scores = np.ascontiguousarray(points)
        values = drawn.draw(scores if normal else ndtri(scores))
        return {name: values[:, j] for j, name in enumerate(drawn.names)}
    mixed = points
    if source.correlated is not None:
        mix = source.correlated.mix_scores if normal else source.correlated.mix
        mixed = mix(points)
    columns: Columns = {}
    for j, name in enumerate(source.names):
        # columns of one table share one coordinate
        own = np.ascontiguousarray(mixed[:, j if source.correlated is not None else 0])
        entry = scenario.vary[name].distribution
        if rows is not None and isinstance(entry, Tabled):
            columns[name] = entry.values[np.minimum(rows, len(entry.values) - 1)]
        else:
            columns[name] = entry.from_normal(own) if normal else entry.quantile(own)
    return columns


def _as_written(scenario: Scenario) -> Known:
    """Values as they are drawn; refuses constraints that need the model's units or parameters."""
    for condition in scenario.constraints:
        for name in sorted(condition.names):
            if name not in scenario.vary or scenario.vary[name].unit is not None:
                raise ScenarioError(
                    f"constraints: '{condition.text}' uses '{name}', whose value in the model's "
                    "units is known only with the model. Draw by scenario.check(model, "
                    "calibration).draw(...)."
                )

    def known(values: Mapping[str, np.ndarray]) -> Mapping[str, Tensor]:
        import torch

        return {name: torch.as_tensor(column) for name, column in values.items()}

    return known
