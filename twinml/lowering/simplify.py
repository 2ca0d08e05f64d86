"""Rewrites that keep every bit of a program's results, and a freer set for derivative programs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from twinml.lowering.evaluate import FUNCTIONS
from twinml.lowering.program import (
    OPERATIONS,
    Apply,
    Builder,
    Constant,
    Item,
    Linear,
    Node,
    Pack,
    Program,
    Truth,
    Wide,
    operands,
    with_operands,
)

_COMMUTE = frozenset(("add", "mul", "eq", "ne", "and", "or", "xor"))
# Powers of two within this range are exact, and so are their reciprocals, in float32 too.
_EXACT = 2.0**120


def simplified(program: Program, absorb: bool = False) -> Program:
    """An equal program with less to do.

    Numbers are computed in float64 by the reference interpreter's functions; x*1, x/1, x-0 and
    double signs go, division by a power of two becomes a product, equal nodes become one. A
    product by 0 or a sum with 0 stays: 0*inf is nan, and -0 + 0 is 0.

    Args:
        program: Any program.
        absorb: Drop products by 0 and sums with 0 as well. For derivative programs only, whose
            zeros say that a value does not depend on another.
    """
    builder = Builder(rewrite_absorbing if absorb else rewrite)
    return builder.program(builder.inline(program))


def rewrite(builder: Builder, node: Node) -> int | None:
    """The rule of ``simplified`` for one node, to be given to a ``Builder``."""
    nodes = builder.nodes
    if isinstance(node, Item):
        inner = nodes[node.arg]
        return inner.args[node.index] if isinstance(inner, Pack) else None
    if not isinstance(node, Apply):
        return None
    args = [nodes[place] for place in node.args]
    if all(isinstance(arg, (Constant, Truth)) for arg in args):
        return _folded(builder, node.op, args)
    if node.op in _COMMUTE and node.args[0] > node.args[1]:
        return builder.add(Apply(node.op, (node.args[1], node.args[0])))
    return _shortened(builder, node, args)


def rewrite_absorbing(builder: Builder, node: Node) -> int | None:
    """``rewrite`` and, before it, the absorption of 0."""
    nodes = builder.nodes
    match node:
        case Apply(op=op, args=places):
            zero = [_is(nodes[place], 0.0) for place in places]
            match op:
                case "mul" if any(zero):
                    return builder.constant(0.0)
                case "div" if zero[0]:
                    return builder.constant(0.0)
                case "add" if any(zero):
                    return places[0] if zero[1] else places[1]
                case "sub" if zero[1]:
                    return places[0]
                case "sub" if zero[0]:
                    return builder.apply("neg", places[1])
                case "select" if places[1] == places[2] or (zero[1] and zero[2]):
                    return places[1]
                case "neg" if zero[0]:
                    return builder.constant(0.0)
        case Wide(op="mul", args=places) if any(_nothing(nodes, p) for p in places):
            return _zeros(builder, node.size)
        case Wide(op="div", args=places) if _nothing(nodes, places[0]):
            return _zeros(builder, node.size)
        case Wide(op="add", args=(a, b)):
            if _nothing(nodes, a) and not isinstance(nodes[b], Constant):
                return b
            if _nothing(nodes, b):
                return a
        case Linear(bias=None) if _nothing(nodes, node.arg):
            return _zeros(builder, node.outputs)
    return rewrite(builder, node)


def _is(node: Node, value: float) -> bool:
    return isinstance(node, Constant) and node.value == value


def _nothing(nodes: Sequence[Node], place: int) -> bool:
    node = nodes[place]
    if isinstance(node, Pack):
        return all(_is(nodes[p], 0.0) for p in node.args)
    return _is(node, 0.0)


def _zeros(builder: Builder, size: int) -> int:
    return builder.add(Pack((builder.constant(0.0),) * size))


def _folded(builder: Builder, op: str, args: Sequence[Node]) -> int:
    with np.errstate(all="ignore"):
        numbers = [np.float64(a.value) if isinstance(a, Constant) else np.bool_(a.value)
                   for a in args if isinstance(a, (Constant, Truth))]  # fmt: skip
        result = FUNCTIONS[op](*numbers)
    if OPERATIONS[op].result == "bool":
        return builder.add(Truth(bool(result)))
    return builder.constant(float(result))


def _shortened(builder: Builder, node: Apply, args: Sequence[Node]) -> int | None:
    places = node.args
    match node.op:
        case "mul":
            for i in (0, 1):
                if _is(args[i], 1.0):
                    return places[1 - i]
                if _is(args[i], -1.0):
                    return builder.apply("neg", places[1 - i])
        case "div":
            if _is(args[1], 1.0):
                return places[0]
            if isinstance(args[1], Constant) and _power_of_two(args[1].value):
                return builder.apply("mul", places[0], builder.constant(1.0 / args[1].value))
        case "sub":
            if _is(args[1], 0.0) and _positive(args[1]):
                return places[0]
            if isinstance(args[1], Apply) and args[1].op == "neg":
                return builder.apply("add", places[0], args[1].args[0])
        case "add":
            for i in (0, 1):
                if _is(args[i], 0.0) and not _positive(args[i]):
                    return places[1 - i]
                other = args[i]
                if isinstance(other, Apply) and other.op == "neg":
                    return builder.apply("sub", places[1 - i], other.args[0])
        case "neg" | "not":
            if isinstance(args[0], Apply) and args[0].op == node.op:
                return args[0].args[0]
        case "select":
            if isinstance(args[0], Truth):
                return places[1] if args[0].value else places[2]
            if places[1] == places[2]:
                return places[1]
        case "and" | "or":
            absorbing = node.op == "or"
            for i in (0, 1):
                test = args[i]
                if isinstance(test, Truth):
                    return places[i] if test.value is absorbing else places[1 - i]
    return None


def _positive(node: Node) -> bool:
    return isinstance(node, Constant) and math.copysign(1.0, node.value) > 0


def _power_of_two(value: float) -> bool:
    return (
        math.isfinite(value)
        and 1.0 / _EXACT <= abs(value) <= _EXACT
        and math.frexp(abs(value))[0] == 0.5
    )


def fused(program: Program) -> Program:
    """Products that feed one sum or difference, joined with it: fma, fms, fnma.

    Where both sides are such products the left one is joined. It is the last pass: what it
    makes is known to the printer and to ``evaluate`` alone.
    """
    uses = [0] * len(program.nodes)
    for node in program.nodes:
        for place in operands(node):
            uses[place] += 1
    for place in program.outputs:
        uses[place] += 1
    builder, places = Builder(), list[int]()

    def product(place: int) -> tuple[int, int] | None:
        inner = program.nodes[place]
        if isinstance(inner, Apply) and inner.op == "mul" and uses[place] == 1:
            return places[inner.args[0]], places[inner.args[1]]
        return None

    for node in program.nodes:
        new = None
        if isinstance(node, Apply) and node.op in ("add", "sub"):
            a, b = node.args
            if (pair := product(a)) is not None:
                new = builder.apply("fma" if node.op == "add" else "fms", *pair, places[b])
            elif (pair := product(b)) is not None:
                new = builder.apply("fma" if node.op == "add" else "fnma", *pair, places[a])
            elif node.op == "sub" and (pair := _negated_product(program, a, uses)) is not None:
                # -(a*b) - c is -(a*b + c), and the sign is exact.
                joined = builder.apply("fma", places[pair[0]], places[pair[1]], places[b])
                new = builder.apply("neg", joined)
        if new is None:
            new = builder.add(with_operands(node, [places[i] for i in operands(node)]))
        places.append(new)
    return builder.program([places[i] for i in program.outputs])


def _negated_product(program: Program, place: int, uses: Sequence[int]) -> tuple[int, int] | None:
    node = program.nodes[place]
    if not (isinstance(node, Apply) and node.op == "neg" and uses[place] == 1):
        return None
    inner = program.nodes[node.args[0]]
    if isinstance(inner, Apply) and inner.op == "mul" and uses[node.args[0]] == 1:
        return inner.args[0], inner.args[1]
    return None
