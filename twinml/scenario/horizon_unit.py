"""Expressions from the horizon's unit of time to the model's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twinml.expression import Binary, Expression, Functional, Name, Number

_TIMES = ("time_of_max", "time_of_min", "first_time", "time_above")


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
