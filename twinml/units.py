"""Units at the boundary: parse, compare, convert. The only home of pint.

pint is imported when the first unit other than "1" is met; after the boundary all
numbers are plain tensors in their declared unit, so units cost nothing in a solve.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, final

from twinml.errors import MissingDependencyError, UnitError

T = TypeVar("T")

_NUMBER = re.compile(
    r"\s*([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)\s*$", re.DOTALL
)


@lru_cache(maxsize=1)
def _registry() -> Any:
    try:
        import pint
    except ImportError as error:  # pragma: no cover - pint is a core dependency
        raise MissingDependencyError(
            "units other than '1' need the package pint; install it with 'pip install pint'"
        ) from error
    return pint.UnitRegistry(autoconvert_offset_to_baseunit=True, cache_folder=None)


@lru_cache(maxsize=1024)
def _parse(unit: str) -> Any:
    return _registry().Unit(unit)


def check_unit(unit: object, what: str) -> str:
    """Return ``unit`` when it parses.

    Args:
        unit: Text such as "cm^0.5/s", "degC" or "1" (no dimension).
        what: Whose unit it is, for the message.

    Raises:
        UnitError: not text, or not a unit pint knows.
    """
    if not isinstance(unit, str) or not unit.strip():
        raise UnitError(
            f"{what} has unit {unit!r}; expected text such as 'cm', 'kg/s', 'degC', "
            "or '1' for a number without dimension."
        )
    if unit != "1":
        try:
            _parse(unit)
        except MissingDependencyError:
            raise
        except Exception as error:
            raise UnitError(
                f"{what} has unit {unit!r}, which does not parse ({error}). "
                "Write it as in 'cm^0.5/s', 'cm/(V*s)', 'degC', or '1' for no dimension."
            ) from None
    return unit


def same_dimension(a: str, b: str) -> bool:
    """Whether values in unit ``a`` can be expressed in unit ``b``."""
    if a == b:
        return True
    return _dimension(a) == _dimension(b)


def _dimension(unit: str) -> Any:
    return _registry().dimensionless.dimensionality if unit == "1" else _parse(unit).dimensionality


@lru_cache(maxsize=1024)
def _affine(source: str, target: str) -> tuple[float, float]:
    registry = _registry()
    zero = registry.Quantity(0.0, "dimensionless" if source == "1" else _parse(source))
    one = registry.Quantity(1.0, "dimensionless" if source == "1" else _parse(source))
    goal = "dimensionless" if target == "1" else _parse(target)
    offset = float(zero.to(goal).magnitude)
    scale = float(one.to(goal).magnitude) - offset
    return scale, offset


def conversion(source: str, target: str, what: str) -> tuple[float, float]:
    """Scale and offset with ``value_in_target = scale * value_in_source + offset``.

    Raises:
        UnitError: a unit does not parse, or the dimensions differ.
    """
    check_unit(source, what)
    check_unit(target, what)
    if source == target:
        return 1.0, 0.0
    if not same_dimension(source, target):
        raise UnitError(
            f"{what} is given in {source!r} but declared in {target!r}: the dimensions differ, "
            f"so no factor converts one into the other. Give it in {target!r} or a unit of the "
            "same dimension."
        )
    return _affine(source, target)


def convert(value: T, source: str, target: str, what: str) -> T:
    """``value`` (number, array or tensor) in unit ``source`` expressed in ``target``.

    Raises:
        UnitError: a unit does not parse, or the dimensions differ.
    """
    scale, offset = conversion(source, target, what)
    if scale == 1.0 and offset == 0.0:
        return value
    result: Any = value
    result = result * scale
    return result + offset if offset else result


def quantity(value: object, unit: str, what: str) -> float:
    """A number in the declared ``unit`` from a number or from text with its own unit.

    ``"1.8/day"``, ``"25 degC"`` and ``"90 s"`` are converted; ``2.5`` and ``"2.5"`` are taken
    as they are.

    Raises:
        UnitError: not a number, a unit that does not parse, or another dimension.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise UnitError(
            f"{what} is {value!r}; expected a number in {unit!r} or text such as '1.8 {unit}'."
        )
    if not isinstance(value, str):
        return float(value)
    match = _NUMBER.match(value)
    if match is None:
        raise UnitError(
            f"{what} is {value!r}; expected a number in {unit!r} or text such as '1.8 {unit}'."
        )
    number, rest = float(match.group(1).replace("_", "")), match.group(2).strip()
    if not math.isfinite(number):
        raise UnitError(f"{what} is {value!r}; expected a finite number in {unit!r}.")
    if not rest:
        return number
    source = f"1{rest}" if rest.startswith("/") else rest.removeprefix("*").strip()
    return float(convert(number, source, unit, what))


@final
@dataclass(frozen=True)
class Measure:
    """What a number measures: a unit that can be multiplied, divided and raised.

    Args:
        unit: pint's unit; that of a difference where the declared one has an offset.
        offset: Whether zero is arbitrary, as in degC.
    """

    unit: Any
    offset: bool = False

    @classmethod
    def of(cls, unit: str) -> Measure:
        """The measure of a unit's text.

        Raises:
            UnitError: the text does not parse.
        """
        check_unit(unit, "a value")
        if unit == "1":
            return cls(_registry().dimensionless)
        parsed = _parse(unit)
        if _registry().Quantity(0.0, parsed).to_base_units().magnitude != 0.0:
            return cls(_registry().Unit(f"delta_{parsed}"), offset=True)
        return cls(parsed)

    def times(self, other: Measure) -> Measure:
        """Measure of a product."""
        return Measure(self.unit * other.unit)

    def over(self, other: Measure) -> Measure:
        """Measure of a ratio."""
        return Measure(self.unit / other.unit)

    def power(self, exponent: float) -> Measure:
        """Measure of a power."""
        return Measure(self.unit**exponent)

    def factor(self, other: Measure) -> float | None:
        """How many of ``other`` one of this is; None when the dimensions differ."""
        if self.unit == other.unit:
            return 1.0
        # Exponents such as 0.5 + 0.25 - 0.75 are zero only up to rounding.
        powers = dict((self.unit / other.unit).dimensionality)
        if any(abs(exponent) > 1e-9 for exponent in powers.values()):
            return None
        one = _registry().Quantity(1.0, self.unit / other.unit).to_base_units()
        return float(one.magnitude)

    def __str__(self) -> str:
        text = f"{self.unit:~C}"
        return (text.replace("Δ°", "deg") if self.offset else text) or "1"
