"""What a model declares about itself: states, parameters, inputs, outputs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import final

from twinml.errors import DeclarationError
from twinml.physics.event import Event
from twinml.units import check_unit


def check_bounds(
    kind: str, name: str, value: float | None, word: str, low: float | None, high: float | None
) -> None:
    """Refuses a value or bounds that are no numbers or contradict each other.

    Raises:
        DeclarationError: names the quantity and what to change.
    """
    for label, number in ((word, value), ("low", low), ("high", high)):
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, (int, float)) or math.isnan(number):
            raise DeclarationError(
                f"{kind} '{name}' has {label}={number!r}; expected a number in its unit."
            )
    if low is not None and high is not None and not low < high:
        raise DeclarationError(
            f"{kind} '{name}' has low={low:g} and high={high:g}; low must lie below high. "
            "Swap them or correct one."
        )
    if value is None:
        return
    if not math.isfinite(value):
        raise DeclarationError(f"{kind} '{name}' has {word}={value!r}; expected a finite number.")
    if (low is not None and value < low) or (high is not None and value > high):
        left = "-inf" if low is None else f"{low:g}"
        right = "inf" if high is None else f"{high:g}"
        raise DeclarationError(
            f"{kind} '{name}' has {word}={value:g}, outside its validity bounds [{left}, {right}]. "
            f"Move the {word} inside, or widen low and high where it is declared."
        )


@final
@dataclass(frozen=True)
class State:
    """A quantity the equations integrate.

    Args:
        unit: Unit of the value, such as "cm" or "1".
        initial: Value at the first time; None when ``initial()`` or the call gives it.
        low, high: Validity bounds in ``unit`` (calibration, scenarios, messages); never clamps.
        size: None for a scalar state, k for a vector state of shape (*batch, k).
    """

    unit: str
    initial: float | None = None
    low: float | None = None
    high: float | None = None
    size: int | None = None

    def check(self, name: str) -> None:
        check_unit(self.unit, f"state '{name}'")
        check_bounds("state", name, self.initial, "initial", self.low, self.high)
        if self.size is not None and (not isinstance(self.size, int) or self.size < 1):
            raise DeclarationError(
                f"state '{name}' has size={self.size!r}; expected a whole number from 1."
            )

    @property
    def width(self) -> int:
        """How many scalar components the state has."""
        return 1 if self.size is None else self.size


@final
@dataclass(frozen=True)
class Parameter:
    """A physical constant of the model: named, bounded, with a unit.

    Args:
        unit: Unit of the value.
        default: Value used when none is given; None makes it required.
        low, high: Validity bounds in ``unit``; calibration stays inside them.
    """

    unit: str
    default: float | None = None
    low: float | None = None
    high: float | None = None

    def check(self, name: str) -> None:
        check_unit(self.unit, f"parameter '{name}'")
        check_bounds("parameter", name, self.default, "default", self.low, self.high)


@final
@dataclass(frozen=True)
class Input:
    """A quantity imposed from outside over time.

    Args:
        unit: Unit of the value.
        default: Constant used when no signal is given; None makes it required.
    """

    unit: str
    default: float | None = None

    def check(self, name: str) -> None:
        check_unit(self.unit, f"input '{name}'")
        check_bounds("input", name, self.default, "default", None, None)


@final
@dataclass(frozen=True)
class Output:
    """A quantity that sensors see, computed by ``outputs()``.

    Args:
        unit: Unit of the value.
        noise: Measurement standard deviation in ``unit``; None lets calibration estimate it.
    """

    unit: str
    noise: float | None = None

    def check(self, name: str) -> None:
        check_unit(self.unit, f"output '{name}'")
        check_bounds("output", name, self.noise, "noise", None, None)
        if self.noise is not None and not self.noise > 0:
            raise DeclarationError(
                f"output '{name}' has noise={self.noise:g}; a standard deviation is positive. "
                "Use None to have it estimated."
            )


Declaration = State | Parameter | Input | Output


@final
@dataclass(frozen=True)
class Declarations:
    """Everything a ``Physics`` class declares, in the order written."""

    states: Mapping[str, State] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    inputs: Mapping[str, Input] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    events: Mapping[str, Event] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """All declared names of quantities, states first."""
        return (*self.states, *self.parameters, *self.inputs, *self.outputs)

    @property
    def slices(self) -> Mapping[str, slice]:
        """Rows of each state in the stacked state vector."""
        result, start = {}, 0
        for name, state in self.states.items():
            result[name] = slice(start, start + state.width)
            start += state.width
        return result

    @property
    def width(self) -> int:
        """Number of scalar state components."""
        return sum(state.width for state in self.states.values())

    def unit(self, name: str) -> str:
        """Unit of a declared name."""
        for group in (self.states, self.parameters, self.inputs, self.outputs):
            if name in group:
                return group[name].unit
        raise KeyError(name)
