"""A scenario tied to a model: every name, bound and unit checked, values in the model's units."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, final

from twinml.errors import ScenarioError, nearest
from twinml.expression import Binary, Expression, Functional, Name, Number, check_names
from twinml.scenario.distribution import Calibrated
from twinml.scenario.draw import draw, draw_at, draw_normal, drawn_posterior, factors
from twinml.scenario.tilt import bind_tilt
from twinml.units import conversion

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.draw import Factor
    from twinml.scenario.scenario import Scenario

Role = Literal["parameter", "initial", "input", "free"]
INITIAL = "initial."
_TIMES = ("time_of_max", "time_of_min", "first_time", "time_above")


@final
@dataclass(frozen=True)
class Column:
    """One varied quantity: what it is to the model, its unit there, and how it gets there."""

    name: str
    role: Role
    unit: str
    scale: float = 1.0
    offset: float = 0.0


@final
@dataclass(frozen=True, eq=False)
class BoundScenario:
    """What a sweep needs to simulate a scenario on a model.

    Args:
        start, stop: Horizon in the model's time unit.
        columns: Everything that ``draw`` gives, in the table's order.
        quantities: Name to expression, times in the horizon's unit.
        time_scale: Model time units per horizon unit.
    """

    scenario: Scenario
    model: Physics
    posterior: Posterior | None
    start: float
    stop: float
    columns: tuple[Column, ...]
    quantities: Mapping[str, Expression]
    time_scale: float

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
        return self._converted(draw(self.scenario, self.posterior, start, stop, n_total, seed))

    def draw_at(self, points: np.ndarray) -> dict[str, np.ndarray]:
        """Values at points of the unit cube (N, d), in the model's units, each (N,)."""
        return self._converted(draw_at(self.scenario, self.posterior, points))

    def draw_normal(self, normals: np.ndarray) -> dict[str, np.ndarray]:
        """Values at independent standard normals (N, d), in the model's units, each (N,)."""
        return self._converted(draw_normal(self.scenario, self.posterior, normals))

    def arguments(self, values: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """The arguments of ``simulate`` that differ by row.

        Args:
            values: What ``draw`` gave, each (B,).

        Returns:
            parameters, initial, inputs and constants, each name to (B,) float64, and changes
            with their expressions evaluated row by row.
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
        known: dict[str, Tensor | float] = {
            name: float(self.model.default(name) or 0.0)
            for name in self.model.declared.parameters
            if name not in tensors and self.model.default(name) is not None
        }
        known.update(tensors)
        rows = len(next(iter(tensors.values()))) if tensors else 1

        def spread(expression: Expression) -> Tensor:
            return expression.evaluate(known).to(torch.float64).expand(rows)

        changes = []
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
            "inputs": groups["input"],
            "constants": constants,
            "changes": changes,
        }

    def _converted(self, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        for column in self.columns:
            if (column.scale, column.offset) != (1.0, 0.0):
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
    if posterior is not None or not scenario.calibrated:
        bind_tilt(scenario, posterior, factors(scenario, posterior))
    horizon = scenario.horizon
    time_scale = 1.0
    if horizon.unit is not None:
        time_scale, _ = conversion(horizon.unit, model.time_unit, "the horizon")
    columns = _columns(scenario, model, posterior)
    _check_bounds(scenario, model, columns)
    _check_changes(scenario, model, columns)
    _check_quantities(scenario, model, columns)
    _check_used(scenario, model, columns)
    _check_given(model, {*given, *(column.name for column in columns)})
    return BoundScenario(
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
    )


def in_horizon_unit(expression: Expression, scale: float) -> Expression:
    """The expression with every time in a unit of ``scale`` model time units.

    The engine measures times in the model's unit; a scenario writes and reads them in its
    horizon's, so times going in are multiplied and times coming out divided.
    """
    if scale == 1.0:
        return expression
    factor = Number(scale)

    def below(child: Expression) -> Expression:
        return in_horizon_unit(child, scale)

    match expression:
        case Name("t"):
            return Binary("/", expression, factor)
        case Functional(kind, argument, extra):
            extra = None if extra is None else below(extra)
            if kind == "at" and extra is not None:
                extra = Binary("*", extra, factor)
            result: Expression = Functional(kind, below(argument), extra)
            if kind in _TIMES or kind == "integral":
                result = Binary("/", result, factor)
            return result
    node: Any = expression
    changed: dict[str, Any] = {}
    for name, value in vars(node).items():
        if isinstance(value, Expression):
            changed[name] = below(value)
        elif name == "arguments":
            changed[name] = tuple(below(item) for item in value)
    return replace(node, **changed) if changed else expression


def _role(name: str, model: Physics) -> Role:
    declared = model.declared
    if name in declared.parameters:
        return "parameter"
    if name in declared.inputs:
        return "input"
    if name.startswith(INITIAL):
        state = name.removeprefix(INITIAL)
        if state not in declared.states:
            raise ScenarioError(
                f"vary {name}: {type(model).__name__} has no state '{state}'."
                f"{nearest(state, declared.states)} Its states are {', '.join(declared.states)}."
            )
        if declared.states[state].size is not None:
            raise ScenarioError(
                f"vary {name}: the state has {declared.states[state].size} components; only "
                "scalar states can be varied. Tie it to a parameter in initial()."
            )
        return "initial"
    if name in declared.states:
        raise ScenarioError(
            f"vary {name}: '{name}' is a state, which follows from the equations; "
            f"vary its initial value as '{INITIAL}{name}'."
        )
    if name in declared.outputs:
        raise ScenarioError(
            f"vary {name}: '{name}' is an output, which follows from the states. "
            f"Vary one of {', '.join((*declared.parameters, *declared.inputs))}."
        )
    return "free"


def _columns(scenario: Scenario, model: Physics, posterior: Posterior | None) -> tuple[Column, ...]:
    fitted = {} if posterior is None else dict(zip(posterior.names, posterior.units, strict=True))
    timing = {
        expression.name
        for change in scenario.changes
        for expression in change.times
        if isinstance(expression, Name)
    }
    columns = []
    for name in dict.fromkeys([*scenario.vary, *fitted]):
        role = _role(name, model)
        varied = scenario.vary.get(name)
        calibrated = varied is None or isinstance(varied.distribution, Calibrated)
        if calibrated and role in ("free", "input"):
            raise ScenarioError(
                f"'{name}' comes from the calibration, but {type(model).__name__} has no such "
                f"parameter.{nearest(name, model.declared.parameters)} "
                "The calibration is of another model."
            )
        given = fitted.get(name) if calibrated else varied.unit if varied else None
        if role == "free":
            # a free name is in its own unit, but one that is a time is compared with the horizon
            clock = scenario.horizon.unit or model.time_unit
            target = clock if name in timing else given or "1"
        else:
            target = model.declared.unit(name.removeprefix(INITIAL))
        scale, offset = conversion(given or target, target, f"vary {name}")
        columns.append(Column(name, role, target, scale, offset))
    return tuple(columns)


def _check_bounds(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    for column in columns:
        varied = scenario.vary.get(column.name)
        if varied is None or isinstance(varied.distribution, Calibrated):
            continue
        if column.role == "parameter":
            declared = model.declared.parameters[column.name]
        elif column.role == "initial":
            declared = model.declared.states[column.name.removeprefix(INITIAL)]
        else:
            continue
        low, high = (x * column.scale + column.offset for x in varied.distribution.support)
        lowest = -math.inf if declared.low is None else declared.low
        highest = math.inf if declared.high is None else declared.high
        if low < lowest or high > highest:
            kind = varied.distribution.kind
            raise ScenarioError(
                f"vary {column.name}: its {kind} distribution reaches over [{low:g}, {high:g}] "
                f"{column.unit}, but {type(model).__name__} declares '{column.name}' valid on "
                f"[{lowest:g}, {highest:g}]. Narrow it"
                + (", e.g. by distribution: truncated." if math.isinf(high - low) else ".")
            )


def _check_changes(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    declared = model.declared
    targets = (*declared.parameters, *declared.inputs)
    known = {*declared.parameters, *(column.name for column in columns)}
    moving = {*declared.states, *declared.outputs, *declared.inputs, "t"} - known
    for number, change in enumerate(scenario.changes, start=1):
        where = f"change {number}"
        if change.target not in targets:
            hint = (
                " A state cannot be set while it evolves."
                if change.target in declared.states
                else nearest(change.target, targets)
            )
            raise ScenarioError(
                f"{where}: '{change.target}' is not a parameter or input.{hint} "
                f"Known are {', '.join(targets)}."
            )
        for expression in (*change.times, change.value):
            for name in sorted(expression.names & moving):
                raise ScenarioError(
                    f"{where}: '{expression.text}' uses '{name}', which changes over time; a "
                    "change is fixed before the simulation. Use parameters and varied names."
                )
            check_names(expression, known, where)


def _check_quantities(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    declared = model.declared
    constant = {*declared.parameters, *(column.name for column in columns)}
    moving = {*declared.states, *declared.outputs, *declared.inputs, "t"} - constant
    for name, expression in scenario.quantities.items():
        where = f"quantity {name}"
        for used in sorted(expression.names - constant):
            if used.removeprefix(INITIAL) in declared.states and used.startswith(INITIAL):
                raise ScenarioError(
                    f"{where}: '{used}' is known only when the scenario varies it; write "
                    f"initial({used.removeprefix(INITIAL)})."
                )
        check_names(expression, constant | moving, where)
        outside = expression.outer_names
        for functional in expression.functionals:
            if functional.kind == "at" and functional.extra is not None:
                outside |= functional.extra.names
        for used in sorted(outside & moving):
            raise ScenarioError(
                f"{where}: '{expression.text}' uses '{used}', which changes over time, where one "
                f"number is needed. Write final({used}), max({used}), at({used}, time) ..."
            )


def _check_used(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    used: set[str] = set()
    for expression in scenario.quantities.values():
        used |= expression.names
    for change in scenario.changes:
        used |= change.value.names.union(*(time.names for time in change.times))
    for column in columns:
        if column.role == "free" and column.name not in used:
            declared = model.declared
            initial = [INITIAL + state for state in declared.states]
            known = (*declared.parameters, *declared.inputs, *initial)
            raise ScenarioError(
                f"vary {column.name}: {type(model).__name__} has no such parameter or input, and "
                f"no change or quantity uses it.{nearest(column.name, known)} "
                f"Known are {', '.join(known)}."
            )


def _check_given(model: Physics, given: set[str]) -> None:
    for name in (*model.declared.parameters, *model.declared.inputs):
        if name not in given and model.default(name) is None:
            raise ScenarioError(
                f"'{name}' of {type(model).__name__} has no default and the scenario does not "
                "vary it. Add it under vary, e.g. as {distribution: fixed, value: ...}."
            )
