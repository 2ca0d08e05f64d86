"""The unit of a quantity, worked out from its expression."""

from __future__ import annotations

from collections.abc import Mapping

from twinml.expression import (
    Binary,
    Comparison,
    Elementwise,
    Expression,
    Functional,
    Name,
    Negate,
    Number,
)

_TIMES = ("time_of_max", "time_of_min", "time_above", "first_time")


def quantity_unit(expression: Expression, units: Mapping[str, str], clock: str) -> str:
    """Unit text of an expression.

    A number has the unit of what it is added to or compared with, so ``level - 3`` is in the
    unit of ``level``; nothing is checked here.

    Args:
        units: Unit of every name.
        clock: Unit of time.
    """
    return _unit(expression, units, clock) or "1"


def _unit(expression: Expression, units: Mapping[str, str], clock: str) -> str | None:
    def of(child: Expression) -> str | None:
        return _unit(child, units, clock)

    match expression:
        case Number():
            return None
        case Name("t"):
            return clock
        case Name(name):
            return units.get(name, "1")
        case Negate(operand):
            return of(operand)
        case Functional(kind, argument):
            if kind in _TIMES:
                return clock
            inner = of(argument) or "1"
            return _product(inner, clock) if kind == "integral" else inner
        case Comparison() | Elementwise("exp" | "log"):
            return "1"
        case Elementwise("sqrt", (argument,)):
            inner = of(argument) or "1"
            return "1" if inner == "1" else f"({inner})^0.5"
        case Elementwise(arguments=arguments):
            return next((unit for a in arguments if (unit := of(a))), None)
        case Binary("+" | "-", left, right):
            return of(left) or of(right)
        case Binary("*", left, right):
            return _product(of(left) or "1", of(right) or "1")
        case Binary("/", left, right):
            above, below = of(left) or "1", of(right) or "1"
            if above == below:
                return "1"
            return above if below == "1" else f"{_wrapped(above)}/{_wrapped(below)}"
        case Binary("**", left, Number(value)):
            inner = of(left) or "1"
            return "1" if inner == "1" else f"({inner})^{value:g}"
    return "1"


def _product(a: str, b: str) -> str:
    if "1" in (a, b):
        return b if a == "1" else a
    for rate, other in ((a, b), (b, a)):
        above, _, below = rate.partition("/")
        if _plain(above) and _plain(below) and _plain(other):
            if other == below:  # cm/s over s
                return above
            if above == "1":  # 1/s of cm
                return f"{other}/{below}"
    return f"{_wrapped(a)}*{_wrapped(b)}"


def _plain(unit: str) -> bool:
    return unit.replace("_", "").isalnum()


def _wrapped(unit: str) -> str:
    return unit if _plain(unit) else f"({unit})"
