"""Functions of one and two numbers, by their torch names, in scalar operations.

Where torch computes a value by parts, the entry does the same, so that both agree to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twinml.lowering.choices import bounded
from twinml.lowering.operations import operation, plain, pointwise
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    Emit,
    Traced,
    elementwise,
    is_bool,
)

_UNARY = {
    "neg": "neg negative", "abs": "abs absolute fabs", "sign": "sign sgn", "sqrt": "sqrt",
    "sqrt0": "sqrt0", "exp": "exp", "expm1": "expm1 special_expm1", "exp2": "exp2 special_exp2",
    "log": "log", "log1p": "log1p special_log1p", "log2": "log2", "log10": "log10",
    "sin": "sin", "cos": "cos", "tan": "tan", "asin": "asin arcsin", "acos": "acos arccos",
    "atan": "atan arctan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "asinh": "asinh arcsinh", "acosh": "acosh arccosh", "atanh": "atanh arctanh",
    "sigmoid": "sigmoid special_expit expit", "relu": "relu", "silu": "silu",
    "erf": "erf special_erf", "floor": "floor", "ceil": "ceil", "trunc": "trunc fix",
}  # fmt: skip
_BINARY = {
    "minimum": "minimum", "maximum": "maximum", "atan2": "atan2 arctan2", "hypot": "hypot",
    "fmod": "fmod", "copysign": "copysign",
}  # fmt: skip
for _op, _names in _UNARY.items():
    operation(*_names.split())(plain(_op, 1))
for _op, _names in _BINARY.items():
    operation(*_names.split())(plain(_op, 2))


@operation("add")
def _add(recorder: Recorder, input: Any, other: Any, alpha: float = 1) -> Traced:
    a, b = recorder.value(input), recorder.value(other)
    if is_bool(a) and is_bool(b):
        return elementwise(recorder, lambda emit, x, y: emit("or", x, y), [a, b], numbers=False)
    return elementwise(recorder, lambda emit, x, y: emit("add", x, _scaled(emit, y, alpha)), [a, b])


@operation("sub", "subtract")
def _sub(recorder: Recorder, input: Any, other: Any, alpha: float = 1) -> Traced:
    values = [recorder.value(input), recorder.value(other)]
    return elementwise(recorder, lambda emit, x, y: emit("sub", x, _scaled(emit, y, alpha)), values)


@operation("rsub")
def _rsub(recorder: Recorder, input: Any, other: Any, alpha: float = 1) -> Traced:
    return _sub(recorder, other, input, alpha)


@operation("radd")
def _radd(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _add(recorder, other, input)


def _scaled(emit: Emit, place: int, alpha: float) -> int:
    return place if alpha == 1 else emit("mul", float(alpha), place)


@operation("mul", "multiply")
def _mul(recorder: Recorder, input: Any, other: Any) -> Traced:
    a, b = recorder.value(input), recorder.value(other)
    if is_bool(a) and is_bool(b):
        return elementwise(recorder, lambda emit, x, y: emit("and", x, y), [a, b], numbers=False)
    return elementwise(recorder, lambda emit, x, y: emit("mul", x, y), [a, b])


@operation("rmul")
def _rmul(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _mul(recorder, other, input)


@operation("div", "divide", "true_divide", "truediv")
def _div(recorder: Recorder, input: Any, other: Any, rounding_mode: str | None = None) -> Traced:
    values = [recorder.value(input), recorder.value(other)]
    if rounding_mode == "floor":
        return elementwise(recorder, _floor_divide, values)

    def quotient(emit: Emit, a: int, b: int) -> int:
        ratio = emit("div", a, b)
        return emit("trunc", ratio) if rounding_mode == "trunc" else ratio

    return elementwise(recorder, quotient, values)


@operation("rtruediv", "rdiv")
def _rdiv(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _div(recorder, other, input)


@operation("floor_divide", "floordiv")
def _floordiv(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _div(recorder, input, other, rounding_mode="floor")


@operation("rfloordiv")
def _rfloordiv(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _div(recorder, other, input, rounding_mode="floor")


def _floor_divide(emit: Emit, a: int, b: int) -> int:
    """torch's: exact where a plain floor(a / b) would be rounded across a whole number."""
    rest = emit("fmod", a, b)
    whole = emit("div", emit("sub", a, rest), b)
    crossed = emit(
        "and", emit("ne", rest, 0.0), emit("xor", emit("lt", b, 0.0), emit("lt", rest, 0.0))
    )
    whole = emit("select", crossed, emit("sub", whole, 1.0), whole)
    down = emit("floor", whole)
    far = emit("gt", emit("sub", whole, down), 0.5)
    down = emit("select", far, emit("add", down, 1.0), down)
    zero = emit("copysign", 0.0, emit("div", a, b))
    found = emit("select", emit("eq", whole, 0.0), zero, down)
    return emit("select", emit("eq", b, 0.0), emit("div", a, b), found)


@operation("remainder", "mod")
def _remainder(recorder: Recorder, input: Any, other: Any) -> Traced:
    values = [recorder.value(input), recorder.value(other)]
    return elementwise(recorder, lambda emit, a, b: emit("remainder", a, b), values)


@operation("rmod")
def _rmod(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _remainder(recorder, other, input)


@operation("pow", "float_power")
def _pow(recorder: Recorder, input: Any, exponent: Any) -> Traced:
    base = recorder.value(input)
    if isinstance(exponent, (int, float, np.generic)) and not isinstance(exponent, bool):
        power = float(exponent)
        return elementwise(recorder, lambda emit, x: number_power(emit, x, power), [base])
    values = [base, recorder.value(exponent)]
    return elementwise(recorder, lambda emit, x, y: emit("pow", x, y), values)


@operation("rpow")
def _rpow(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _pow(recorder, other, input)


def number_power(emit: Emit, x: int, power: float) -> int:
    """A power by a number: torch's own short cuts, and whole powers up to 8 by products.

    The products are within 2 ulp of the power, which torch computes within 1.
    """
    if power == 0.0:
        return emit.builder.constant(1.0)
    if power == 0.5:
        return emit("sqrt", x)
    if power == -0.5:
        return emit("div", 1.0, emit("sqrt", x))
    if power.is_integer() and abs(power) <= 8:
        product = _product(emit, x, int(abs(power)))
        return product if power > 0 else emit("div", 1.0, product)
    return emit("pow", x, power)


def _product(emit: Emit, x: int, count: int) -> int:
    if count == 1:
        return x
    if count % 2:
        return emit("mul", _product(emit, x, count - 1), x)
    half = _product(emit, x, count // 2)
    return emit("mul", half, half)


@pointwise("square")
def _square(emit: Emit, input: int) -> int:
    return emit("mul", input, input)


@pointwise("rsqrt")
def _rsqrt(emit: Emit, input: int) -> int:
    return emit("div", 1.0, emit("sqrt", input))


@pointwise("reciprocal")
def _reciprocal(emit: Emit, input: int) -> int:
    return emit("div", 1.0, input)


@pointwise("lerp", tensors=3)
def _lerp(emit: Emit, input: int, end: int, weight: int) -> int:
    rise = emit("sub", end, input)
    near = emit("add", input, emit("mul", weight, rise))
    far = emit("sub", end, emit("mul", rise, emit("sub", 1.0, weight)))
    return emit("select", emit("lt", emit("abs", weight), 0.5), near, far)


@pointwise("addcmul", tensors=3)
def _addcmul(emit: Emit, input: int, tensor1: int, tensor2: int, value: float = 1) -> int:
    return emit("add", input, emit("mul", _scaled(emit, tensor1, value), tensor2))


@pointwise("addcdiv", tensors=3)
def _addcdiv(emit: Emit, input: int, tensor1: int, tensor2: int, value: float = 1) -> int:
    return emit("add", input, emit("div", _scaled(emit, tensor1, value), tensor2))


@pointwise("deg2rad")
def _deg2rad(emit: Emit, input: int) -> int:
    return emit("mul", input, math.pi / 180.0)


@pointwise("rad2deg")
def _rad2deg(emit: Emit, input: int) -> int:
    return emit("mul", input, 180.0 / math.pi)


@pointwise("frac")
def _frac(emit: Emit, input: int) -> int:
    return emit("sub", input, emit("trunc", input))


@pointwise("positive", "pos")
def _positive(emit: Emit, input: int) -> int:
    return input


@pointwise("sinc", "special_sinc")
def _sinc(emit: Emit, input: int) -> int:
    angle = emit("mul", input, math.pi)
    safe = emit("select", emit("eq", input, 0.0), 1.0, emit("div", emit("sin", angle), angle))
    return safe


@pointwise("logit", "special_logit")
def _logit(emit: Emit, input: int, eps: float | None = None) -> int:
    if eps is not None:
        input = bounded(emit, input, float(eps), 1.0 - float(eps))
    return emit("log", emit("div", input, emit("sub", 1.0, input)))


@pointwise("logaddexp", tensors=2)
def _logaddexp(emit: Emit, input: int, other: int) -> int:
    larger = emit("maximum", input, other)
    apart = emit("neg", emit("abs", emit("sub", input, other)))
    found = emit("add", larger, emit("log1p", emit("exp", apart)))
    same = emit("and", emit("eq", input, other), emit("not", emit("isfinite", input)))
    return emit("select", same, input, found)
