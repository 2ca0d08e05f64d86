"""The reference interpreter of programs: numpy, float64, many points at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from twinml.lowering.program import (
    Apply,
    Call,
    Constant,
    Item,
    Kept,
    Linear,
    Load,
    Node,
    Pack,
    Program,
    Symbol,
    Table,
    Total,
    Transposed,
    Truth,
    Wide,
    kind_of,
    operands,
)
from twinml.physics.functions import SQRT0_WIDTH

Array = np.ndarray[Any, Any]

# 4 units in the last place.
_JITTER = 2.0**-50

_erf = np.frompyfunc(math.erf, 1, 1)


def _sqrt0(x: Array) -> Array:
    root = np.sqrt(np.maximum(x, SQRT0_WIDTH))
    s = np.minimum(np.maximum(x * (1.0 / SQRT0_WIDTH), 0.0), 1.0)
    ramp = SQRT0_WIDTH**0.5 * s * s * (2.5 - 1.5 * s)
    return np.where(x < SQRT0_WIDTH, ramp, root)


def _remainder(a: Array, b: Array) -> Array:
    rest = np.fmod(a, b)
    return np.where((rest != 0) & ((b < 0) != (rest < 0)), rest + b, rest)


def _erf_of(x: Array) -> Array:
    return np.asarray(_erf(x), dtype=np.float64)


FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "minimum": np.minimum, "maximum": np.maximum, "pow": np.power,
    "atan2": np.arctan2, "hypot": np.hypot, "fmod": np.fmod, "remainder": _remainder,
    "copysign": np.copysign,
    "fma": lambda a, b, c: a * b + c, "fms": lambda a, b, c: a * b - c,
    "fnma": lambda a, b, c: c - a * b,
    "abs": np.abs, "sign": lambda x: np.greater(x, 0) * 1.0 - np.less(x, 0) * 1.0,
    "sqrt": np.sqrt, "sqrt0": _sqrt0,
    "exp": np.exp, "expm1": np.expm1, "exp2": np.exp2, "log": np.log, "log1p": np.log1p,
    "log2": np.log2, "log10": np.log10, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
    "tanh": np.tanh, "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "sigmoid": lambda x: 1.0 / (1.0 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "softplus": lambda x: np.where(x > 20.0, x, np.log1p(np.exp(x))),
    "silu": lambda x: x / (1.0 + np.exp(-x)),
    "gelu": lambda x: x * 0.5 * (1.0 + _erf_of(x * math.sqrt(0.5))), "erf": _erf_of,
    "floor": np.floor, "ceil": np.ceil, "trunc": np.trunc, "round": np.rint,
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "eq": np.equal, "ne": np.not_equal, "isnan": np.isnan, "isfinite": np.isfinite,
    "signbit": np.signbit, "and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor,
    "not": np.logical_not, "select": np.where,
}  # fmt: skip


def evaluate(
    program: Program, values: Mapping[str, Any], jitter: np.random.Generator | None = None
) -> list[Array]:
    """The results of a program at given points.

    Args:
        program: Any program.
        values: Arrays by kind of symbol: "t" and "dt" of shape (P,) or (), "y", "p", "u", "c",
            "dy", "du", "seed", "kept" of shape (n, P) or (n,); and "w", the tensors in the
            order of ``Lowered.tensors``.
        jitter: Shifts every computed number by up to 4 units in the last place, at random: how
            far results move shows how many of their digits are rounding.

    Returns:
        One float64 array for each result, of the points' shape where it depends on them.
    """
    found: list[Any] = []
    weights = [np.asarray(w, dtype=np.float64) for w in values.get("w", ())]
    axes = max((np.ndim(v) - (k not in ("t", "dt")) for k, v in values.items() if k != "w"),
               default=0)  # fmt: skip
    # A vector of numbers alone has the points' axis too, to meet others element by element.
    one_point = np.zeros((1,) * axes)
    with np.errstate(all="ignore"):
        for node in program.nodes:
            value = _value(node, found, values, weights, one_point)
            computed = bool(operands(node)) or isinstance(node, Kept)
            if jitter is not None and computed and kind_of(node) != "bool":
                value = value * (1.0 + _JITTER * jitter.uniform(-1.0, 1.0, np.shape(value)))
            found.append(value)
    return [np.asarray(found[place], dtype=np.float64) for place in program.outputs]


def _value(
    node: Node, found: Sequence[Any], values: Mapping[str, Any], weights: Sequence[Array],
    one_point: Array,
) -> Any:  # fmt: skip
    match node:
        case Constant() | Truth():
            return np.asarray(node.value)
        case Symbol(kind="t" | "dt"):
            return np.asarray(values[node.kind], dtype=np.float64)
        case Symbol():
            return np.asarray(values[node.kind][node.index], dtype=np.float64)
        case Load():
            return weights[node.tensor].ravel()[node.index]
        case Apply():
            return FUNCTIONS[node.op](*(found[place] for place in node.args))
        case Pack():
            elements = [found[place] for place in node.args]
            return np.stack(np.broadcast_arrays(one_point, *elements)[1:])
        case Linear():
            x = found[node.arg]
            total = np.tensordot(weights[node.weight], x, axes=1)
            if node.bias is not None:
                total = total + weights[node.bias].reshape(-1, *([1] * (x.ndim - 1)))
            return total
        case Wide():
            return FUNCTIONS[node.op](*(found[place] for place in node.args))
        case Item():
            return found[node.arg][node.index]
        case Transposed():
            return np.tensordot(weights[node.weight].T, found[node.arg], axes=1)
        case Total():
            return np.sum(found[node.arg], axis=0)
        case Kept():
            kept = [np.asarray(k) for k in values["kept"][node.offset :][: node.size or 1]]
            return kept[0] if node.size is None else np.stack(np.broadcast_arrays(*kept))
        case Call():
            return _call(node, found, values, one_point)
        case Table():
            return _table(node, np.asarray(found[node.arg]), weights)


def _call(
    node: Call, found: Sequence[Any], values: Mapping[str, Any], one_point: Array
) -> Array:  # fmt: skip
    """What the twin of a function in a header gives."""
    if node.twin is None:
        raise TypeError(f"{node.function} of a header is known to a compiler only")
    args = np.broadcast_arrays(one_point, *(found[place] for place in node.args))[1:]
    parts: dict[str, Any] = {"t": args[0], "w": values.get("w", ())}
    start = 1
    for kind, size in zip("ypu", node.widths, strict=True):
        parts[kind] = np.array(args[start : start + size]).reshape(size, *args[0].shape)
        start += size
    return np.stack(np.broadcast_arrays(args[0], *evaluate(node.twin, parts))[1:])


def _table(node: Table, x: Array, weights: Sequence[Array]) -> Array:
    knots, heights = weights[node.knots], weights[node.values]
    index = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, node.size - 2)
    begin, end = knots[index], knots[index + 1]
    low, high = heights[index], heights[index + 1]
    share = (x - begin) / (end - begin)
    if node.slope:
        inside = (share >= 0.0) & (share <= 1.0)
        return np.where(inside, (high - low) / (end - begin), 0.0)
    share = np.minimum(np.maximum(share, 0.0), 1.0)
    near = low + share * (high - low)
    return np.where(share < 0.5, near, high - (high - low) * (1.0 - share))
