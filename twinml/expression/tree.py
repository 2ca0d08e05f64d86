"""The tree of an expression: frozen, hashable nodes that print and evaluate themselves."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Union, final

from twinml.errors import ExpressionError, nearest

if TYPE_CHECKING:
    from torch import Tensor

ELEMENTWISE = ("min", "max", "abs", "exp", "log", "sqrt")
FUNCTIONALS = {
    "final": "final(x)",
    "initial": "initial(x)",
    "max": "max(x)",
    "min": "min(x)",
    "time_of_max": "time_of_max(x)",
    "time_of_min": "time_of_min(x)",
    "mean": "mean(x)",
    "integral": "integral(x)",
    "time_above": "time_above(x, threshold)",
    "first_time": "first_time(a > b)",
    "at": "at(x, time)",
}
_RANK = {"compare": 0, "+": 1, "-": 1, "*": 2, "/": 2, "negate": 3, "**": 4, "atom": 5}

Value = Union["Tensor", float]


class Expression(ABC):
    """A node of the tree; equal texts up to spacing give equal, hashable trees."""

    @property
    @abstractmethod
    def children(self) -> tuple[Expression, ...]:
        """The operands, left to right."""

    @property
    @abstractmethod
    def rank(self) -> int:
        """How tightly the node binds when printed."""

    @abstractmethod
    def _print(self) -> str: ...

    @abstractmethod
    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value: ...

    @cached_property
    def text(self) -> str:
        """The normalised text; parsing it gives an equal tree."""
        return self._print()

    @cached_property
    def names(self) -> frozenset[str]:
        """Every free name, inside functionals or not."""
        return frozenset(node.name for node in self.walk() if isinstance(node, Name))

    @cached_property
    def outer_names(self) -> frozenset[str]:
        """The names that stand outside every functional, hence must not vary along the path."""
        if isinstance(self, Name):
            return frozenset({self.name})
        if isinstance(self, Functional):
            return frozenset()
        return frozenset().union(*(child.outer_names for child in self.children))

    @cached_property
    def functionals(self) -> tuple[Functional, ...]:
        """The functionals from left to right, each once."""
        return tuple(dict.fromkeys(n for n in self.walk() if isinstance(n, Functional)))

    def walk(self) -> Iterator[Expression]:
        """This node and all below it, left to right."""
        yield self
        for child in self.children:
            yield from child.walk()

    def evaluate(
        self,
        values: Mapping[str, Tensor | float],
        functionals: Mapping[Functional, Tensor] | None = None,
    ) -> Tensor:
        """The value for given names and functionals, by torch's broadcasting.

        nan goes through every operation, comparisons included, so that a failed row cannot
        turn into a plausible 0 or 1. Numbers take the dtype of the tensors they meet; an
        expression of numbers alone is float64.

        Args:
            values: A tensor or number per name.
            functionals: A tensor per functional of the tree, typically shape (B,).

        Returns:
            The broadcast of the operands; a comparison gives 1.0 or 0.0.

        Raises:
            ExpressionError: A name or functional of the expression has no value.
        """
        return _as_tensor(self._evaluate(values, functionals or {}))

    def __str__(self) -> str:
        return self.text


@final
@dataclass(frozen=True)
class Number(Expression):
    value: float

    @property
    def children(self) -> tuple[Expression, ...]:
        return ()

    @property
    def rank(self) -> int:
        return _RANK["atom"]

    def _print(self) -> str:
        whole = self.value.is_integer() and abs(self.value) < 1e15
        return str(int(self.value)) if whole else repr(self.value)

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        return self.value


@final
@dataclass(frozen=True)
class Name(Expression):
    name: str

    @property
    def children(self) -> tuple[Expression, ...]:
        return ()

    @property
    def rank(self) -> int:
        return _RANK["atom"]

    def _print(self) -> str:
        return self.name

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        if self.name not in values:
            raise ExpressionError(_unknown(self.name, values, "the expression"))
        return values[self.name]


@final
@dataclass(frozen=True)
class Negate(Expression):
    operand: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.operand,)

    @property
    def rank(self) -> int:
        return _RANK["negate"]

    def _print(self) -> str:
        return "-" + _wrapped(self.operand, self.rank)

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        return -self.operand._evaluate(values, functionals)


@final
@dataclass(frozen=True)
class Binary(Expression):
    operator: str
    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.left, self.right)

    @property
    def rank(self) -> int:
        return _RANK[self.operator]

    def _print(self) -> str:
        if self.operator == "**":  # binds to the right, and a minus may follow it bare
            right = _wrapped(self.right, _RANK["negate"])
            return f"{_wrapped(self.left, self.rank + 1)} ** {right}"
        right = _wrapped(self.right, self.rank + 1)
        return f"{_wrapped(self.left, self.rank)} {self.operator} {right}"

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        left = self.left._evaluate(values, functionals)
        right = self.right._evaluate(values, functionals)
        if isinstance(left, int | float) and isinstance(right, int | float):
            left = _as_tensor(left)  # 1/0 and 9**9**9 give inf, as with tensors, not a Python error
        match self.operator:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "/":
                return left / right
            case _:
                return left**right


@final
@dataclass(frozen=True)
class Comparison(Expression):
    operator: str
    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.left, self.right)

    @property
    def rank(self) -> int:
        return _RANK["compare"]

    def _print(self) -> str:
        inner = self.rank + 1
        return f"{_wrapped(self.left, inner)} {self.operator} {_wrapped(self.right, inner)}"

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        import torch

        left, right = _matched(
            self.left._evaluate(values, functionals), self.right._evaluate(values, functionals)
        )
        compare: dict[str, Callable[..., Tensor]] = {
            "<": torch.lt, "<=": torch.le, ">": torch.gt,
            ">=": torch.ge, "==": torch.eq, "!=": torch.ne,
        }  # fmt: skip
        # a comparison with nan is false in torch: restored, and only for nan, not for infinities
        undefined = torch.isnan(left) | torch.isnan(right)
        truth = compare[self.operator](left, right).to(torch.result_type(left, right))
        return truth.masked_fill(undefined, math.nan)


@final
@dataclass(frozen=True)
class Elementwise(Expression):
    function: str
    arguments: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        return self.arguments

    @property
    def rank(self) -> int:
        return _RANK["atom"]

    def _print(self) -> str:
        return f"{self.function}({', '.join(argument.text for argument in self.arguments)})"

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        import torch

        arguments = [a._evaluate(values, functionals) for a in self.arguments]
        if self.function in ("min", "max"):
            pick = torch.minimum if self.function == "min" else torch.maximum
            result = arguments[0]
            for argument in arguments[1:]:
                result = pick(*_matched(result, argument))
            return result
        return getattr(torch, self.function)(_as_tensor(arguments[0]))


@final
@dataclass(frozen=True)
class Functional(Expression):
    """One number of a whole path.

    Attributes:
        kind: A key of ``FUNCTIONALS``.
        argument: What is followed along the path; a ``Comparison`` for ``first_time``.
        extra: The threshold of ``time_above``, the time of ``at``, else None.
    """

    kind: str
    argument: Expression
    extra: Expression | None = None

    @property
    def children(self) -> tuple[Expression, ...]:
        return (self.argument,) if self.extra is None else (self.argument, self.extra)

    @property
    def rank(self) -> int:
        return _RANK["atom"]

    def _print(self) -> str:
        return f"{self.kind}({', '.join(child.text for child in self.children)})"

    def _evaluate(self, values: Mapping[str, Value], functionals: Mapping[Any, Value]) -> Value:
        if self not in functionals:
            raise ExpressionError(
                f"'{self.text}' needs a simulated path, and none was handed over. "
                "Evaluate it as a quantity of a simulation."
            )
        return functionals[self]


def check_names(expression: Expression, known: Iterable[str], where: str) -> None:
    """Refuse an expression that uses a name outside ``known``.

    Raises:
        ExpressionError: Lists the known names and the nearest one.
    """
    known = list(known)
    for name in sorted(expression.names.difference(known)):
        raise ExpressionError(f"{where}: {_unknown(name, known, expression.text)}")


def _wrapped(child: Expression, least: int) -> str:
    return child.text if child.rank >= least else f"({child.text})"


def _unknown(name: str, known: Iterable[str], text: str) -> str:
    known = sorted(known)
    listed = ", ".join(known) or "none"
    return f"'{text}' uses '{name}', which is unknown.{nearest(name, known)} Known are: {listed}."


def _as_tensor(value: Any) -> Tensor:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    return torch.as_tensor(value, dtype=torch.float64)


def _matched(a: Value, b: Value) -> tuple[Tensor, Tensor]:
    """Both as tensors of one dtype and device: a bare number follows the tensor it meets."""
    import torch

    if isinstance(a, torch.Tensor) and not isinstance(b, torch.Tensor):
        b = torch.as_tensor(b, dtype=a.dtype, device=a.device)
    elif isinstance(b, torch.Tensor) and not isinstance(a, torch.Tensor):
        a = torch.as_tensor(a, dtype=b.dtype, device=b.device)
    return _as_tensor(a), _as_tensor(b)
