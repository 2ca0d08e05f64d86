"""The scalar program: a model's equation as single assignments of real numbers.

A program is a tuple of nodes; a node names its operands by their place in that tuple, and always
stands after them. Nodes are of three kinds: ``real`` numbers, ``bool`` values, and vectors, which
only the layers of a network use. Programs are frozen and deterministic: equal equations give equal
programs, whatever the values of weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, final

Kind = Literal["real", "bool", "vector"]

# What a symbol stands for: time, state components (stacked order), parameters, inputs, constants
# of quantities; then the seeds of tangents of time, states and inputs; then those of tangents along
# several directions: of time, states, parameters, inputs and the rates of inputs; then those of the
# results of a program that is followed backward.
SYMBOLS = ("t", "y", "p", "u", "c", "dt", "dy", "du", "st", "sy", "sp", "su", "sr", "seed")


@final
@dataclass(frozen=True, slots=True)
class Operation:
    """Kinds of the operands of a scalar operation, one letter each, and of its result.

    ``r`` is real, ``b`` is bool; the result is ``b`` for tests.
    """

    operands: str
    result: Kind = "real"


def _named(names: str, operation: Operation) -> dict[str, Operation]:
    return {name: operation for name in names.split()}


# Every scalar operation. Each has torch's meaning of that name, also at nan, inf and -0;
# ``fma``: a*b + c, ``fms``: a*b - c, ``fnma``: c - a*b, rounded once in kernels; ``select``:
# where(mask, a, b); ``round``: half to even; ``relu``, ``sigmoid``, ``softplus``, ``silu``,
# ``gelu`` (by erf) with torch's defaults.
OPERATIONS: dict[str, Operation] = {
    **_named("add sub mul div minimum maximum pow atan2 hypot fmod remainder copysign",
             Operation("rr")),
    **_named("fma fms fnma", Operation("rrr")),
    **_named(
        "neg abs sign sqrt sqrt0 exp expm1 exp2 log log1p log2 log10 sin cos tan asin acos atan "
        "sinh cosh tanh asinh acosh atanh sigmoid relu softplus silu gelu erf "
        "floor ceil trunc round",
        Operation("r"),
    ),
    **_named("lt le gt ge eq ne", Operation("rr", "bool")),
    **_named("isnan isfinite signbit", Operation("r", "bool")),
    **_named("and or xor", Operation("bb", "bool")),
    **_named("not", Operation("b", "bool")),
    **_named("select", Operation("brr")),
}  # fmt: skip


@final
@dataclass(frozen=True, slots=True)
class Constant:
    """A number written in the equations, in float64."""

    value: float


@final
@dataclass(frozen=True, slots=True)
class Truth:
    """True or False, where a test does not depend on any value."""

    value: bool


@final
@dataclass(frozen=True, slots=True)
class Symbol:
    """An argument of the emitted function, by a kind of ``SYMBOLS`` and an index."""

    kind: str
    index: int = 0


@final
@dataclass(frozen=True, slots=True)
class Load:
    """One element of a tensor of the model, ``w[tensor][index]``, read at each launch."""

    tensor: int
    index: int


@final
@dataclass(frozen=True, slots=True)
class Apply:
    """A scalar operation of ``OPERATIONS``."""

    op: str
    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Table:
    """A table of one variable, ``tw.interp``, or its slope by that variable.

    Args:
        knots, values: Tensors of the model, shape (size,).
        size: Number of points K.
        arg: Where it is read, a real.
        slope: False for the value; True for the slope, that of the interval (at a knot to the
            right, at the last knot to the left), 0 outside the table and at nan.
    """

    knots: int
    values: int
    size: int
    arg: int
    slope: bool = False


@final
@dataclass(frozen=True, slots=True)
class Pack:
    """A vector of real nodes."""

    args: tuple[int, ...]


@final
@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer over a vector: weight (outputs, inputs) row by row, bias (outputs,) or None.

    ``kernels/linear.h`` says in which order it sums.
    """

    weight: int
    bias: int | None
    arg: int
    inputs: int
    outputs: int


@final
@dataclass(frozen=True, slots=True)
class Wide:
    """A scalar operation over each element of vectors; a real operand counts for all elements.

    Only operations of real operands and result.
    """

    op: str
    args: tuple[int, ...]
    size: int


@final
@dataclass(frozen=True, slots=True)
class Item:
    """One element of a vector."""

    arg: int
    index: int


@final
@dataclass(frozen=True, slots=True)
class Transposed:
    """A vector (outputs,) by the transposed weight of a linear layer: (inputs,)."""

    weight: int
    arg: int
    inputs: int
    outputs: int


@final
@dataclass(frozen=True, slots=True)
class Total:
    """The sum of a vector's elements, in their order."""

    arg: int


@final
@dataclass(frozen=True, slots=True)
class Kept:
    """What another program has kept from its own run: ``size`` numbers from ``offset`` on.

    ``size`` is None for one real.
    """

    offset: int
    size: int | None


@final
@dataclass(frozen=True, slots=True)
class Call:
    """A function of the user's own header: a vector of as many results as there are states.

    Args:
        function: "rhs", or "rhs_jvp" for the derivative along a direction.
        args: Time, states, parameters, inputs; for "rhs_jvp" then the same of the direction.
        widths: How many states, parameters and inputs there are.
        header: Digest of the header and the declarations it is compiled with.
        twin: A program of the same results, which derivatives are taken of.
        jvp: Whether the header has "rhs_jvp", which gives them where there is no twin.
    """

    function: str
    args: tuple[int, ...]
    widths: tuple[int, int, int]
    header: str
    twin: Program | None = None
    jvp: bool = False

    def argument(self, symbol: Symbol) -> int:
        """Place of what stands for a symbol of the twin."""
        states, parameters, _ = self.widths
        first = {"t": 0, "y": 1, "p": 1 + states, "u": 1 + states + parameters}
        return self.args[first[symbol.kind] + symbol.index]


Node = (
    Constant | Truth | Symbol | Load | Apply | Table | Pack | Linear | Wide | Item
    | Transposed | Total | Kept | Call
)  # fmt: skip


def operands(node: Node) -> tuple[int, ...]:
    """Places of the nodes that a node reads."""
    match node:
        case Apply() | Pack() | Wide() | Call():
            return node.args
        case Table() | Linear() | Item() | Transposed() | Total():
            return (node.arg,)
        case _:
            return ()


def with_operands(node: Node, args: Sequence[int]) -> Node:
    """The same node over other operands, as many as ``operands`` gives."""
    match node:
        case Apply() | Pack() | Wide() | Call():
            return replace(node, args=tuple(args))
        case Table() | Linear() | Item() | Transposed() | Total():
            return replace(node, arg=args[0])
        case _:
            return node


def kind_of(node: Node) -> Kind:
    """What a node computes."""
    match node:
        case Apply():
            return OPERATIONS[node.op].result
        case Truth():
            return "bool"
        case Pack() | Linear() | Wide() | Transposed() | Call():
            return "vector"
        case Kept():
            return "real" if node.size is None else "vector"
        case _:
            return "real"


def width_of(node: Node) -> int:
    """Number of elements of a vector; 1 for everything else."""
    match node:
        case Pack():
            return len(node.args)
        case Linear():
            return node.outputs
        case Wide():
            return node.size
        case Transposed():
            return node.inputs
        case Kept():
            return node.size or 1
        case Call():
            return node.widths[0]
        case _:
            return 1


@final
@dataclass(frozen=True, slots=True)
class Program:
    """Nodes in the order of computation, and the places of the results (reals)."""

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]

    @property
    def operations(self) -> int:
        """How many operations it does, an element of a vector counted as one."""
        count = 0
        for node in self.nodes:
            match node:
                case Linear() | Transposed():
                    count += node.inputs * node.outputs
                case Wide():
                    count += node.size
                case Apply() | Table():
                    count += 1
        return count

    def symbols(self) -> frozenset[Symbol]:
        """The arguments it reads."""
        return frozenset(node for node in self.nodes if isinstance(node, Symbol))

    def text(self) -> str:
        """One node a line, for digests and for reading: the same for equal programs only."""
        lines = [f"{place} {_written(node)}" for place, node in enumerate(self.nodes)]
        return "\n".join([*lines, f"outputs {' '.join(map(str, self.outputs))}"])


def _written(node: Node) -> str:
    return f"Constant {node.value.hex()}" if isinstance(node, Constant) else repr(node)


@final
class Builder:
    """A program in the making; the same node is never entered twice.

    Args:
        rewrite: Called with the builder and each new node; the place of an equal node it would
            rather have, or None to enter the node as it is.
    """

    def __init__(self, rewrite: Callable[[Builder, Node], int | None] | None = None) -> None:
        self.nodes: list[Node] = []
        self._places: dict[object, int] = {}
        self._rewrite = rewrite

    def add(self, node: Node) -> int:
        """Place of the node, entered if it is new."""
        # 0.0 and -0.0 compare equal, and nan to nothing.
        key = ("constant", node.value.hex()) if isinstance(node, Constant) else node
        place = self._places.get(key)
        if place is None:
            place = None if self._rewrite is None else self._rewrite(self, node)
            if place is None:
                place = len(self.nodes)
                self.nodes.append(node)
            self._places[key] = place
        return place

    def constant(self, value: float) -> int:
        return self.add(Constant(float(value)))

    def symbol(self, kind: str, index: int = 0) -> int:
        return self.add(Symbol(kind, index))

    def apply(self, op: str, *args: int) -> int:
        """A scalar operation over places.

        Raises:
            ValueError: an unknown operation, or operands of other kinds than it takes.
        """
        known = OPERATIONS.get(op)
        if known is None or len(known.operands) != len(args):
            raise ValueError(f"{op} of {len(args)} operands is no scalar operation")
        for letter, place in zip(known.operands, args, strict=True):
            if kind_of(self.nodes[place])[0] != letter:
                raise ValueError(f"{op} takes {known.operands}, and operand {place} is another")
        return self.add(Apply(op, args))

    def inline(
        self, program: Program, given: Callable[[Symbol], int | None] | None = None
    ) -> tuple[int, ...]:
        """Enter another program; places of its results.

        Args:
            program: What is entered.
            given: Place that stands for a symbol, or None to keep the symbol.
        """
        places: list[int] = []
        for node in program.nodes:
            stands = given(node) if given is not None and isinstance(node, Symbol) else None
            if stands is None:
                stands = self.add(with_operands(node, [places[i] for i in operands(node)]))
            places.append(stands)
        return tuple(places[i] for i in program.outputs)

    def program(self, outputs: Sequence[int]) -> Program:
        """The program with these results; nodes that none of them needs are left out."""
        needed = set(outputs)
        for place in reversed(range(len(self.nodes))):
            if place in needed:
                needed.update(operands(self.nodes[place]))
        order = sorted(needed)
        new = {old: place for place, old in enumerate(order)}
        nodes = tuple(
            with_operands(self.nodes[old], [new[i] for i in operands(self.nodes[old])])
            for old in order
        )
        return Program(nodes, tuple(new[i] for i in outputs))
