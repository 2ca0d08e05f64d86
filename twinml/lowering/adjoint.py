"""Vector-Jacobian products of scalar programs, for reverse mode through a kernel.

A program is followed backward: every node that something wanted depends on collects what the
results move by it, times their seeds. Costly values and vectors are kept from the program's own
run instead of being computed again, so the pair is two programs: one that keeps, one that pulls.
What single tensors of the model collect is not summed here: layers note the two vectors whose
outer product is the weight's part, and ``kernels/outer.h`` sums many of them at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import final

from twinml.lowering.derive import called
from twinml.lowering.program import (
    Apply,
    Builder,
    Call,
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
    Wide,
    kind_of,
    operands,
    width_of,
    with_operands,
)
from twinml.lowering.simplify import fused
from twinml.lowering.slopes import CHOICES, SLOPES, Arithmetic, Tangent

# Values that cost about as much to compute again as to keep.
_CHEAP = frozenset(
    [
        "add",
        "sub",
        "mul",
        "fma",
        "fms",
        "fnma",
        "neg",
        "abs",
        "sign",
        "minimum",
        "maximum",
        "relu",
        "select",
        "copysign",
        "floor",
        "ceil",
        "trunc",
        "round",
    ]
)


@final
@dataclass(frozen=True)
class Wanted:
    """What derivatives are asked for besides those by states.

    Args:
        parameters, inputs: By their places among the declared ones.
        tensors: Numbers of tensors of the model.
    """

    parameters: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    tensors: tuple[int, ...] = ()


@final
@dataclass(frozen=True)
class Block:
    """A place in the memory of one evaluation: ``size`` numbers from ``offset`` on; None: one."""

    offset: int
    size: int | None


@final
@dataclass(frozen=True)
class Share:
    """What one node adds to the derivative by a tensor.

    Args:
        node: A Linear layer, a Load or a Table.
        kept: Where its vector operand is kept; for a table, where it is read.
        note: Where its own derivative is noted.
        weight, bias: Tensors that want it; of a Load and a Table the weight alone.
    """

    node: Linear | Load | Table
    kept: int
    note: int
    weight: int | None
    bias: int | None = None


@final
@dataclass(frozen=True)
class Pull:
    """A program followed backward.

    Args:
        keep: Results: those of the program, then what is kept, as ``kept`` says.
        pull: Results: derivatives by all states, then by the wanted parameters and inputs, then
            what is noted, as ``notes`` says.
        kept, notes: Where each of these lies.
        bars: How many results of ``pull`` come before the notes.
        shares: How notes become derivatives by tensors.
    """

    keep: Program
    pull: Program
    kept: tuple[Block, ...]
    notes: tuple[Block, ...]
    bars: int
    shares: tuple[Share, ...]

    @property
    def kept_size(self) -> int:
        return sum(block.size or 1 for block in self.kept)

    @property
    def notes_size(self) -> int:
        return sum(block.size or 1 for block in self.notes)


def pulled(program: Program, states: int, wanted: Wanted) -> Pull:
    """The two programs of a right-hand side.

    Args:
        program: As many results as states.
        states: How many components a state has.
        wanted: What derivatives are asked for.
    """
    reverse = _Reverse(program, states, wanted)
    return reverse.result()


@final
class _Reverse:
    def __init__(self, program: Program, states: int, wanted: Wanted) -> None:
        self.program, self.states, self.wanted = program, states, wanted
        self.builder = Builder()
        self.arithmetic = Arithmetic(self.builder)
        self.places: list[int] = []
        for node in program.nodes:
            own = [self.places[i] for i in operands(node)]
            self.places.append(self.builder.add(with_operands(node, own)))
        self.active = self._active()
        # By node of the program: what has been pulled to it, and to elements of a vector.
        self.bars: dict[int, int] = {}
        self.items: dict[int, dict[int, int]] = {}
        self.found: list[tuple[Linear | Load | Table, int, int]] = []
        self._follow()

    def _active(self) -> list[bool]:
        """Nodes that something wanted reaches."""
        wanted, active = self.wanted, list[bool]()
        for node in self.program.nodes:
            match node:
                case Symbol(kind="y"):
                    own = True
                case Symbol(kind="p"):
                    own = node.index in wanted.parameters
                case Symbol(kind="u"):
                    own = node.index in wanted.inputs
                case Load():
                    own = node.tensor in wanted.tensors
                case Linear():
                    own = node.weight in wanted.tensors or node.bias in wanted.tensors
                case Table():
                    own = node.values in wanted.tensors and not node.slope
                case _:
                    own = False
            below = any(active[i] for i in operands(node)) and kind_of(node) != "bool"
            active.append(own or below)
        return active

    def _follow(self) -> None:
        for number, place in enumerate(self.program.outputs):
            self._give(place, self.builder.symbol("seed", number))
        for place in reversed(range(len(self.program.nodes))):
            bar = self._collected(place)
            if bar is not None:
                self._through(place, self.program.nodes[place], bar)

    def _give(self, place: int, bar: Tangent) -> None:
        """Add to what a node has collected."""
        if bar is None or not self.active[place] or self.arithmetic.number(bar) == 0.0:
            return
        known = self.bars.get(place)
        self.bars[place] = bar if known is None else self.arithmetic.add(known, bar)

    def _collected(self, place: int) -> int | None:
        """What a node has collected, elements of a vector included."""
        bar, items = self.bars.get(place), self.items.get(place)
        if items is None:
            return bar
        zero = self.builder.constant(0.0)
        size = width_of(self.program.nodes[place])
        vector = self.builder.add(Pack(tuple(items.get(i, zero) for i in range(size))))
        return vector if bar is None else self.arithmetic.add(bar, vector)

    def _through(self, place: int, node: Node, bar: int) -> None:
        builder, arithmetic = self.builder, self.arithmetic
        match node:
            case Apply():
                self._combined(place, node, bar)
            case Wide():
                self._combined(place, node, bar)
            case Pack():
                inner = builder.nodes[bar]
                for number, element in enumerate(node.args):
                    if isinstance(inner, Pack):
                        self._give(element, inner.args[number])
                    else:
                        self._give(element, builder.add(Item(bar, number)))
            case Item():
                if self.active[node.arg]:
                    items = self.items.setdefault(node.arg, {})
                    known = items.get(node.index)
                    items[node.index] = bar if known is None else arithmetic.add(known, bar)
            case Linear():
                if {node.weight, node.bias} & set(self.wanted.tensors):
                    self.found.append((node, self.places[node.arg], bar))
                if self.active[node.arg]:
                    shape = (node.inputs, node.outputs)
                    self._give(node.arg, builder.add(Transposed(node.weight, bar, *shape)))
            case Call():
                self._called(node, bar)
            case Load():
                self.found.append((node, -1, bar))
            case Table(slope=False):
                slope = replace(node, arg=self.places[node.arg], slope=True)
                if node.values in self.wanted.tensors:
                    self.found.append((node, self.places[node.arg], bar))
                self._give(node.arg, arithmetic.mul(builder.add(slope), bar))

    def _called(self, node: Call, bar: int) -> None:
        """A function of a header without a twin: its ``rhs_jvp`` along each argument in turn."""
        builder, arithmetic = self.builder, self.arithmetic
        own = [self.places[i] for i in node.args]
        for number, arg in enumerate(node.args):
            if not self.active[arg]:
                continue
            moves: list[dict[int, int]] = [{} for _ in own]
            moves[number] = {0: builder.constant(1.0)}
            slope = called(builder, node, own, moves)[0]
            total: Tangent = None
            for row in range(node.widths[0]):
                part = arithmetic.mul(self._element(bar, row), self._element(slope, row))
                total = part if total is None else arithmetic.add(total, part)
            self._give(arg, total)

    def _element(self, vector: int, index: int) -> int:
        inner = self.builder.nodes[vector]
        if isinstance(inner, Pack):
            return inner.args[index]
        return self.builder.add(Item(vector, index))

    def _combined(self, place: int, node: Apply | Wide, bar: int) -> None:
        """What each operand moves the value by, times what the value has collected."""
        arithmetic = self.arithmetic
        args = [self.places[i] for i in node.args]
        moving = [number for number, arg in enumerate(node.args) if self.active[arg]]
        parts: list[Tangent] = []
        if node.op in CHOICES:
            # Linear in what moves, so one operand at a time.
            for number in moving:
                alone: list[Tangent] = [None] * len(args)
                alone[number] = bar
                parts.append(CHOICES[node.op](arithmetic, args, alone))
        else:
            slopes = _slopes(arithmetic, node.op, args, self.places[place])
            for number in moving:
                slope = slopes[number]
                parts.append(None if slope is None else arithmetic.mul(slope, bar))
        for number, part in zip(moving, parts, strict=True):
            self._give(node.args[number], self._fitted(node, node.args[number], part))

    def _fitted(self, node: Apply | Wide, arg: int, part: Tangent) -> Tangent:
        """Over all elements where one real counts for them all."""
        if part is None or isinstance(node, Apply) or self.arithmetic.number(part) == 0.0:
            return part
        vector = self.arithmetic.spread(part, node.size)
        if kind_of(self.program.nodes[arg]) == "vector":
            return vector
        return self.builder.add(Total(vector))

    def result(self) -> Pull:
        zero = self.builder.constant(0.0)
        symbols = {node: i for i, node in enumerate(self.program.nodes) if isinstance(node, Symbol)}
        kinds = [("y", range(self.states)), ("p", self.wanted.parameters)]
        bars = [
            self.bars.get(symbols.get(Symbol(kind, index), -1), zero)
            for kind, indices in [*kinds, ("u", self.wanted.inputs)]
            for index in indices
        ]
        read = {x for node, x, _ in self.found if isinstance(node, Linear)}
        noted = self._noted()
        results = [*bars, *noted]
        own = set(self.places)
        cut = sorted(self._cut(results, own, read) | read)
        kept, offsets = _laid_out([width_of_place(self.builder, place) for place in cut])
        where = dict(zip(cut, kept, strict=True))
        notes, _ = _laid_out([width_of_place(self.builder, place) for place in noted])
        pull = fused(_with_kept(self.builder.nodes, results, where))
        keep = self.builder.program([*(self.places[i] for i in self.program.outputs), *cut])
        assert offsets == sum(block.size or 1 for block in kept)
        return Pull(keep, pull, kept, notes, len(bars), self._shares(where, noted, notes))

    def _noted(self) -> list[int]:
        """Places that are noted, each once."""
        places: list[int] = []
        for node, x, bar in self.found:
            places += [bar, x] if isinstance(node, Table) else [bar]
        return list(dict.fromkeys(places))

    def _shares(
        self, where: dict[int, Block], noted: list[int], notes: Sequence[Block]
    ) -> tuple[Share, ...]:
        note = {place: block.offset for place, block in zip(noted, notes, strict=True)}
        wanted, shares = set(self.wanted.tensors), list[Share]()
        for node, x, bar in self.found:
            match node:
                case Linear():
                    weight = node.weight if node.weight in wanted else None
                    bias = node.bias if node.bias in wanted else None
                    shares.append(Share(node, where[x].offset, note[bar], weight, bias))
                case Load():
                    shares.append(Share(node, 0, note[bar], node.tensor))
                case Table():
                    shares.append(Share(node, note[x], note[bar], node.values))
        return tuple(shares)

    def _cut(self, results: Sequence[int], own: set[int], read: set[int]) -> set[int]:
        """Values of the program itself that are kept: the first costly ones from the results."""
        nodes, cut, seen = self.builder.nodes, set[int](), set[int]()
        open_places = list(results)
        while open_places:
            place = open_places.pop()
            if place in seen:
                continue
            seen.add(place)
            node = nodes[place]
            if place in own and (place in read or _costly(node)):
                cut.add(place)
                continue
            open_places.extend(operands(node))
        return cut


def _slopes(
    arithmetic: Arithmetic, op: str, args: Sequence[int], value: int
) -> tuple[Tangent, ...]:
    """The rules of forward mode, but where torch's reverse mode has another value."""
    if op == "atan2" and not arithmetic.is_vector(*args):
        # At the origin nothing, where forward mode has nan.
        (y, x), zero = args, arithmetic.constant(0.0)
        square = arithmetic.add(arithmetic.mul(y, y), arithmetic.mul(x, x))
        origin = arithmetic.builder.apply("eq", square, zero)
        inverse = arithmetic.select(origin, zero, arithmetic.inverse(square))
        return arithmetic.mul(x, inverse), arithmetic.neg(arithmetic.mul(y, inverse))
    return SLOPES[op](arithmetic, args, value)


def _costly(node: Node) -> bool:
    match node:
        case Apply():
            return kind_of(node) == "real" and node.op not in _CHEAP
        case Linear() | Wide() | Table():
            return True
        case _:
            return False


def width_of_place(builder: Builder, place: int) -> int | None:
    """Elements of a vector, None for a real."""
    node = builder.nodes[place]
    return width_of(node) if kind_of(node) == "vector" else None


def _laid_out(sizes: Sequence[int | None]) -> tuple[tuple[Block, ...], int]:
    blocks, offset = list[Block](), 0
    for size in sizes:
        blocks.append(Block(offset, size))
        offset += size or 1
    return tuple(blocks), offset


def _with_kept(nodes: Sequence[Node], results: Sequence[int], where: dict[int, Block]) -> Program:
    """The program of these results over what is kept."""
    builder, places = Builder(), dict[int, int]()
    needed, open_places = set[int](), list(results)
    while open_places:
        place = open_places.pop()
        if place not in needed:
            needed.add(place)
            if place not in where:
                open_places.extend(operands(nodes[place]))
    for place in sorted(needed):
        block = where.get(place)
        if block is not None:
            places[place] = builder.add(Kept(block.offset, block.size))
        else:
            own = [places[i] for i in operands(nodes[place])]
            places[place] = builder.add(with_operands(nodes[place], own))
    return builder.program([places[i] for i in results])
