"""Fitted quantities, their bounds, and the coordinates in which they are free.

The coordinate is log(v - low) with one bound, log((v - low) / (high - v)) with two, and v
itself with none: the same as in ``twinml.data.posterior``, here in torch so that
derivatives pass through.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from twinml.errors import ArgumentError, nearest
from twinml.physics import Physics

INITIAL = "initial."


@final
@dataclass(frozen=True)
class Unknown:
    """One fitted quantity.

    Args:
        name: A parameter, or ``initial.<state>``.
        unit: Its unit.
        guess: Value to start from.
        low, high: Bounds, +-inf where there is none.
    """

    name: str
    unit: str
    guess: float
    low: float
    high: float

    @property
    def initial(self) -> str | None:
        """The state whose initial value this is, or None for a parameter."""
        return self.name.removeprefix(INITIAL) if self.name.startswith(INITIAL) else None

    def free(self, value: float) -> float:
        """Coordinate of a value."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return math.log((value - self.low) / (self.high - value))
        if math.isfinite(self.low):
            return math.log(value - self.low)
        return math.log(self.high - value) if math.isfinite(self.high) else value

    def bounded(self, coordinate: Tensor) -> Tensor:
        """Value of a coordinate."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return self.low + (self.high - self.low) * torch.sigmoid(coordinate)
        if math.isfinite(self.low):
            return self.low + torch.exp(coordinate)
        return self.high - torch.exp(coordinate) if math.isfinite(self.high) else coordinate

    def slope(self, value: float) -> float:
        """Derivative of the value by the coordinate."""
        if math.isfinite(self.low) and math.isfinite(self.high):
            return (value - self.low) * (self.high - value) / (self.high - self.low)
        if math.isfinite(self.low):
            return value - self.low
        return value - self.high if math.isfinite(self.high) else 1.0

    def start(self, place: float) -> float:
        """Coordinate of a starting value for ``place`` in (0, 1); 0.5 is near the guess.

        With two bounds starts fill the range (by ratio when both are positive), with one they
        spread over a factor of 20 about the guess, with none over its size.
        """
        if math.isfinite(self.low) and math.isfinite(self.high):
            place = min(max(place, 1e-3), 1 - 1e-3)
            if self.low > 0:
                return self.free(self.low * (self.high / self.low) ** place)
            return self.free(self.low + place * (self.high - self.low))
        if math.isfinite(self.low) or math.isfinite(self.high):
            return self.free(self._inside()) + math.log(20.0) * (2 * place - 1)
        return self.guess + 2.0 * max(abs(self.guess), 1.0) * (2 * place - 1)

    def first(self) -> float:
        """Coordinate of the guess, moved off a bound it may sit on."""
        return self.free(self._inside())

    def _inside(self) -> float:
        low, high, value = self.low, self.high, self.guess
        if math.isfinite(low) and math.isfinite(high):
            margin = 1e-3 * (high - low)
            return min(max(value, low + margin), high - margin)
        margin = max(1e-3 * abs(value), 1e-3)
        if math.isfinite(low):
            return max(value, low + margin)
        return min(value, high - margin) if math.isfinite(high) else value


def unknowns(model: Physics, fit: Sequence[str], fit_initial: Sequence[str]) -> tuple[Unknown, ...]:
    """The fitted quantities, parameters first.

    Raises:
        ArgumentError: a name that is not a parameter or scalar state, twice the same name, or
            nothing to fit.
    """
    if isinstance(fit, str) or isinstance(fit_initial, str):
        raise ArgumentError("fit and fit_initial are lists of names, such as fit=['beta'].")
    if not fit and not fit_initial:
        raise ArgumentError(
            f"nothing to fit; name parameters in fit= (of {list(model.declared.parameters)}) or "
            f"states in fit_initial= (of {list(model.declared.states)})."
        )
    found: list[Unknown] = []
    for name in fit:
        declared = model.declared.parameters
        if name not in declared:
            raise ArgumentError(
                f"fit names '{name}', which is not a parameter of {type(model).__name__}; it has "
                f"{list(declared)}." + nearest(str(name), declared)
            )
        parameter = declared[name]
        guess = model.default(name)
        found.append(Unknown(name, parameter.unit, *_range(guess, parameter.low, parameter.high)))
    for name in fit_initial:
        states = model.declared.states
        if name not in states:
            raise ArgumentError(
                f"fit_initial names '{name}', which is not a state of {type(model).__name__}; it "
                f"has {list(states)}." + nearest(str(name), states)
            )
        state = states[name]
        if state.size is not None:
            raise ArgumentError(
                f"fit_initial names '{name}', a vector state; only scalars are fitted."
            )
        found.append(
            Unknown(INITIAL + name, state.unit, *_range(state.initial, state.low, state.high))
        )
    names = [unknown.name for unknown in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ArgumentError(f"'{twice[0]}' is named twice among what to fit; name it once.")
    return tuple(found)


def _range(
    guess: float | None, low: float | None, high: float | None
) -> tuple[float, float, float]:
    left = -math.inf if low is None else low
    right = math.inf if high is None else high
    if guess is None:
        if math.isfinite(left) and math.isfinite(right):
            guess = 0.5 * (left + right)
        else:
            guess = (
                left + 1.0 if math.isfinite(left) else right - 1.0 if math.isfinite(right) else 0.0
            )
    return guess, left, right
