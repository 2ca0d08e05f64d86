"""Whether a scenario fits a model: names, bounds and units, part by part."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, final

from twinml.errors import ScenarioError, nearest
from twinml.expression import Expression, Name, check_names
from twinml.scenario.distribution import Calibrated, Fixed
from twinml.units import conversion

if TYPE_CHECKING:
    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.scenario import Scenario

Role = Literal["parameter", "initial", "input", "free"]
INITIAL = "initial."


@final
@dataclass(frozen=True)
class Column:
    """One varied quantity: what it is to the model, its unit there, and how it gets there."""

    name: str
    role: Role
    unit: str
    scale: float = 1.0
    offset: float = 0.0


def role_of(name: str, model: Physics) -> Role:
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


def columns_of(
    scenario: Scenario, model: Physics, posterior: Posterior | None
) -> tuple[Column, ...]:
    fitted = {} if posterior is None else dict(zip(posterior.names, posterior.units, strict=True))
    times = [time for change in scenario.changes for time in change.times]
    times += [profile.delay for profile in scenario.profiles.values()]
    timing = {expression.name for expression in times if isinstance(expression, Name)}
    columns = []
    for name in dict.fromkeys([*scenario.vary, *fitted]):
        role = role_of(name, model)
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


def check_bounds(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
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


def check_profiles(
    scenario: Scenario, model: Physics, columns: tuple[Column, ...], given: Iterable[str]
) -> None:
    declared = model.declared
    known = {*declared.parameters, *(column.name for column in columns)}
    for name, profile in scenario.profiles.items():
        where = f"profile {name}"
        if name not in declared.inputs:
            hint = nearest(name, declared.inputs)
            if name in declared.parameters:
                hint = " A parameter is constant; timed changes act on it."
            raise ScenarioError(
                f"{where}: {type(model).__name__} has no input '{name}'.{hint} "
                f"Its inputs are {', '.join(declared.inputs) or 'none'}."
            )
        if name in given:
            raise ScenarioError(f"{where}: '{name}' is also given by inputs=; keep one of them.")
        starts = "initial" in type(model)._arguments and name in model.arguments("initial")
        if starts and profile.names:
            raise ScenarioError(
                f"{where}: initial() of {type(model).__name__} reads '{name}', and would see the "
                "file's values before they are scaled, shifted or delayed. Vary the initial values "
                "themselves (initial.<state>), or write numbers for scale, shift and delay."
            )
        for key, expression in profile.expressions.items():
            _check_fixed(expression, known, declared, f"{where}, {key}", "a profile")


def check_constraints(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    declared = model.declared
    varied = {column.name for column in columns}
    known = {*declared.parameters, *varied}
    for number, condition in enumerate(scenario.constraints, start=1):
        where = f"constraint {number}"
        _check_fixed(condition, known, declared, where, "a constraint")
        moves = {n for n in varied if not _constant(n, scenario)}
        if not condition.names & moves:
            raise ScenarioError(
                f"{where}: '{condition.text}' holds nothing that varies, so that it is met by all "
                f"samples or by none. Varied are {', '.join(sorted(moves)) or 'none'}; name a "
                "calibrated quantity under vary, too."
            )
        for name in sorted(condition.names & set(declared.parameters) - varied):
            if model.default(name) is None:
                raise ScenarioError(
                    f"{where}: '{condition.text}' uses '{name}', which has no value. Vary it."
                )


def _constant(name: str, scenario: Scenario) -> bool:
    varied = scenario.vary.get(name)
    if varied is None:
        return name in scenario.except_
    return isinstance(varied.distribution, Fixed)


def _check_fixed(
    expression: Expression, known: set[str], declared: Any, where: str, what: str
) -> None:
    moving = {*declared.states, *declared.outputs, *declared.inputs, "t"} - known
    for name in sorted(expression.names & moving):
        raise ScenarioError(
            f"{where}: '{expression.text}' uses '{name}', which changes over time; {what} is fixed "
            "before the simulation. Use parameters and varied names."
        )
    check_names(expression, known, where)


def check_changes(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    declared = model.declared
    targets = (*declared.parameters, *declared.inputs)
    known = {*declared.parameters, *(column.name for column in columns)}
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
            _check_fixed(expression, known, declared, where, "a change")


def check_quantities(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
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


def check_used(scenario: Scenario, model: Physics, columns: tuple[Column, ...]) -> None:
    used: set[str] = set()
    for expression in scenario.quantities.values():
        used |= expression.names
    for change in scenario.changes:
        used |= change.value.names.union(*(time.names for time in change.times))
    for profile in scenario.profiles.values():
        used |= profile.names
    for condition in scenario.constraints:
        used |= condition.names
    for column in columns:
        if column.role == "free" and column.name not in used:
            declared = model.declared
            initial = [INITIAL + state for state in declared.states]
            known = (*declared.parameters, *declared.inputs, *initial)
            raise ScenarioError(
                f"vary {column.name}: {type(model).__name__} has no such parameter or input, and "
                f"no change, profile, constraint or quantity uses it.{nearest(column.name, known)} "
                f"Known are {', '.join(known)}."
            )


def check_given(model: Physics, given: set[str]) -> None:
    for name in (*model.declared.parameters, *model.declared.inputs):
        if name not in given and model.default(name) is None:
            raise ScenarioError(
                f"'{name}' of {type(model).__name__} has no default and the scenario does not "
                "vary it. Add it under vary, e.g. as {distribution: fixed, value: ...}."
            )
