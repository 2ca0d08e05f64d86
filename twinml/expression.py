"""The small language of quantities, thresholds and timed changes.

An expression is arithmetic on names, read by Python's own parser and then admitted node
by node; what is not on the list is refused by name and nothing is ever executed::

    population - final(susceptible)        time_above(in_bed, 250) / 30
    1 - effect                             first_time(level > 0.9 * initial.level)

Grammar: numbers, names (dots allowed), ``+ - * / **``, unary minus, parentheses, single
comparisons, the elementwise functions ``min max abs exp log sqrt``, and functionals of a
path: ``final initial max min time_of_max time_of_min mean integral time_above first_time
at``. ``max`` and ``min`` of one argument are functionals, of two or more elementwise.
"""

from __future__ import annotations

import ast
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import TYPE_CHECKING, Any, Union, final

from twinml.errors import ExpressionError, nearest

if TYPE_CHECKING:
    from torch import Tensor

MAX_LENGTH = 1000  # characters; a longer text is a mistake, and the parser's cost stays bounded
MAX_DEPTH = 100  # nested operations; keeps every recursive walk far from Python's own limit

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
_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_RANK = {"compare": 0, "+": 1, "-": 1, "*": 2, "/": 2, "negate": 3, "**": 4, "atom": 5}
_ALLOWED = (
    "Allowed are numbers, names, + - * / **, parentheses, one comparison, "
    f"{', '.join(ELEMENTWISE)}, and the functionals {', '.join(FUNCTIONALS.values())}."
)

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
            return reduce(lambda a, b: pick(*_matched(a, b)), arguments)
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


def parse(
    source: str | float, where: str = "expression", allow_functionals: bool = True
) -> Expression:
    """Read an expression.

    Args:
        source: Text of the language above, or a plain number.
        where: How the caller names the place, e.g. ``quantity peak_beds``; starts each message.
        allow_functionals: False where no path exists yet, e.g. in the value of a change.

    Raises:
        ExpressionError: The text is outside the language; names the part and what is allowed.
    """
    if isinstance(source, bool) or not isinstance(source, str | int | float):
        raise ExpressionError(
            f"{where}: {source!r} is {type(source).__name__}; expected a number or an "
            "expression such as max(x) or 1 - effect."
        )
    if not isinstance(source, str):
        source = repr(float(source)) if math.isfinite(source) else str(source)
    if len(source) > MAX_LENGTH:
        raise ExpressionError(
            f"{where}: the expression has {len(source)} characters; at most {MAX_LENGTH} are "
            "read. Compute the parts in the model's outputs and name those."
        )
    text = " ".join(source.split())
    if not text:
        raise ExpressionError(f"{where}: the expression is empty; write a number or e.g. max(x).")
    if "#" in text:
        raise ExpressionError(f"{where}: '{text}' holds a '#'; put remarks outside the text.")
    try:
        tree = ast.parse(text, mode="eval")
    except SyntaxError as error:
        place = f" at character {error.offset}" if error.offset else ""
        raise ExpressionError(
            f"{where}: '{text}' cannot be read{place}: {error.msg}. {_ALLOWED}"
        ) from None
    except (RecursionError, MemoryError):
        raise ExpressionError(_too_deep(where)) from None
    except ValueError as error:  # a null byte, an integer beyond Python's digit limit
        raise ExpressionError(f"{where}: the text cannot be read: {error}.") from None
    reader = _Reader(text, where)
    expression = reader.read(tree.body, depth=0, inside=None)
    if not allow_functionals and expression.functionals:
        raise ExpressionError(
            f"{where}: '{expression.functionals[0].text}' looks at a whole path, which does not "
            "exist when this value is needed. Use numbers, parameters, inputs and varied names."
        )
    return expression


def check_names(expression: Expression, known: Iterable[str], where: str) -> None:
    """Refuse an expression that uses a name outside ``known``.

    Raises:
        ExpressionError: Lists the known names and the nearest one.
    """
    known = list(known)
    for name in sorted(expression.names.difference(known)):
        raise ExpressionError(f"{where}: {_unknown(name, known, expression.text)}")


@dataclass(frozen=True)
class _Reader:
    """Turns Python's syntax tree into ours, refusing what is not in the language."""

    text: str
    where: str

    def read(self, node: ast.expr, depth: int, inside: str | None) -> Expression:
        if depth > MAX_DEPTH:
            raise ExpressionError(_too_deep(self.where))

        def below(child: ast.expr) -> Expression:
            return self.read(child, depth + 1, inside)

        match node:
            case ast.Constant(value=value) if type(value) in (int, float):
                return self._number(value)
            case ast.Name(id=name):
                return Name(name)
            case ast.Attribute():
                return self._dotted(node)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return Negate(below(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return Binary(_BINARY[type(op)], below(left), below(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARE:
                return Comparison(_COMPARE[type(op)], below(left), below(right))
            case ast.Call():
                return self._call(node, depth, inside)
        raise self._refused(node)

    def _number(self, value: float) -> Expression:
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise ExpressionError(
                f"{self.where}: '{self.text}' holds a number beyond float64's range (1.8e308)."
            )
        return Number(number)

    def _dotted(self, node: ast.expr) -> Expression:
        parts: list[str] = []
        inner = node
        while isinstance(inner, ast.Attribute):
            parts.append(inner.attr)
            inner = inner.value
        if not isinstance(inner, ast.Name):
            raise self._refused(node)
        return Name(".".join([inner.id, *reversed(parts)]))

    def _call(self, node: ast.Call, depth: int, inside: str | None) -> Expression:
        if not isinstance(node.func, ast.Name) or node.keywords:
            raise self._refused(node)
        name, count = node.func.id, len(node.args)
        if name not in ELEMENTWISE and name not in FUNCTIONALS:
            known = sorted({*ELEMENTWISE, *FUNCTIONALS})
            raise ExpressionError(
                f"{self.where}: '{self.text}' calls '{name}', which is not a function of the "
                f"language.{nearest(name, known)} Known are {', '.join(known)}."
            )
        if name in ELEMENTWISE and not (name in FUNCTIONALS and count == 1):
            least, most = (2, math.inf) if name in ("min", "max") else (1, 1)
            if not least <= count <= most:
                form = f"{name}(x), {name}(x, y)" if most > 1 else f"{name}(x)"
                raise self._wrong_count(name, count, form)
            read = tuple(self.read(a, depth + 1, inside) for a in node.args)
            return Elementwise(name, read)
        return self._functional(node, name, depth, inside)

    def _functional(self, node: ast.Call, kind: str, depth: int, inside: str | None) -> Expression:
        if inside is not None:
            raise ExpressionError(
                f"{self.where}: '{self._part(node)}' stands inside {inside}(...); a functional of "
                "a path gives one number, which has no path of its own. Write two quantities, or "
                "combine functionals by arithmetic."
            )
        form = FUNCTIONALS[kind]
        if len(node.args) != form.count(",") + 1:
            raise self._wrong_count(kind, len(node.args), form)
        argument, *extra = (self.read(a, depth + 1, kind) for a in node.args)
        if kind == "first_time" and not (
            isinstance(argument, Comparison) and argument.operator in ("<", "<=", ">", ">=")
        ):
            raise ExpressionError(
                f"{self.where}: first_time takes a comparison with < <= > or >=, e.g. "
                f"first_time(x > 3); got '{argument.text}'."
            )
        return Functional(kind, argument, extra[0] if extra else None)

    def _wrong_count(self, name: str, count: int, form: str) -> ExpressionError:
        return ExpressionError(
            f"{self.where}: '{self.text}' gives {name} {count} arguments; write {form}."
        )

    def _part(self, node: ast.AST) -> str:
        return ast.get_source_segment(self.text, node) or self.text

    def _refused(self, node: ast.AST) -> ExpressionError:
        match node:
            case ast.BinOp(op=ast.BitXor()):
                hint = " Powers are written **."
            case ast.Compare() if len(node.ops) > 1:
                hint = " Write one comparison at a time, e.g. (a < b) * (b < c)."
            case ast.BoolOp():
                hint = " Multiply two comparisons for 'and', take their max for 'or'."
            case _:
                hint = ""
        kind = type(node).__name__
        return ExpressionError(
            f"{self.where}: '{self._part(node)}' ({kind}) is not part of the language.{hint} "
            f"{_ALLOWED}"
        )


def _wrapped(child: Expression, least: int) -> str:
    return child.text if child.rank >= least else f"({child.text})"


def _unknown(name: str, known: Iterable[str], text: str) -> str:
    known = sorted(known)
    listed = ", ".join(known) or "none"
    return f"'{text}' uses '{name}', which is unknown.{nearest(name, known)} Known are: {listed}."


def _too_deep(where: str) -> str:
    return (
        f"{where}: the expression nests more than {MAX_DEPTH} operations. "
        "Compute the parts in the model's outputs and name those."
    )


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
