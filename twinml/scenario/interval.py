"""Between which bounds the value of an expression lies, from the bounds of its names."""

from __future__ import annotations

import math
from collections.abc import Mapping

from twinml.expression import Binary, Comparison, Elementwise, Expression, Name, Negate, Number

Interval = tuple[float, float]
EVERYWHERE = (-math.inf, math.inf)


def interval(expression: Expression, known: Mapping[str, Interval]) -> Interval:
    """Bounds that hold for every value of the names; wider than needed where a name repeats.

    Source: Moore, Kearfott and Cloud (2009), Introduction to Interval Analysis, ch. 2 and 5.
    """
    match expression:
        case Number(value):
            return value, value
        case Name(name):
            return known.get(name, EVERYWHERE)
        case Negate(operand):
            low, high = interval(operand, known)
            return -high, -low
        case Comparison():
            return 0.0, 1.0
        case Binary(operator, left, right):
            return _binary(operator, interval(left, known), interval(right, known))
        case Elementwise(function, arguments):
            return _elementwise(function, [interval(a, known) for a in arguments])
    return EVERYWHERE


def _binary(operator: str, a: Interval, b: Interval) -> Interval:
    if operator == "+":
        return a[0] + b[0], a[1] + b[1]
    if operator == "-":
        return a[0] - b[1], a[1] - b[0]
    if operator == "*":
        return _hull([_times(x, y) for x in a for y in b])
    if operator == "/" and (b[0] > 0 or b[1] < 0):
        return _hull([_times(x, 1.0 / y) for x in a for y in b])
    if operator == "**" and b[0] == b[1] and (a[0] >= 0 or b[0] == 2):
        try:
            ends = [x ** b[0] for x in a]
        except (OverflowError, ZeroDivisionError):
            return EVERYWHERE
        return _hull([*ends, 0.0] if a[0] < 0 < a[1] else ends)
    return EVERYWHERE


def _elementwise(function: str, parts: list[Interval]) -> Interval:
    low, high = parts[0]
    match function:
        case "min" | "max":
            pick = min if function == "min" else max
            return pick(p[0] for p in parts), pick(p[1] for p in parts)
        case "abs":
            largest = max(abs(low), abs(high))
            return (0.0 if low <= 0 <= high else min(abs(low), abs(high))), largest
        case "sqrt":
            return math.sqrt(max(low, 0.0)), math.sqrt(max(high, 0.0))
        case "log":
            return (
                math.log(low) if low > 0 else -math.inf,
                math.log(high) if high > 0 else -math.inf,
            )
        case "exp":
            return tuple(math.exp(x) if x < 700 else math.inf for x in (low, high))  # type: ignore[return-value]
    return EVERYWHERE


def _times(x: float, y: float) -> float:
    # a bound that is not reached counts as one: 0 * inf is 0 here
    return 0.0 if 0.0 in (x, y) else x * y


def _hull(ends: list[float]) -> Interval:
    return min(ends), max(ends)
