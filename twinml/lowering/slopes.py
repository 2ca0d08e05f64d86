"""Derivative rules of the scalar operations, and the arithmetic in which they are written.

The rules give what torch's forward mode gives, at kinks too: 0 for abs and relu at 0, half for each
side where minimum and maximum tie, the chosen branch alone of a select. A derivative that is zero
by structure is absent (None), so that no slope, however infinite, meets it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import final

from twinml.lowering.program import (
    Apply,
    Builder,
    Constant,
    Pack,
    Truth,
    Wide,
    kind_of,
    operands,
    width_of,
)
from twinml.physics.functions import SQRT0_WIDTH

Tangent = int | None  # place of a derivative; None where it is zero by structure

_SOFTPLUS_LINEAR_FROM = 20.0  # torch's default threshold


@final
class Arithmetic:
    """Operations on places of a builder that drop zeros and ones; for derivatives only.

    Where an operand is a vector the operation is applied to each of its elements. In the equations
    themselves 0 * inf must stay nan; in a derivative a zero factor means that nothing depends.
    """

    def __init__(self, builder: Builder) -> None:
        self.builder = builder

    def number(self, place: int) -> float | None:
        node = self.builder.nodes[place]
        return node.value if isinstance(node, Constant) else None

    def is_vector(self, *places: int) -> bool:
        return any(kind_of(self.builder.nodes[place]) == "vector" for place in places)

    def constant(self, value: float) -> int:
        return self.builder.constant(value)

    def apply(self, op: str, *args: int) -> int:
        if not self.is_vector(*args):
            return self.builder.apply(op, *args)
        nodes = self.builder.nodes
        return self.builder.add(Wide(op, args, max(width_of(nodes[place]) for place in args)))

    def _negated(self, place: int) -> int | None:
        """What a negation negates."""
        node = self.builder.nodes[place]
        return node.args[0] if isinstance(node, Apply | Wide) and node.op == "neg" else None

    def _may_be_nothing(self, place: int) -> bool:
        """Whether it is a choice, or choices, with a plain 0 among them."""
        node = self.builder.nodes[place]
        return (
            isinstance(node, Apply)
            and node.op == "select"
            and any(self.number(a) == 0.0 or self._may_be_nothing(a) for a in node.args[1:])
        )

    def neg(self, a: int) -> int:
        value, inner = self.number(a), self._negated(a)
        if value is not None:
            return self.constant(-value)
        return self.apply("neg", a) if inner is None else inner

    def add(self, a: int, b: int) -> int:
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.constant(x + y)
        if x == 0.0:
            return b
        if y == 0.0:
            return a
        inner = self._negated(b)
        if inner is not None:
            return self.sub(a, inner)
        inner = self._negated(a)
        return self.apply("add", a, b) if inner is None else self.sub(b, inner)

    def sub(self, a: int, b: int) -> int:
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.constant(x - y)
        if x == 0.0:
            return self.neg(b)
        if y == 0.0:
            return a
        inner = self._negated(b)
        return self.apply("sub", a, b) if inner is None else self.add(a, inner)

    def mul(self, a: int, b: int) -> int:
        x, y = self.number(a), self.number(b)
        if x is not None and y is not None:
            return self.constant(x * y)
        for value, other in ((x, b), (y, a)):
            if value == 0.0:
                return self.constant(0.0)
            if value == 1.0:
                return other
            if value == -1.0:
                return self.neg(other)
        # Into a choice with nothing on one side: there no slope, however infinite, may meet it.
        for choice, other in ((a, b), (b, a)):
            if self._may_be_nothing(choice):
                mask, left, right = operands(self.builder.nodes[choice])
                return self.select(mask, self.mul(left, other), self.mul(right, other))
        # Signs go outward, where a sum takes them in.
        inner = self._negated(a)
        if inner is not None:
            return self.neg(self.mul(inner, b))
        inner = self._negated(b)
        return self.apply("mul", a, b) if inner is None else self.neg(self.mul(a, inner))

    def div(self, a: int, b: int) -> int:
        x, y = self.number(a), self.number(b)
        if x == 0.0 or y == 1.0:
            return a
        if x is not None and y:
            return self.constant(x / y)
        return self.apply("div", a, b)

    def inverse(self, a: int) -> int:
        return self.div(self.constant(1.0), a)

    def select(self, mask: int, a: int, b: int) -> int:
        node = self.builder.nodes[mask]
        if isinstance(node, Truth):
            return a if node.value else b
        return a if a == b else self.builder.apply("select", mask, a, b)

    def spread(self, place: int, size: int) -> int:
        """A real as a vector; vectors as they are."""
        return place if self.is_vector(place) else self.builder.add(Pack((place,) * size))


Slopes = Callable[[Arithmetic, Sequence[int], int], tuple[Tangent, ...]]


def _of_value(rule: Callable[[Arithmetic, int], int]) -> Slopes:
    """Slope of one operand, written in the value."""
    return lambda a, args, value: (rule(a, value),)


def _of_operand(rule: Callable[[Arithmetic, int], int]) -> Slopes:
    """Slope of one operand, written in that operand."""
    return lambda a, args, value: (rule(a, args[0]),)


def _flat(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    return (None,) * len(args)


def _square(a: Arithmetic, x: int) -> int:
    return a.mul(x, x)


def _from_one(a: Arithmetic, x: int) -> int:
    return a.sub(a.constant(1.0), x)


def _plus_one(a: Arithmetic, x: int) -> int:
    return a.add(a.constant(1.0), x)


def _scaled(a: Arithmetic, factor: float, x: int) -> int:
    return a.mul(a.constant(factor), x)


def _one_over_root(a: Arithmetic, below: int) -> int:
    return a.inverse(a.apply("sqrt", below))


def _quotient(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    inverse = a.inverse(args[1])
    return inverse, a.neg(a.mul(value, inverse))


def _angle(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    y, x = args
    inverse = a.inverse(a.add(_square(a, y), _square(a, x)))
    return a.mul(x, inverse), a.neg(a.mul(y, inverse))


def _length(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    return a.div(args[0], value), a.div(args[1], value)


def _rest(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    """fmod and remainder: x - y n with a whole number n, here the one that the value used."""
    x, y = args
    whole = a.apply("round", a.apply("div", a.apply("sub", x, value), y))
    return a.constant(1.0), a.neg(whole)


def _whole_power(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    x, exponent = args[0], a.number(args[1])
    assert exponent is not None
    if exponent == 0.0:
        return None, None
    if exponent in (1.0, 2.0):
        rest = a.constant(1.0) if exponent == 1.0 else x
    else:
        rest = a.apply("powi", x, a.constant(exponent - 1.0))
    return _scaled(a, exponent, rest), None


def _power(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    exponent = a.number(args[1])
    if exponent is None:
        return _free_power(a, args[0], args[1], value)
    x = args[0]
    if exponent == 0.0:
        return None, None
    if exponent in (1.0, 2.0):
        return _scaled(a, exponent, a.constant(1.0) if exponent == 1.0 else x), None
    if exponent == 0.5:
        return a.div(a.constant(0.5), value), None
    if a.is_vector(x) or exponent.is_integer():
        return _scaled(a, exponent, a.apply("pow", x, a.constant(exponent - 1.0))), None
    # One division instead of a second power; at 0, where both vanish, the limit.
    limit = a.constant(0.0 if exponent > 1.0 else math.copysign(math.inf, exponent))
    at_zero = a.builder.apply("eq", x, a.constant(0.0))
    return a.select(at_zero, limit, _scaled(a, exponent, a.div(value, x))), None


def _free_power(a: Arithmetic, x: int, y: int, value: int) -> tuple[Tangent, ...]:
    zero = a.constant(0.0)
    by_base = a.mul(y, a.apply("pow", x, a.sub(y, a.constant(1.0))))
    if a.is_vector(x, y):
        # No choices in vectors: a number near the smallest keeps 0 log(0) from nan.
        log = a.apply("log", a.add(x, a.constant(1e-37)))
        return by_base, a.mul(value, log)
    test = a.builder.apply
    flat = test("and", test("eq", x, zero), test("ge", y, zero))
    by_exponent = a.select(flat, zero, a.mul(value, a.apply("log", x)))
    return a.select(test("eq", y, zero), zero, by_base), by_exponent


def _sqrt0(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    x, width = args[0], a.constant(SQRT0_WIDTH)
    s = a.apply("maximum", a.apply("mul", x, a.constant(1.0 / SQRT0_WIDTH)), a.constant(0.0))
    s = a.apply("minimum", s, a.constant(1.0))
    ramp = a.mul(_scaled(a, SQRT0_WIDTH**-0.5, s), a.sub(a.constant(5.0), _scaled(a, 4.5, s)))
    root = a.div(a.constant(0.5), a.apply("sqrt", a.apply("maximum", x, width)))
    if not a.is_vector(x):
        return (a.select(a.builder.apply("lt", x, width), ramp, root),)
    # No choices in vectors: beyond its end either part stays at the slope where they meet.
    return (a.add(a.sub(ramp, a.constant(0.5 * SQRT0_WIDTH**-0.5)), root),)


def _softplus(a: Arithmetic, args: Sequence[int], value: int) -> tuple[Tangent, ...]:
    x, limit = args[0], a.constant(_SOFTPLUS_LINEAR_FROM)
    if not a.is_vector(x):
        straight = a.builder.apply("gt", x, limit)
        return (a.select(straight, a.constant(1.0), a.apply("sigmoid", x)),)
    # Beyond the threshold the argument is moved to where the sigmoid is 1.
    beyond = a.apply("relu", a.apply("sign", a.sub(x, limit)))
    return (a.apply("sigmoid", a.add(x, _scaled(a, 100.0, beyond))),)


def _silu(a: Arithmetic, x: int) -> int:
    s = a.apply("sigmoid", x)
    return a.mul(s, _plus_one(a, a.mul(x, _from_one(a, s))))


def _gelu(a: Arithmetic, x: int) -> int:
    below = _scaled(a, 0.5, _plus_one(a, a.apply("erf", _scaled(a, 0.5**0.5, x))))
    bell = a.apply("exp", _scaled(a, -0.5, _square(a, x)))
    return a.add(below, a.mul(x, _scaled(a, (2.0 * math.pi) ** -0.5, bell)))


def _erf(a: Arithmetic, x: int) -> int:
    return _scaled(a, 2.0 / math.sqrt(math.pi), a.apply("exp", a.neg(_square(a, x))))


# Partial derivatives by each operand, from the operands and the value.
SLOPES: dict[str, Slopes] = {
    "add": lambda a, args, value: (a.constant(1.0), a.constant(1.0)),
    "sub": lambda a, args, value: (a.constant(1.0), a.constant(-1.0)),
    "neg": lambda a, args, value: (a.constant(-1.0),),
    "mul": lambda a, args, value: (args[1], args[0]),
    "fma": lambda a, args, value: (args[1], args[0], a.constant(1.0)),
    "fms": lambda a, args, value: (args[1], args[0], a.constant(-1.0)),
    "fnma": lambda a, args, value: (a.neg(args[1]), a.neg(args[0]), a.constant(1.0)),
    "div": _quotient,
    "pow": _power,
    "powi": _whole_power,
    "atan2": _angle,
    "hypot": _length,
    "fmod": _rest,
    "remainder": _rest,
    "abs": _of_operand(lambda a, x: a.apply("sign", x)),
    "sqrt": _of_value(lambda a, v: a.div(a.constant(0.5), v)),
    "sqrt0": _sqrt0,
    "exp": _of_value(lambda a, v: v),
    "expm1": _of_value(_plus_one),
    "exp2": _of_value(lambda a, v: _scaled(a, math.log(2.0), v)),
    "log": _of_operand(lambda a, x: a.inverse(x)),
    "log1p": _of_operand(lambda a, x: a.inverse(_plus_one(a, x))),
    "log2": _of_operand(lambda a, x: a.div(a.constant(1.0 / math.log(2.0)), x)),
    "log10": _of_operand(lambda a, x: a.div(a.constant(1.0 / math.log(10.0)), x)),
    "sin": _of_operand(lambda a, x: a.apply("cos", x)),
    "cos": _of_operand(lambda a, x: a.neg(a.apply("sin", x))),
    "tan": _of_value(lambda a, v: _plus_one(a, _square(a, v))),
    "asin": _of_operand(lambda a, x: _one_over_root(a, _from_one(a, _square(a, x)))),
    "acos": _of_operand(lambda a, x: a.neg(_one_over_root(a, _from_one(a, _square(a, x))))),
    "atan": _of_operand(lambda a, x: a.inverse(_plus_one(a, _square(a, x)))),
    "sinh": _of_operand(lambda a, x: a.apply("cosh", x)),
    "cosh": _of_operand(lambda a, x: a.apply("sinh", x)),
    "tanh": _of_value(lambda a, v: _from_one(a, _square(a, v))),
    "asinh": _of_operand(lambda a, x: _one_over_root(a, _plus_one(a, _square(a, x)))),
    "acosh": _of_operand(lambda a, x: _one_over_root(a, a.sub(_square(a, x), a.constant(1.0)))),
    "atanh": _of_operand(lambda a, x: a.inverse(_from_one(a, _square(a, x)))),
    "sigmoid": _of_value(lambda a, v: a.mul(v, _from_one(a, v))),
    "softplus": _softplus,
    "silu": _of_operand(_silu),
    "gelu": _of_operand(_gelu),
    "erf": _of_operand(_erf),
    **dict.fromkeys(("sign", "floor", "ceil", "trunc", "round"), _flat),
}

Choice = Callable[[Arithmetic, Sequence[int], Sequence[Tangent]], Tangent]


def _or_zero(a: Arithmetic, moves: Sequence[Tangent]) -> list[int]:
    return [a.constant(0.0) if move is None else move for move in moves]


def _branch(a: Arithmetic, args: Sequence[int], moves: Sequence[Tangent]) -> Tangent:
    left, right = _or_zero(a, moves[1:])
    return a.select(args[0], left, right)


def _extreme(test: str) -> Choice:
    """minimum or maximum: the operand that passes the test, half of each where they tie."""

    def rule(a: Arithmetic, args: Sequence[int], moves: Sequence[Tangent]) -> Tangent:
        x, y = args
        left, right = _or_zero(a, moves)
        if a.is_vector(x, y):
            # No choices in vectors: the share of x is 0, 1/2 or 1 by the sign of a difference.
            first, second = (x, y) if test == "gt" else (y, x)
            share = _scaled(a, 0.5, _plus_one(a, a.apply("sign", a.sub(first, second))))
            return a.add(right, a.mul(share, a.sub(left, right)))
        shared = _scaled(a, 0.5, a.add(left, right))
        tied = a.select(a.builder.apply("eq", x, y), shared, right)
        return a.select(a.builder.apply(test, x, y), left, tied)

    return rule


def _relu(a: Arithmetic, args: Sequence[int], moves: Sequence[Tangent]) -> Tangent:
    (x,), (move,) = args, moves
    assert move is not None
    if a.is_vector(x):
        return a.mul(a.apply("sign", a.apply("relu", x)), move)
    zero = a.constant(0.0)
    return a.select(a.builder.apply("le", x, zero), zero, move)


def _copysign(a: Arithmetic, args: Sequence[int], moves: Sequence[Tangent]) -> Tangent:
    x, y = args
    move = moves[0]
    if move is None:
        return None
    if a.is_vector(x, y):
        sign = a.apply("copysign", a.constant(1.0), y)
        return a.mul(a.mul(a.apply("sign", x), sign), move)
    test, zero = a.builder.apply, a.constant(0.0)
    turned = test("xor", test("signbit", x), test("signbit", y))
    return a.select(test("eq", x, zero), zero, a.select(turned, a.neg(move), move))


# Operations that hand on one operand's derivative, without a product that could spoil it.
CHOICES: dict[str, Choice] = {
    "select": _branch,
    "minimum": _extreme("lt"),
    "maximum": _extreme("gt"),
    "relu": _relu,
    "copysign": _copysign,
}
