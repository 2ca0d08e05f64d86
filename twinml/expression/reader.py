"""From text to a tree: Python's own parser, then admission node by node."""

from __future__ import annotations

import ast
import math
import re
from dataclasses import dataclass

from twinml.errors import ExpressionError, nearest
from twinml.expression.tree import (
    ELEMENTWISE,
    FUNCTIONALS,
    Binary,
    Comparison,
    Elementwise,
    Expression,
    Functional,
    Name,
    Negate,
    Number,
)

MAX_LENGTH = 1000  # characters; a longer text is a mistake, and the parser's cost stays bounded
MAX_DEPTH = 100  # nested operations; keeps every recursive walk far from Python's own limit

_BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_COMPARE = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
_NUMBER_AND_UNIT = re.compile(r"[-+]?[\d.]+(e[-+]?\d+)?\s+[^\W\d]\w*", re.IGNORECASE)


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
            f"{where}: '{text}' cannot be read{place}: {error.msg}. "
            f"{_hint(text)}{_allowed(allow_functionals)}"
        ) from None
    except (RecursionError, MemoryError):
        raise ExpressionError(_too_deep(where)) from None
    except ValueError as error:  # a null byte, an integer beyond Python's digit limit
        raise ExpressionError(f"{where}: the text cannot be read: {error}.") from None
    reader = _Reader(text, where, allow_functionals)
    expression = reader.read(tree.body, depth=0, inside=None)
    if not allow_functionals and expression.functionals:
        raise ExpressionError(
            f"{where}: '{expression.functionals[0].text}' looks at a whole path, which does not "
            "exist when this value is needed. Use numbers, parameters, inputs and varied names."
        )
    return expression


@dataclass(frozen=True)
class _Reader:
    """Turns Python's syntax tree into ours, refusing what is not in the language."""

    text: str
    where: str
    functionals: bool = True

    def read(self, node: ast.expr, depth: int, inside: str | None) -> Expression:
        if depth > MAX_DEPTH:
            raise ExpressionError(_too_deep(self.where))

        def below(child: ast.expr) -> Expression:
            return self.read(child, depth + 1, inside)

        match node:
            # bool is an int to isinstance, and no number of this language
            case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
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
            known = sorted({*ELEMENTWISE, *(FUNCTIONALS if self.functionals else ())})
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
            f"{_allowed(self.functionals)}"
        )


def _allowed(functionals: bool) -> str:
    of_paths = f", and the functionals {', '.join(FUNCTIONALS.values())}" if functionals else ""
    return (
        "Allowed are numbers, names, + - * / **, parentheses, one comparison, "
        f"{', '.join(ELEMENTWISE)}{of_paths}."
    )


def _hint(text: str) -> str:
    if _NUMBER_AND_UNIT.fullmatch(text):
        number = text.split()[0]
        return (
            f"Numbers stand without a unit, times in the horizon's: convert it and write {number} "
            "or what it becomes. "
        )
    return ""


def check_numbers(expression: Expression, where: str) -> None:
    """Refuse arithmetic of written numbers that no row could survive: 1 / 0, 10 ** 10 ** 10.

    Raises:
        ExpressionError: Names the part.
    """
    for node in expression.walk():
        if isinstance(node, Binary) and node.operator == "/" and _value(node.right) == 0.0:
            raise ExpressionError(
                f"{where}: '{node.text}' divides by zero. Correct what stands below the line."
            )
        value = _value(node)
        if value is not None and not math.isfinite(value):
            raise ExpressionError(
                f"{where}: '{node.text}' is {value:g}, not a finite number. Correct it."
            )


def _value(node: Expression) -> float | None:
    """What an expression of numbers alone is worth; None where it holds a name."""
    if isinstance(node, Number):
        return node.value
    if node.names or node.functionals:
        return None
    return float(node.evaluate({}))


def _too_deep(where: str) -> str:
    return (
        f"{where}: the expression nests more than {MAX_DEPTH} operations. "
        "Compute the parts in the model's outputs and name those."
    )
