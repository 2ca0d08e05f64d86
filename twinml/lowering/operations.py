"""Every elementwise torch operation that equations may use, by its torch name, in scalar operations.

One entry serves the function, the method and the operator. Where torch computes a value by parts, as
``softplus`` with options, the entry does the same, so that both agree to rounding.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    STATE_DTYPE,
    Emit,
    Refused,
    Traced,
    elementwise,
    is_bool,
    is_traced,
)

Handler = Callable[..., Any]
TABLE: dict[str, Handler] = {}


def operation(*names: str) -> Callable[[Handler], Handler]:
    """Enter a handler ``(recorder, *args, **kwargs)`` under these torch names."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            TABLE[name] = handler
        return handler

    return enter


def pointwise(*names: str, tensors: int = 1) -> Callable[[Handler], Handler]:
    """Enter ``(emit, *places, *options)``, done for each element.

    Args:
        names: In torch.
        tensors: How many of the first arguments are tensors; the others are plain numbers.
    """

    def enter(function: Handler) -> Handler:
        signature = inspect.signature(function)
        order = list(signature.parameters)[1:]

        def handler(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
            bound = signature.bind(None, *args, **kwargs)
            values = [recorder.value(bound.arguments[name]) for name in order[:tensors]]
            options = {n: v for n, v in bound.arguments.items() if n in order[tensors:]}
            for name, option in options.items():
                if is_traced(option) or isinstance(option, Tensor):
                    raise Refused(
                        f"its '{name}' is a tensor", "Write a plain number, or arithmetic."
                    )
            return elementwise(recorder, lambda emit, *p: function(emit, *p, **options), values)

        for name in names:
            TABLE[name] = handler
        return function

    return enter


def _plain(op: str, tensors: int) -> Handler:
    def handler(recorder: Recorder, *args: Any, **kwargs: Any) -> Traced:
        operands = [*args, *kwargs.values()]
        kwargs.pop("inplace", None)
        if len(operands) < tensors or any(k not in _OPERAND_NAMES for k in kwargs):
            raise TypeError(f"{op} with {list(kwargs)}")
        values = [recorder.value(operand) for operand in operands[:tensors]]
        return elementwise(recorder, lambda emit, *places: emit(op, *places), values)

    return handler


_OPERAND_NAMES = ("input", "other", "exponent", "self")

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
    operation(*_names.split())(_plain(_op, 1))
for _op, _names in _BINARY.items():
    operation(*_names.split())(_plain(_op, 2))


# Arithmetic


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
        return elementwise(recorder, lambda emit, x: _power(emit, x, power), [base])
    values = [base, recorder.value(exponent)]
    return elementwise(recorder, lambda emit, x, y: emit("pow", x, y), values)


@operation("rpow")
def _rpow(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _pow(recorder, other, input)


def _power(emit: Emit, x: int, power: float) -> int:
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


@pointwise("erfc", "special_erfc")
def _erfc(emit: Emit, input: int) -> int:
    # Only where it loses no digits; for large arguments 1 - erf cancels.
    raise Refused("it has no kernel", "Write 1 - torch.erf(x) where x stays below about 3.")


@pointwise("logit", "special_logit")
def _logit(emit: Emit, input: int, eps: float | None = None) -> int:
    if eps is not None:
        input = _bounded(emit, input, float(eps), 1.0 - float(eps))
    return emit("log", emit("div", input, emit("sub", 1.0, input)))


@pointwise("logaddexp", tensors=2)
def _logaddexp(emit: Emit, input: int, other: int) -> int:
    larger = emit("maximum", input, other)
    apart = emit("neg", emit("abs", emit("sub", input, other)))
    found = emit("add", larger, emit("log1p", emit("exp", apart)))
    same = emit("and", emit("eq", input, other), emit("not", emit("isfinite", input)))
    return emit("select", same, input, found)


# Bounds and choices


@operation("clamp", "clip")
def _clamp(recorder: Recorder, input: Any, min: Any = None, max: Any = None) -> Traced:
    found = recorder.value(input)
    # As torch does: first up to the low bound, then down to the high one; nan goes through.
    for op, bound in (("maximum", min), ("minimum", max)):
        if bound is not None:
            values = [found, recorder.value(bound)]
            found = elementwise(recorder, lambda emit, x, b, op=op: emit(op, x, b), values)
    return found


@operation("clamp_min")
def _clamp_min(recorder: Recorder, input: Any, min: Any) -> Traced:
    return _clamp(recorder, input, min=min)


@operation("clamp_max")
def _clamp_max(recorder: Recorder, input: Any, max: Any) -> Traced:
    return _clamp(recorder, input, max=max)


@operation("hardtanh")
def _hardtanh(
    recorder: Recorder, input: Any, min_val: float = -1.0, max_val: float = 1.0,
    inplace: bool = False,
) -> Traced:  # fmt: skip
    return _clamp(recorder, input, min_val, max_val)


@operation("relu6")
def _relu6(recorder: Recorder, input: Any, inplace: bool = False) -> Traced:
    return _clamp(recorder, input, 0.0, 6.0)


def _bounded(emit: Emit, x: int, low: float, high: float) -> int:
    return emit("minimum", emit("maximum", x, low), high)


@pointwise("fmax", tensors=2)
def _fmax(emit: Emit, input: int, other: int) -> int:
    return _ignoring_nan(emit, "maximum", input, other)


@pointwise("fmin", tensors=2)
def _fmin(emit: Emit, input: int, other: int) -> int:
    return _ignoring_nan(emit, "minimum", input, other)


def _ignoring_nan(emit: Emit, op: str, a: int, b: int) -> int:
    known = emit("select", emit("isnan", b), a, emit(op, a, b))
    return emit("select", emit("isnan", a), b, known)


@operation("where")
def _where(recorder: Recorder, condition: Any, input: Any = None, other: Any = None) -> Traced:
    if input is None or other is None:
        raise Refused("it lists places", "Use torch.where(condition, a, b).")
    if not is_bool(recorder.value(condition)):
        condition, input = input, condition  # the method: x.where(condition, other)
    return _chosen(recorder, recorder.value(condition), recorder.value(input),
                   recorder.value(other))  # fmt: skip


def _chosen(recorder: Recorder, condition: Traced, a: Traced, b: Traced) -> Traced:
    if not is_bool(condition):
        raise Refused("its condition is no comparison", "Write a comparison, such as x > 0.")
    both = is_bool(a) and is_bool(b)

    def choose(emit: Emit, mask: int, x: int, y: int) -> int:
        if both:
            return emit("or", emit("and", mask, x), emit("and", emit("not", mask), y))
        return emit("select", mask, emit.real(x), emit.real(y))

    return elementwise(recorder, choose, [condition, a, b], numbers=False)


@operation("masked_fill")
def _masked_fill(recorder: Recorder, input: Any, mask: Any, value: Any) -> Traced:
    return _chosen(recorder, recorder.value(mask), recorder.value(value), recorder.value(input))


@operation("heaviside")
def _heaviside(recorder: Recorder, input: Any, values: Any) -> Traced:
    def step(emit: Emit, x: int, middle: int) -> int:
        side = emit("select", emit("lt", x, 0.0), 0.0, 1.0)
        side = emit("select", emit("isnan", x), 0.0, side)
        return emit("select", emit("eq", x, 0.0), middle, side)

    return elementwise(recorder, step, [recorder.value(input), recorder.value(values)])


@pointwise("nan_to_num")
def _nan_to_num(
    emit: Emit, input: int, nan: float | None = None, posinf: float | None = None,
    neginf: float | None = None,
) -> int:  # fmt: skip
    if posinf is None or neginf is None:
        raise Refused(
            "its bounds depend on the dtype", "Give nan=, posinf= and neginf= as numbers."
        )
    found = emit("select", emit("isnan", input), float(nan or 0.0), input)
    found = emit("select", emit("eq", input, math.inf), float(posinf), found)
    return emit("select", emit("eq", input, -math.inf), float(neginf), found)


# Tests


def _compare(op: str) -> Handler:
    def handler(recorder: Recorder, input: Any, other: Any) -> Traced:
        a, b = recorder.value(input), recorder.value(other)
        if is_bool(a) and is_bool(b) and op in ("eq", "ne"):

            def same(emit: Emit, x: int, y: int) -> int:
                differ = emit("xor", x, y)
                return differ if op == "ne" else emit("not", differ)

            return elementwise(recorder, same, [a, b], numbers=False)
        return elementwise(recorder, lambda emit, x, y: emit(op, x, y), [a, b])

    return handler


for _op, _names in {
    "lt": "lt less", "le": "le less_equal", "gt": "gt greater", "ge": "ge greater_equal",
    "eq": "eq", "ne": "ne not_equal",
}.items():  # fmt: skip
    operation(*_names.split())(_compare(_op))


def _logical(op: str, bitwise: bool) -> Handler:
    def handler(recorder: Recorder, input: Any, other: Any) -> Traced:
        values = [recorder.value(input), recorder.value(other)]
        if bitwise and not all(is_bool(value) for value in values):
            raise Refused("it combines bits of numbers", "Combine comparisons, such as x > 0.")
        return elementwise(
            recorder, lambda emit, x, y: emit(op, emit.truth(x), emit.truth(y)), values, False
        )

    return handler


for _op in ("and", "or", "xor"):
    operation(_op, f"r{_op}", f"bitwise_{_op}")(_logical(_op, True))
    operation(f"logical_{_op}")(_logical(_op, False))


@operation("logical_not")
def _logical_not(recorder: Recorder, input: Any) -> Traced:
    value = recorder.value(input)
    return elementwise(recorder, lambda emit, x: emit("not", emit.truth(x)), [value], False)


@operation("invert", "bitwise_not")
def _invert(recorder: Recorder, input: Any) -> Traced:
    if not is_bool(recorder.value(input)):
        raise Refused("it turns the bits of numbers", "Use it on comparisons, such as ~(x > 0).")
    return _logical_not(recorder, input)


for _name in ("isnan", "isfinite", "signbit"):
    operation(_name)(_plain(_name, 1))


@pointwise("isinf")
def _isinf(emit: Emit, input: int) -> int:
    return emit("eq", emit("abs", input), math.inf)


@pointwise("isclose", tensors=2)
def _isclose(
    emit: Emit, input: int, other: int, rtol: float = 1e-5, atol: float = 1e-8,
    equal_nan: bool = False,
) -> int:  # fmt: skip
    slack = emit("add", float(atol), emit("abs", emit("mul", float(rtol), other)))
    apart = emit("abs", emit("sub", input, other))
    near = emit("and", emit("isfinite", apart), emit("le", apart, slack))
    near = emit("or", emit("eq", input, other), near)
    if equal_nan:
        near = emit("or", near, emit("and", emit("isnan", input), emit("isnan", other)))
    return near


@pointwise("round")
def _round(emit: Emit, input: int, decimals: int = 0) -> int:
    if decimals == 0:
        return emit("round", input)
    scale = 10.0 ** abs(decimals)
    up, down = ("mul", "div") if decimals > 0 else ("div", "mul")
    return emit(down, emit("round", emit(up, input, scale)), scale)


# Activations


@pointwise("softplus")
def _softplus(emit: Emit, input: int, beta: float = 1, threshold: float = 20) -> int:
    if beta == 1 and threshold == 20:
        return emit("softplus", input)
    scaled = emit("mul", input, float(beta))
    soft = emit("div", emit("log1p", emit("exp", scaled)), float(beta))
    return emit("select", emit("gt", scaled, float(threshold)), input, soft)


@pointwise("gelu")
def _gelu(emit: Emit, input: int, approximate: str = "none") -> int:
    if approximate == "none":
        return emit("gelu", input)
    cube = emit("mul", emit("mul", input, input), input)
    inner = emit("add", input, emit("mul", 0.044715, cube))
    inner = emit("mul", math.sqrt(2.0) * (2.0 / math.sqrt(math.pi)) * 0.5, inner)
    return emit("mul", emit("mul", 0.5, input), emit("add", 1.0, emit("tanh", inner)))


@pointwise("leaky_relu")
def _leaky_relu(emit: Emit, input: int, negative_slope: float = 0.01, inplace: bool = False) -> int:
    less = emit("mul", input, float(negative_slope))
    return emit("select", emit("gt", input, 0.0), input, less)


@pointwise("elu")
def _elu(emit: Emit, input: int, alpha: float = 1.0, inplace: bool = False) -> int:
    less = emit("mul", emit("expm1", input), float(alpha))
    # Where it is not above zero, so that nan goes into expm1.
    return emit("select", emit("gt", input, 0.0), input, less)


@pointwise("logsigmoid", "log_sigmoid")
def _logsigmoid(emit: Emit, input: int) -> int:
    low = emit("minimum", input, 0.0)
    return emit("sub", low, emit("log1p", emit("exp", emit("neg", emit("abs", input)))))


@pointwise("softsign")
def _softsign(emit: Emit, input: int) -> int:
    return emit("div", input, emit("add", emit("abs", input), 1.0))


@pointwise("tanhshrink")
def _tanhshrink(emit: Emit, input: int) -> int:
    return emit("sub", input, emit("tanh", input))


@pointwise("hardsigmoid")
def _hardsigmoid(emit: Emit, input: int, inplace: bool = False) -> int:
    return emit("div", _bounded(emit, emit("add", input, 3.0), 0.0, 6.0), 6.0)


@pointwise("mish")
def _mish(emit: Emit, input: int, inplace: bool = False) -> int:
    return emit("mul", input, emit("tanh", emit("log1p", emit("exp", input))))


@operation("dropout")
def _dropout(
    recorder: Recorder, input: Any, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Traced:
    if training and p:
        raise Refused("its result is random", "Call model.eval(), or leave the layer out.")
    return recorder.value(input)


# Types


def _cast(name: str) -> Handler:
    def handler(recorder: Recorder, input: Any, *args: Any, **kwargs: Any) -> Traced:
        value = recorder.value(input)
        wanted = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, torch.dtype)]
        if name in ("to", "type"):
            dtype = wanted[0] if wanted else None
            for arg in (*args, kwargs.get("other")):
                if is_traced(arg) or isinstance(arg, Tensor):
                    dtype = arg.dtype
        else:
            dtype = {"double": torch.float64, "float": torch.float32, "half": torch.float16,
                     "bfloat16": None, "bool": torch.bool}[name]  # fmt: skip
        if dtype is None or dtype is STATE_DTYPE:
            return elementwise(recorder, lambda emit, x: x, [value]) if is_bool(value) else value
        if dtype == torch.bool:
            return elementwise(recorder, lambda emit, x: emit.truth(x), [value], numbers=False)
        if dtype.is_floating_point and (is_bool(value) or _of_model(recorder, value, dtype)):
            # A test is 1 or 0, and a weight its own value, in every dtype.
            return elementwise(recorder, lambda emit, x: x, [value]) if is_bool(value) else value
        raise Refused(
            f"it casts to {dtype}, and a kernel computes in one dtype",
            "Write x.to(y.dtype) for the dtype of the state, or leave the cast out.",
        )

    return handler


def _of_model(recorder: Recorder, value: Traced, dtype: torch.dtype) -> bool:
    """Whether a cast of a tensor of the model changes none of its digits."""
    if value._tensor is None:
        return False
    own = recorder.members.used[value._tensor].tensor.dtype
    return torch.finfo(own).bits <= torch.finfo(dtype).bits


for _name in ("to", "type", "double", "float", "half"):
    operation(_name)(_cast(_name))


@operation("type_as")
def _type_as(recorder: Recorder, input: Any, other: Any) -> Traced:
    return _cast("to")(recorder, input, other)


@operation("detach")
def _detach(recorder: Recorder, input: Any) -> Traced:
    value = recorder.value(input)
    if value._tensor is None:
        raise Refused("it cuts the gradient", "Leave it out where its derivative is meant too.")
    return value


@operation("clone", "contiguous", "alias")
def _same(recorder: Recorder, input: Any, *args: Any, **kwargs: Any) -> Traced:
    return recorder.value(input)


@operation("result_type", "promote_types")
def _result_type(recorder: Recorder, *args: Any) -> torch.dtype:
    return STATE_DTYPE


@operation("is_floating_point")
def _is_floating_point(recorder: Recorder, input: Any) -> bool:
    return not is_bool(recorder.value(input))


@operation("is_complex", "is_inference")
def _never(recorder: Recorder, input: Any) -> bool:
    return False
