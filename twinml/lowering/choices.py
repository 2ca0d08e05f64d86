"""Bounds, choices and tests, by their torch names; nan goes through bounds as torch lets it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from twinml.lowering.operations import Handler, operation, plain, pointwise
from twinml.lowering.recorder import Recorder
from twinml.lowering.values import (
    Emit,
    Refused,
    Traced,
    elementwise,
    is_bool,
)


@operation("clamp", "clip")
def _clamp(recorder: Recorder, input: Any, min: Any = None, max: Any = None) -> Traced:
    found = recorder.value(input)
    # As torch does: first up to the low bound, then down to the high one; nan goes through. At a
    # tie with a number the derivative is that of the value.
    for op, beyond, bound in (("maximum", "lt", min), ("minimum", "gt", max)):
        if bound is not None:
            values = [found, recorder.value(bound)]
            test = beyond if isinstance(bound, (int, float)) and not math.isnan(bound) else None
            found = elementwise(recorder, _up_to(op, test), values)
    return found


def _up_to(op: str, beyond: str | None) -> Callable[[Emit, int, int], int]:
    """A bound by ``op``, or by the test that says where a value lies beyond it."""

    def bound(emit: Emit, x: int, b: int) -> int:
        return emit(op, x, b) if beyond is None else emit("select", emit(beyond, x, b), b, x)

    return bound


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
    # Torch takes a value on a bound as one beyond it.
    found = recorder.value(input)
    for beyond, bound in (("le", min_val), ("ge", max_val)):
        found = elementwise(recorder, _up_to("", beyond), [found, recorder.value(bound)])
    return found


@operation("relu6")
def _relu6(recorder: Recorder, input: Any, inplace: bool = False) -> Traced:
    return _hardtanh(recorder, input, 0.0, 6.0)


def bounded(emit: Emit, x: int, low: float, high: float) -> int:
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
    operation(_name)(plain(_name, 1))


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
