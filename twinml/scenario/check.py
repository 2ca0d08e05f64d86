"""A scenario tied to a model: every name, bound and unit checked, values in the model's units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, final

from twinml.expression import Expression
from twinml.scenario.constraint import check_acceptance
from twinml.scenario.draw import (
    acceptance,
    admissible,
    admissible_points,
    draw,
    draw_at,
    draw_normal,
    drawn_posterior,
    factors,
)
from twinml.scenario.driven import bind_profiles
from twinml.scenario.fit import (
    INITIAL,
    Column,
    Role,
    check_bounds,
    check_changes,
    check_constraints,
    check_given,
    check_profiles,
    check_quantities,
    check_used,
    columns_of,
)
from twinml.scenario.horizon_unit import in_horizon_unit
from twinml.scenario.tilt import bind_tilt
from twinml.units import conversion

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.driven import Driven
    from twinml.scenario.factor import Factor
    from twinml.scenario.scenario import Scenario


@final
@dataclass(frozen=True, eq=False)
class BoundScenario:
    """What a sweep needs to simulate a scenario on a model.

    Args:
        start, stop: Horizon in the model's time unit.
        columns: Everything that ``draw`` gives, in the table's order.
        quantities: Name to expression, times in the horizon's unit.
        time_scale: Model time units per horizon unit.
        driven: Inputs that run by a profile.
    """

    scenario: Scenario
    model: Physics
    posterior: Posterior | None
    start: float
    stop: float
    columns: tuple[Column, ...]
    quantities: Mapping[str, Expression]
    time_scale: float
    driven: tuple[Driven, ...] = ()

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The independent sources of variation."""
        return factors(self.scenario, self.posterior)

    @property
    def units(self) -> dict[str, str]:
        """Units of the drawn columns."""
        return {column.name: column.unit for column in self.columns}

    def draw(self, start: int, stop: int, n_total: int, seed: int) -> dict[str, np.ndarray]:
        """Samples ``start`` to ``stop`` in the model's units, each (stop - start,)."""
        return self._converted(
            draw(self.scenario, self.posterior, start, stop, n_total, seed, self._known_as_drawn)
        )

    def draw_at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Values at points of the unit cube (N, d), in the model's units, each (N,)."""
        return self._converted(
            draw_at(self.scenario, self.posterior, points, known=self._known_as_drawn)
        )

    def draw_normal(self, normals: np.ndarray) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Values at independent standard normals (N, d), in the model's units, each (N,).

        And which of the rows meet the constraints, (N,) bool; none is drawn again.
        """
        drawn = draw_normal(self.scenario, self.posterior, normals)
        known = self._known_as_drawn
        good = admissible(self.scenario, self.posterior, drawn, known)
        return self._converted(drawn), good

    @cached_property
    def acceptance(self) -> dict[Factor, float]:
        """Share of trial samples that meets the constraints, by the factor they tie together."""
        if not self.scenario.constraints:
            return {}
        return acceptance(self.scenario, self.posterior, self._known_as_drawn)

    def admissible_points(self, factor: Factor) -> np.ndarray:
        """Points of a constrained factor's coordinates that meet its conditions, (K, c)."""
        return admissible_points(self.scenario, self.posterior, factor, self._known_as_drawn)

    def arguments(self, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The arguments of ``simulate`` that differ by row.

        Args:
            values: What ``draw`` gave, each (B,).

        Returns:
            parameters, initial, inputs and constants, each name to (B,) float64 (inputs with a
            profile to a ``Signal``), and changes with their expressions evaluated row by row.
        """
        import torch

        from twinml.solve.change import Change

        tensors = {name: torch.as_tensor(column) for name, column in values.items()}
        groups: dict[Role, dict[str, Tensor]] = {
            "parameter": {}, "initial": {}, "input": {}, "free": {},
        }  # fmt: skip
        for column in self.columns:
            name = column.name.removeprefix(INITIAL) if column.role == "initial" else column.name
            groups[column.role][name] = tensors[column.name]
        known = self._known(tensors)
        rows = len(next(iter(tensors.values()))) if tensors else 1

        def spread(expression: Expression) -> Tensor:
            return expression.evaluate(known).to(torch.float64).expand(rows)

        inputs: dict[str, Any] = {**groups["input"]}
        changes: list[Change] = []
        for driven in self.driven:
            inputs[driven.name], first = driven.arguments(spread, self.start, self.time_scale)
            changes.extend(first)
        for change in self.scenario.changes:
            at, value = spread(change.at) * self.time_scale, spread(change.value)
            until = None
            if change.until is not None:
                until = spread(change.until) * self.time_scale
                # a span that ends before it begins never comes; the engine refuses it for all
                at = torch.where(until <= at, math.inf, at)
                until = torch.maximum(until, at)
            # A row whose time is undefined fails by itself, through a value that is nan.
            lost = torch.isnan(at) if until is None else torch.isnan(at) | torch.isnan(until)
            at, value = at.masked_fill(lost, self.start), value.masked_fill(lost, math.nan)
            until = None if until is None else until.masked_fill(lost, math.inf)
            changes.append(Change(at, change.action, change.target, value, until))
        constants = groups["free"] | {
            INITIAL + name: value for name, value in groups["initial"].items()
        }
        return {
            "parameters": groups["parameter"],
            "initial": groups["initial"],
            "inputs": inputs,
            "constants": constants,
            "changes": changes,
        }

    def _known(self, values: Mapping[str, Tensor]) -> dict[str, Tensor | float]:
        """Everything that a fixed expression may name: parameters and what varies."""
        known: dict[str, Tensor | float] = {
            name: float(default)
            for name in self.model.declared.parameters
            if name not in values and (default := self.model.default(name)) is not None
        }
        return known | dict(values)

    def _known_as_drawn(self, values: Mapping[str, np.ndarray]) -> dict[str, Tensor | float]:
        import torch

        values = self._converted(dict(values))
        return self._known({name: torch.as_tensor(column) for name, column in values.items()})

    def _converted(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for column in self.columns:
            if column.name in values and (column.scale, column.offset) != (1.0, 0.0):
                values[column.name] = values[column.name] * column.scale + column.offset
        return values


def bind(
    scenario: Scenario, model: Physics, posterior: Posterior | None, given: Iterable[str] = ()
) -> BoundScenario:
    """Check a scenario against a model; see ``Scenario.check``.

    Without a posterior the calibrated quantities are checked by name only and cannot be drawn.
    """
    if posterior is not None:
        drawn_posterior(scenario, posterior)
    horizon = scenario.horizon
    time_scale = 1.0
    if horizon.unit is not None:
        time_scale, _ = conversion(horizon.unit, model.time_unit, "the horizon")
    given = set(given)
    columns = columns_of(scenario, model, posterior)
    check_bounds(scenario, model, columns)
    check_profiles(scenario, model, columns, given)
    check_changes(scenario, model, columns)
    check_constraints(scenario, model, columns)
    check_quantities(scenario, model, columns)
    check_used(scenario, model, columns)
    check_given(model, {*given, *scenario.profiles, *(column.name for column in columns)})
    bound = BoundScenario(
        scenario=scenario,
        model=model,
        posterior=posterior,
        start=horizon.start * time_scale,
        stop=horizon.stop * time_scale,
        columns=columns,
        quantities={
            name: in_horizon_unit(expression, time_scale)
            for name, expression in scenario.quantities.items()
        },
        time_scale=time_scale,
        driven=bind_profiles(scenario, model, posterior, columns),
    )
    if posterior is not None or not scenario.calibrated:
        bind_tilt(scenario, posterior)
        for factor, accepted in bound.acceptance.items():
            check_acceptance(factor, accepted)
    return bound
