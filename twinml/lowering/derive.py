"""Derivatives of scalar programs: along one direction, and as a Jacobian of its nonzero entries.

Forward mode: every node carries its derivative along each direction on which it depends. Values
keep their bits; zeros and ones are absorbed in the derivatives alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import final

from twinml.errors import DerivativeError
from twinml.lowering.program import (
    Apply,
    Builder,
    Call,
    Constant,
    Item,
    Linear,
    Node,
    Pack,
    Program,
    Symbol,
    Table,
    Wide,
    kind_of,
    operands,
    with_operands,
)
from twinml.lowering.slopes import CHOICES, SLOPES, Arithmetic, Tangent

Moves = dict[int, int]  # derivative of a node by direction; absent where it is zero by structure


@final
@dataclass(frozen=True)
class Jacobian:
    """A program's derivative by the states, and its rate of change in time.

    Args:
        pattern: Entries (result, state) that are not zero by structure, row by row.
        program: Results: the values (n), the entries of ``pattern``, the derivative along time
            with inputs that rise by their ``du`` (n).
    """

    pattern: tuple[tuple[int, int], ...]
    program: Program

    @property
    def width(self) -> int:
        """Number of values n."""
        return (len(self.program.outputs) - len(self.pattern)) // 2

    @property
    def autonomous(self) -> bool:
        """Whether the derivative along time is zero by structure."""
        last = self.program.outputs[self.width + len(self.pattern) :]
        nodes = [self.program.nodes[place] for place in last]
        return all(isinstance(node, Constant) and node.value == 0.0 for node in nodes)


def tangent(program: Program, directions: Sequence[str] = ("dt", "dy", "du")) -> Program:
    """Values, then their derivatives along one direction.

    Args:
        program: What is derived.
        directions: Which seeds move: ``dt`` for time, ``dy`` for states, ``du`` for inputs, each
            component by the symbol of that kind. Seeds of other kinds that the program reads
            stand still.

    Raises:
        ValueError: the program already reads a seed of these kinds, which would then mean two
            things.
    """
    twice = {symbol.kind for symbol in program.symbols()} & set(directions)
    if twice:
        raise ValueError(f"the program already reads {', '.join(sorted(twice))}")
    builder = Builder()
    seeds = {
        symbol: {0: builder.symbol(f"d{symbol.kind}", symbol.index)}
        for symbol in _in_order(program)
        if f"d{symbol.kind}" in directions
    }
    values, moves = _forward(builder, program, seeds)
    zero = builder.constant(0.0)
    return builder.program([*values, *(move.get(0, zero) for move in moves)])


def directional(program: Program, seeds: Mapping[Symbol, Symbol]) -> Program:
    """The derivatives alone, along one direction.

    Args:
        program: What is derived; it may be a derivative itself.
        seeds: What stands for the derivative of a symbol; the others stand still.
    """
    builder = Builder()
    moves = {symbol: {0: builder.symbol(seed.kind, seed.index)} for symbol, seed in seeds.items()}
    _, found = _forward(builder, program, moves)
    zero = builder.constant(0.0)
    return builder.program([move.get(0, zero) for move in found])


def jacobian(program: Program, inputs: Sequence[int] | None = None) -> Jacobian:
    """Values, the nonzero derivatives by states, and the derivative along time.

    Args:
        program: A right-hand side: as many results as states.
        inputs: Inputs that move in time, at the rates ``du``; None for all of them.
    """
    builder = Builder()
    width = len(program.outputs)
    one = builder.constant(1.0)
    seeds: dict[Symbol, Moves] = {Symbol("t"): {width: one}}
    for symbol in _in_order(program):
        if symbol.kind == "y":
            seeds[symbol] = {symbol.index: one}
        elif symbol.kind == "u" and (inputs is None or symbol.index in inputs):
            seeds[symbol] = {width: builder.symbol("du", symbol.index)}
    values, moves = _forward(builder, program, seeds)
    pattern = tuple((i, j) for i, move in enumerate(moves) for j in sorted(move) if j < width)
    zero = builder.constant(0.0)
    entries = [moves[i][j] for i, j in pattern]
    slope = [move.get(width, zero) for move in moves]
    return Jacobian(pattern, builder.program([*values, *entries, *slope]))


def _in_order(program: Program) -> list[Symbol]:
    return sorted(program.symbols(), key=lambda symbol: (symbol.kind, symbol.index))


def _forward(
    builder: Builder,
    program: Program,
    seeds: Mapping[Symbol, Moves],
    given: Mapping[Symbol, int] | None = None,
) -> tuple[list[int], list[Moves]]:
    """Places of the results, and their derivatives by direction; ``given`` stands for symbols."""
    arithmetic = Arithmetic(builder)
    places: list[int] = []
    moves: list[Moves] = []
    for node in program.nodes:
        args = operands(node)
        own = [places[i] for i in args]
        known = given.get(node) if given is not None and isinstance(node, Symbol) else None
        place = builder.add(with_operands(node, own)) if known is None else known
        places.append(place)
        if isinstance(node, Call):
            moves.append(called(builder, node, own, [moves[i] for i in args]))
        elif isinstance(node, Symbol):
            moves.append(dict(seeds.get(node, {})))
        elif kind_of(node) == "bool" or not args:
            moves.append({})
        else:
            moves.append(_derived(arithmetic, node, own, place, [moves[i] for i in args]))
    return [places[i] for i in program.outputs], [moves[i] for i in program.outputs]


def called(builder: Builder, node: Call, args: list[int], moves: list[Moves]) -> Moves:
    """Derivatives of a function in a header: of its twin, or by its own ``rhs_jvp``.

    Raises:
        DerivativeError: it has neither.
    """
    directions = sorted(set().union(*moves))
    if not directions:
        return {}
    zero = builder.constant(0.0)
    if node.twin is not None:
        symbols = sorted(node.twin.symbols(), key=lambda symbol: (symbol.kind, symbol.index))
        inner = replace(node, args=tuple(range(len(args))))
        seeds = {symbol: moves[inner.argument(symbol)] for symbol in symbols}
        outer = {symbol: args[inner.argument(symbol)] for symbol in symbols}
        _, found = _forward(builder, node.twin, seeds, outer)
        packs = {d: tuple(move.get(d, zero) for move in found) for d in directions}
        return {d: builder.add(Pack(pack)) for d, pack in packs.items()}
    if not node.jvp:
        raise DerivativeError(
            "A derivative is needed of a right-hand side that stands in a header without one. "
            "Write rhs in torch beside it, or rhs_jvp in the header."
            if node.function == "rhs"
            else "A second derivative is needed of a right-hand side that stands in a header, "
            "which rhs_jvp does not give. Write rhs in torch beside it."
        )
    result: Moves = {}
    for direction in directions:
        along = [move.get(direction, zero) for move in moves]
        call = replace(node, function="rhs_jvp", args=(*args, *along), jvp=False)
        result[direction] = builder.add(call)
    return result


def _derived(
    arithmetic: Arithmetic, node: Node, args: list[int], value: int, moves: list[Moves]
) -> Moves:
    """Derivatives of a node along each direction in which an operand moves."""
    result: Moves = {}
    for direction in sorted(set().union(*moves)):
        along: list[Tangent] = [move.get(direction) for move in moves]
        found = _along(arithmetic, node, args, value, along)
        if found is not None and arithmetic.number(found) != 0.0:
            result[direction] = found
    return result


def _along(
    arithmetic: Arithmetic, node: Node, args: list[int], value: int, moves: list[Tangent]
) -> Tangent:
    """Derivative of a node where its operands move so; at least one of them does."""
    builder = arithmetic.builder
    match node:
        case Apply():
            return _combined(arithmetic, node.op, args, value, moves)
        case Wide():
            found = _combined(arithmetic, node.op, args, value, moves)
            return None if found is None else arithmetic.spread(found, node.size)
        case Pack():
            zero = builder.constant(0.0)
            return builder.add(Pack(tuple(zero if move is None else move for move in moves)))
    (move,) = moves
    assert move is not None
    match node:
        case Table():
            if node.slope:
                return None
            slope = Table(node.knots, node.values, node.size, args[0], slope=True)
            return arithmetic.mul(builder.add(slope), move)
        case Linear():
            return builder.add(Linear(node.weight, None, move, node.inputs, node.outputs))
        case Item():
            inner = builder.nodes[move]
            if isinstance(inner, Pack):
                return inner.args[node.index]
            return builder.add(Item(move, node.index))
    raise TypeError(f"{node} has no derivative")


def _combined(
    arithmetic: Arithmetic, op: str, args: list[int], value: int, moves: list[Tangent]
) -> Tangent:
    """Sum of slopes times derivatives, left to right."""
    if op in CHOICES:
        return CHOICES[op](arithmetic, args, moves)
    total: Tangent = None
    for slope, move in zip(SLOPES[op](arithmetic, args, value), moves, strict=True):
        if slope is None or move is None:
            continue
        term = arithmetic.mul(slope, move)
        total = term if total is None else arithmetic.add(total, term)
    return total
