"""A reaction written in torch, as text that a field kernel calls: values and derivatives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, final

from twinml.errors import ArgumentError, LoweringError
from twinml.lowering.derive import jacobian, tangent
from twinml.lowering.printer import print_function
from twinml.lowering.program import Builder, Program
from twinml.lowering.simplify import fused, rewrite_absorbing
from twinml.lowering.trace import function_program

_ENGINE = ' engine="eager" runs it as it is.'


@final
@dataclass(frozen=True)
class Reaction:
    """What happens inside a cell.

    Args:
        arguments: Names it asks for, in the order of its kernel.
        text: The functions ``sources`` (of numbers, and of numbers with a derivative) and
            ``sources_vjp``, C++.
    """

    arguments: tuple[str, ...]
    text: str


def asked_names(function: Callable[..., Any], what: str) -> tuple[str, ...]:
    """Names of a function's arguments.

    Raises:
        ArgumentError: it is no function, or its arguments have no names.
    """
    try:
        found = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            f"{what} is {type(function).__name__}; expected a function of tensors."
        ) from error
    for parameter in found:
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ArgumentError(
                f"{what} takes '{parameter}'; expected arguments with names, since each is asked "
                "for by its name."
            )
    return tuple(parameter.name for parameter in found)


def reaction_of(function: Callable[..., Any], results: tuple[str, ...], what: str) -> Reaction:
    """Follow a function once and write its kernel text.

    Args:
        function: Of tensors, one number a cell or a row each; elementwise.
        results: Names of the fields whose rates it returns.
        what: Words that errors begin with.

    Raises:
        LoweringError: an operation has no kernel; the text names the line.
    """
    names = asked_names(function, what)
    try:
        program = function_program(function, names, results, what)
    except LoweringError as error:
        raise LoweringError(str(error).replace(_ENGINE, "")) from error
    size, count = len(names), len(results)
    nothing = "nullptr, nullptr, nullptr"
    parts = [
        print_function(fused(program), "reaction"),
        print_function(fused(tangent(program, ["dy"])), "reaction_tangent", values=count),
        print_function(fused(_product(program, size)), "reaction_vjp"),
        "TW_FN void sources(const Real* y, Real* out) {\n"
        f"  reaction(Real(real(0)), y, {nothing}, nullptr, out);\n}}",
        "TW_FN void sources(const Dual* y, Dual* out) {\n"
        f"  Real v[{max(size, 1)}], d[{max(size, 1)}], r[{count}], s[{count}];\n"
        f"  for (int k = 0; k < {size}; ++k) v[k] = y[k].v, d[k] = y[k].d;\n"
        f"  reaction_tangent(Real(real(0)), v, {nothing}, nullptr, Real(real(0)), d, nullptr, r, "
        f"s);\n  for (int k = 0; k < {count}; ++k) out[k] = Dual(r[k], s[k]);\n}}",
        "TW_FN void sources_vjp(const Real* y, const Real* bar, Real* grad) {\n"
        "  reaction_vjp(Real(real(0)), y, bar, nullptr, nullptr, nullptr, grad);\n}",
    ]
    return Reaction(names, "\n".join(parts))


def _product(program: Program, size: int) -> Program:
    """Products of cotangents, the symbols ``p``, with the derivatives by each argument."""
    # A Jacobian is taken by as many states as there are results: zeros make up the number.
    padded = Builder()
    places = [*padded.inline(program)]
    places += [padded.constant(0.0)] * (size - len(places))
    slopes = jacobian(padded.program(places))
    count = slopes.width
    builder = Builder(rewrite_absorbing)
    found = builder.inline(slopes.program)
    totals: list[int | None] = [None] * size
    for (result, argument), entry in zip(slopes.pattern, found[count:], strict=False):
        term = builder.apply("mul", entry, builder.symbol("p", result))
        before = totals[argument]
        totals[argument] = term if before is None else builder.apply("add", before, term)
    zero = builder.constant(0.0)
    return builder.program([zero if total is None else total for total in totals])
