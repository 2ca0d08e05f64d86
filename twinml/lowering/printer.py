"""Prints a program as a C++ or CUDA function over packs of rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

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
    width_of,
)

Dialect = Literal["cpp", "cuda"]

# Above this many operations a function is a real one: inlined into every stage it would make
# compiling slow and the code larger than the instruction cache.
BIG = 150

_INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "lt": "<", "le": "<=", "gt": ">",
          "ge": ">=", "eq": "==", "ne": "!=", "and": "&", "or": "|", "xor": "^"}  # fmt: skip
_PREFIX = {"neg": "-", "not": "!"}
_RENAMED = {"round": "round_even"}


def print_function(
    program: Program,
    name: str,
    dialect: Dialect = "cpp",
    big: bool | None = None,
    values: int | None = None,
) -> str:
    """One function::

        TW_FN void rhs(const Real t, const Real* y, const Real* p, const Real* u, const Real* c,
                       const Weights w, Real* out)
        {
          const Real y0 = y[0];
          const Real p0 = p[0];
          const Real a0 = p0 * y0;
          out[0] = a0;
        }

    All arguments are read before any result is written, so ``out`` may be ``y``.

    Args:
        program: What it computes.
        name: Of the function.
        dialect: "cpp" or "cuda"; they differ in markers only.
        big: Whether it is a function of its own instead of inlined; None decides by its size.
        values: For a tangent, how many of the results are values: those after them go to
            ``dout``, and the seeds ``dt``, ``dy``, ``du`` are arguments. None for none.

    Returns:
        C++17 text; helpers it calls stand in ``kernels/``.
    """
    marker = "TW_BIG" if (program.operations > BIG if big is None else big) else "TW_FN"
    arguments = "const Real t, const Real* y, const Real* p, const Real* u, const Real* c"
    results = "Real* out"
    if values is not None:
        results = "const Real dt, const Real* dy, const Real* du, Real* out, Real* dout"
    lines = [f"{marker} void {name}({arguments}, const Weights w, {results})", "{"]
    body, names = statements(program)
    lines += [f"  {line}" for line in body]
    for number, place in enumerate(program.outputs):
        if values is None or number < values:
            lines.append(f"  out[{number}] = {names[place]};")
        else:
            lines.append(f"  dout[{number - values}] = {names[place]};")
    lines.append("}")
    return "\n".join(lines) + "\n"


def print_tangent(program: Program, name: str, big: bool) -> str:
    """A function of the derivatives along several directions, whose seeds are arguments::

    TW_FN void rhs_tangent(const Real t, const Real* y, const Real* p, const Real* u,
                           const Real* c, const Weights w, const Real* du, const Real* st,
                           const Real* sy, const Real* sp, const Real* su, const Real* sr,
                           Real* dout)
    """
    seeds = ", ".join(f"const Real* {kind}" for kind in ("du", "st", "sy", "sp", "su", "sr"))
    arguments = "const Real t, const Real* y, const Real* p, const Real* u, const Real* c"
    marker = "TW_BIG" if big else "TW_FN"
    lines = [f"{marker} void {name}({arguments}, const Weights w, {seeds}, Real* dout)", "{"]
    body, names = statements(program)
    lines += [f"  {line}" for line in body]
    lines += [f"  dout[{k}] = {names[place]};" for k, place in enumerate(program.outputs)]
    return "\n".join([*lines, "}"]) + "\n"


def number(value: float) -> str:
    """A float64 literal, exact: ``Real(real(1.5))``, or as ``Real(real(0x1.999999999999ap-4))``."""
    if math.isnan(value):
        return "not_a_number()"
    if math.isinf(value):
        return "infinity()" if value > 0 else "-infinity()"
    if Decimal(repr(value)) == Decimal(value) and len(repr(value)) < 12:
        return f"Real(real({value!r}))"  # keeps the sign of -0.0
    return f"Real(real({_hexadecimal(value)}))"


def _hexadecimal(value: float) -> str:
    """``float.hex`` without the zeros that say nothing."""
    head, _, exponent = value.hex().partition("p")
    whole, _, fraction = head.partition(".")
    fraction = fraction.rstrip("0")
    return f"{whole}.{fraction}p{exponent}" if fraction else f"{whole}p{exponent}"


def statements(
    program: Program, homes: Mapping[int, str] | None = None, joined: bool = False
) -> tuple[list[str], list[str]]:
    """Statements, and the name of each node's value.

    Args:
        program: What is computed.
        homes: Where vectors are to lie instead of in arrays of their own, by their places.
        joined: Whether operations on vectors that only feed one other share its loop.
    """
    homes = homes or {}
    inner = _fed_to_one(program, homes) if joined else frozenset[int]()
    names: list[str] = []
    lines: list[str] = []
    counts = {"a": 0, "b": 0, "m": 0, "v": 0}
    vectors: set[int] = set()

    def fresh(letter: str) -> str:
        counts[letter] += 1
        return f"{letter}{counts[letter] - 1}"

    for place, node in enumerate(program.nodes):
        match node:
            case Constant():
                names.append(number(node.value))
                continue
            case Truth():
                names.append(f"Mask({'true' if node.value else 'false'})")
                continue
            case Item():
                names.append(f"{names[node.arg]}[{node.index}]")
                continue
            case Symbol(kind="t" | "dt"):
                names.append(node.kind)
                continue
            case Symbol():
                name = f"{node.kind}{node.index}"
                lines.append(f"const Real {name} = {node.kind}[{node.index}];")
            case Kept(size=None):
                names.append(f"kept[{node.offset}]")
                continue
            case Kept():
                name = fresh("v")
                vectors.add(place)
                lines.append(f"const Real* {name} = kept + {node.offset};")
            case Total():
                name = fresh("a")
                size = width_of(program.nodes[node.arg])
                lines.append(f"const Real {name} = total<{size}>({names[node.arg]});")
            case Wide() if place in inner:
                name = fresh("b")
            case Pack() | Linear() | Wide() | Transposed() | Call():
                name = fresh("v")
                home = homes.get(place)
                first = _inner_text(program, node, names, vectors, inner)
                lines += _vector(node, name, names, vectors, home, first)
                vectors.add(place)
            case _:
                test = kind_of(node) == "bool"
                name = fresh("m" if test else "a")
                lines.append(f"const {'Mask' if test else 'Real'} {name} = {_scalar(node, names)};")
        names.append(name)
    return lines, names


def _scalar(node: Node, names: Sequence[str]) -> str:
    """``fma(a0, y1, p2)``, ``a0 + a1``, ``Real(w[3][1])``."""
    match node:
        case Load():
            return f"Real(w[{node.tensor}][{node.index}])"
        case Table():
            function = "table_slope" if node.slope else "table_value"
            tables = f"w[{node.knots}], w[{node.values}]"
            return f"{function}<{node.size}>({tables}, {names[node.arg]})"
        case Apply():
            return _applied(node.op, [names[place] for place in node.args])
    raise TypeError(f"{node} is no scalar operation")


def _applied(op: str, args: Sequence[str]) -> str:
    if op in _INFIX:
        return f"{args[0]} {_INFIX[op]} {args[1]}"
    if op in _PREFIX:
        return f"{_PREFIX[op]}{args[0]}"
    if op == "fms":
        return f"fma({args[0]}, {args[1]}, -{args[2]})"
    return f"{_RENAMED.get(op, op)}({', '.join(args)})"


def _vector(
    node: Pack | Linear | Wide | Transposed | Call,
    name: str,
    names: Sequence[str],
    vectors: set[int],
    home: str | None,
    first: str = "",
) -> list[str]:
    declared = f"Real {name}[{width_of(node)}];"
    if home is not None:
        declared = f"Real* const {name} = {home};"
    match node:
        case Pack() if home is not None:
            return [declared, *(f"{name}[{i}] = {names[p]};" for i, p in enumerate(node.args))]
        case Pack():
            elements = ", ".join(names[place] for place in node.args)
            return [f"const Real {name}[{len(node.args)}] = {{{elements}}};"]
        case Linear():
            bias = f"w[{node.bias}]" if node.bias is not None else "nullptr"
            call = f"linear<{node.outputs}, {node.inputs}>"
            return [
                declared,
                f"{call}(w[{node.weight}], {bias}, {names[node.arg]}, {name});",
            ]
        case Transposed():
            call = f"transposed<{node.outputs}, {node.inputs}>"
            return [
                declared,
                f"{call}(w[{node.weight}], {names[node.arg]}, {name});",
            ]
        case Wide():
            args = [f"{names[p]}[i]" if p in vectors else names[p] for p in node.args]
            last = f"{name}[i] = {_applied(node.op, args)};"
            body = f"{{ {first}{last} }}" if first else last
            return [
                declared,
                f"TW_UNROLL for (int i = 0; i < {node.size}; ++i) {body}",
            ]
        case Call():
            return _called(node, name, names)


def _called(node: Call, name: str, names: Sequence[str]) -> list[str]:
    """Results that the function does not set are nan::

    const Real v0y[2] = {y0, y1};
    Real v0[2] = {not_a_number(), not_a_number()};
    model_rhs(t, v0y, nullptr, nullptr, v0);
    """
    lines, given = [], []
    sizes = [("t", 1), *zip("ypu", node.widths, strict=True)]
    if node.function == "rhs_jvp":
        sizes += [(f"d{kind}", size) for kind, size in sizes]
    start = 0
    for kind, size in sizes:
        values = [names[place] for place in node.args[start : start + size]]
        start += size
        if kind in ("t", "dt"):
            given.append(values[0])
        elif values:
            given.append(f"{name}{kind}")
            lines.append(f"const Real {name}{kind}[{size}] = {{{', '.join(values)}}};")
        else:
            given.append("nullptr")
    unset = ", ".join(["not_a_number()"] * node.widths[0])
    return [
        *lines,
        f"Real {name}[{node.widths[0]}] = {{{unset}}};",
        f"model_{node.function}({', '.join(given)}, {name});",
    ]


def _fed_to_one(program: Program, homes: Mapping[int, str]) -> frozenset[int]:
    """Operations on vectors whose value only one other such operation reads."""
    readers: dict[int, list[int]] = {}
    for place, node in enumerate(program.nodes):
        for arg in operands(node):
            readers.setdefault(arg, []).append(place)
    return frozenset(
        place
        for place, node in enumerate(program.nodes)
        if isinstance(node, Wide)
        and place not in homes
        and place not in program.outputs
        and len(set(readers.get(place, []))) == 1
        and isinstance(program.nodes[readers[place][0]], Wide)
    )


def _inner_text(
    program: Program, node: Node, names: Sequence[str], vectors: set[int], inner: frozenset[int]
) -> str:
    """Statements that come before an operation's own in its loop, for one element."""
    text = ""
    for place in dict.fromkeys(operands(node)):
        below = program.nodes[place]
        if place not in inner or not isinstance(below, Wide):
            continue
        args = [f"{names[p]}[i]" if p in vectors else names[p] for p in below.args]
        text += _inner_text(program, below, names, vectors, inner)
        text += f"const Real {names[place]} = {_applied(below.op, args)}; "
    return text
