"""Expressions along the path as scalar programs: what a quantity follows from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import TYPE_CHECKING, final

import torch

from twinml.expression import (
    Binary,
    Comparison,
    Elementwise,
    Expression,
    Functional,
    Name,
    Negate,
)
from twinml.lowering.arithmetic import number_power
from twinml.lowering.program import Builder, Program
from twinml.lowering.simplify import fused, rewrite
from twinml.lowering.values import Emit
from twinml.physics.declarations import Declarations

if TYPE_CHECKING:
    from twinml.lowering.lower import Lowered

_ARITHMETIC = {"+": "add", "-": "sub", "*": "mul", "/": "div"}
_COMPARE = {"<": "lt", "<=": "le", ">": "gt", ">=": "ge", "==": "eq", "!=": "ne"}


def lower_expression(
    lowered: Lowered, declared: Declarations, expression: Expression, constants: Sequence[str] = ()
) -> Program:
    """The program of an expression without functionals; its one result is the value.

    The model's outputs stand in it as equations. Numbers are those of ``Expression.evaluate``: nan
    goes through comparisons, minimum and maximum.

    Args:
        lowered: Programs of the model.
        declared: Its declarations, for the places of names.
        expression: In names of states of one component, parameters, inputs, outputs, ``t`` and
            ``constants``.
        constants: Names of the constants in the order of the symbols ``c``.
    """
    writer = _Writer(lowered, declared, constants)
    return fused(writer.builder.program([writer.place(expression)]))


@final
class _Writer:
    """Enters the operations of an expression."""

    def __init__(self, lowered: Lowered, declared: Declarations, constants: Sequence[str]) -> None:
        self.builder = Builder(rewrite)
        self.emit = Emit(self.builder)
        self._names: dict[str, Callable[[], int]] = {}
        for number, name in enumerate(constants):
            self._names[name] = self._symbol("c", number)
        # What the model declares counts before a constant of that name.
        for number, name in enumerate(declared.outputs):
            self._names[name] = lambda number=number: self._outputs[number]
        for number, name in enumerate(declared.parameters):
            self._names[name] = self._symbol("p", number)
        for number, name in enumerate(declared.inputs):
            self._names[name] = self._symbol("u", number)
        for name, part in declared.slices.items():
            self._names[name] = self._symbol("y", part.start)
        self._names["t"] = self._symbol("t", 0)
        self._program = lowered.programs.get("outputs")
        self._entered: tuple[int, ...] | None = None

    def _symbol(self, kind: str, number: int) -> Callable[[], int]:
        return lambda: self.builder.symbol(kind, number)

    @property
    def _outputs(self) -> tuple[int, ...]:
        """Places of the model's outputs, entered when the first is asked for."""
        if self._entered is None:
            assert self._program is not None
            self._entered = self.builder.inline(self._program)
        return self._entered

    def place(self, node: Expression) -> int:
        """Place of an expression's value."""
        if not node.names and not node.functionals:
            # Numbers alone are computed in float64, as everywhere.
            with torch.no_grad():
                return self.builder.constant(float(node.evaluate({})))
        match node:
            case Name(name=name):
                return self._names[name]()
            case Negate(operand=operand):
                return self.emit("neg", self.place(operand))
            case Binary(operator="**", left=left, right=right) if not right.names:
                return number_power(self.emit, self.place(left), float(right.evaluate({})))
            case Binary(operator="**", left=left, right=right):
                return self.emit("pow", self.place(left), self.place(right))
            case Binary(operator=operator, left=left, right=right):
                return self.emit(_ARITHMETIC[operator], self.place(left), self.place(right))
            case Comparison(operator=operator, left=left, right=right):
                return self._compared(_COMPARE[operator], self.place(left), self.place(right))
            case Elementwise(function="min" | "max" as function, arguments=arguments):
                choose = "minimum" if function == "min" else "maximum"
                return reduce(
                    lambda a, b: self.emit(choose, a, b), [self.place(a) for a in arguments]
                )
            case Elementwise(function=function, arguments=(argument,)):
                return self.emit(function, self.place(argument))
            case Functional():
                raise ValueError(f"'{node.text}' is a number of a whole path, not a value along it")
        raise TypeError(f"{type(node).__name__} is not an expression of values along a path")

    def _compared(self, op: str, a: int, b: int) -> int:
        """1 or 0, and nan where a side is nan."""
        undefined = self.emit("or", self.emit("isnan", a), self.emit("isnan", b))
        truth = self.emit("select", self.emit(op, a, b), 1.0, 0.0)
        return self.emit("select", undefined, self.builder.constant(float("nan")), truth)
