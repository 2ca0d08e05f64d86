"""Inputs that run by a profile: what a simulation is given for them.

The rows of a block share the knots and the values of the file. What differs from row to row goes
beside them as one number each: scale and shift as timed changes from the start on, the delay as an
offset of the knots. A block of 8,192 rows with 1,024 knots thus holds 1,024 values, not 8 million.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import torch

from twinml.errors import ScenarioError
from twinml.expression import Expression, Number
from twinml.physics import Signal
from twinml.scenario.distribution import Calibrated
from twinml.scenario.interval import EVERYWHERE, Interval, interval
from twinml.scenario.profile_file import knots
from twinml.solve.change import Action, Change

if TYPE_CHECKING:
    from torch import Tensor

    from twinml.data.posterior import Posterior
    from twinml.physics import Physics
    from twinml.scenario.fit import Column
    from twinml.scenario.profile import Profile
    from twinml.scenario.scenario import Scenario

    Spread = Callable[[Expression], Tensor]


@final
@dataclass(frozen=True, eq=False)
class Driven:
    """One input with its profile in the model's units.

    Args:
        name: The input.
        signal: Knots and values, shared by all rows.
        varying: What differs by row: expressions by key, of scale, shift and delay.
        delays: Smallest and largest delay, in the horizon's unit.
    """

    name: str
    signal: Signal
    varying: dict[str, Expression]
    delays: Interval

    def arguments(
        self, spread: Spread, start: float, time_scale: float
    ) -> tuple[Signal, list[Change]]:
        """The input and the changes that act on it from the start on.

        Args:
            spread: From an expression to its values by row, (B,).
            start: Of the horizon, in the model's time unit.
            time_scale: Model time units per horizon unit.
        """
        signal = self.signal
        if "delay" in self.varying:
            delay = spread(self.varying["delay"]) * time_scale
            signal = Signal(signal.times, signal.values, signal.kind, delay)
        actions: list[tuple[str, Action]] = [("scale", "multiply"), ("shift", "add")]
        changes = [
            Change(start, action, self.name, spread(self.varying[key]))
            for key, action in actions
            if key in self.varying
        ]
        return signal, changes


def bind_profiles(
    scenario: Scenario, model: Physics, posterior: Posterior | None, columns: tuple[Column, ...]
) -> tuple[Driven, ...]:
    """Every profile of a scenario, read and checked against the horizon.

    Raises:
        ScenarioError: The file does not cover the horizon, or a delay has no lower bound.
        DataError, UnitError: The file cannot be used.
    """
    if not scenario.profiles:
        return ()
    known = _supports(scenario, model, posterior, columns)
    return tuple(
        _bind(name, profile, scenario, model, known) for name, profile in scenario.profiles.items()
    )


def _bind(
    name: str, profile: Profile, scenario: Scenario, model: Physics, known: dict[str, Interval]
) -> Driven:
    where = f"profile {name}"
    horizon, declared = scenario.horizon, model.declared.inputs[name]
    delays = interval(profile.delay, known)
    if delays[0] == -float("inf"):
        raise ScenarioError(
            f"{where}: delay '{profile.delay.text}' has no lower bound, and a profile that comes "
            "early enough ends before the horizon does. Use distributions with a lower bound, "
            "e.g. truncated."
        )
    clock = horizon.unit or model.time_unit
    found = knots(
        profile,
        scenario.profile_rows[name],
        where,
        declared.unit,
        clock,
        model.time_unit,
        (horizon.start, horizon.stop),
        delays,
    )
    times, values = torch.as_tensor(found.times), torch.as_tensor(found.values)
    varying: dict[str, Any] = {}
    for key, expression in profile.expressions.items():
        if expression.names:
            varying[key] = expression
            continue
        number = float(expression.evaluate({}))
        if key == "scale":
            values = values * number
        elif key == "shift":
            if "scale" in varying:  # what is scaled row by row is shifted after that
                varying[key] = Number(number)
                continue
            values = values + number
        elif number != 0.0:  # moved knots would leave the time before the first one undefined
            varying[key] = Number(number)
    if varying.get("shift") == Number(0.0):
        del varying["shift"]
    return Driven(name, Signal(times, values, profile.kind), varying, delays)  # type: ignore[arg-type]


def _supports(
    scenario: Scenario, model: Physics, posterior: Posterior | None, columns: tuple[Column, ...]
) -> dict[str, Interval]:
    """Bounds of everything that an expression may name."""
    known: dict[str, Interval] = {}
    for name in model.declared.parameters:
        default = model.default(name)
        if default is not None:
            known[name] = (float(default), float(default))
    for column in columns:
        varied = scenario.vary.get(column.name)
        low, high = EVERYWHERE
        if varied is not None and not isinstance(varied.distribution, Calibrated):
            low, high = varied.distribution.support
        elif posterior is not None and column.name in posterior.names:
            place = posterior.names.index(column.name)
            low, high = float(posterior.low[place]), float(posterior.high[place])
        elif column.role == "parameter":
            declared = model.declared.parameters[column.name]
            low = low if declared.low is None else declared.low
            high = high if declared.high is None else declared.high
        ends = [x * column.scale + column.offset for x in (low, high)]
        known[column.name] = min(ends), max(ends)
    return known
