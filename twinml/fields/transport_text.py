"""The kernel texts of a transport operation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twinml.fields.boundary import KINDS, SIDES
from twinml.fields.declaration import FieldSpec, Text
from twinml.fields.op import FieldOp
from twinml.fields.reaction import reaction_of

# Words and the numbers that kernels/transport.h knows them by.
SCHEMES = {"none": 0, "central": 1, "upwind": 2}
_STEP = (("-1", "1"), ("0, -1", "0, 1"))  # to the neighbours along each axis
_EDGES = (("at.first()", "at.last()"), ("at.first_y()", "at.last_y()"))
_ZERO = "Real(real(0))"


def transport_op(
    name: str,
    fields: tuple[str, ...],
    sides: Mapping[str, Mapping[str, str]],
    scheme: str,
    shape: tuple[int, int] | None,
    reaction: Callable[..., Any] | None,
    sources: tuple[str, ...],
    further: tuple[str, ...],
) -> FieldOp:
    """The operation; its coefficients are ``d0_u a0_u left_u right_u ...``, then ``further``."""
    axes = 1 if shape is None else 2
    coefficients: dict[str, str] = {}
    for field in fields:
        for axis in range(axes):
            along = f" along {'xy'[axis]}" if axes == 2 else ""
            coefficients[f"d{axis}_{field}"] = f"diffusivity/width^2 of '{field}'{along}"
            if scheme != "none":
                coefficients[f"a{axis}_{field}"] = f"velocity/width of '{field}'{along}"
            for side in SIDES[2 * axis : 2 * axis + 2]:
                if sides[side][field] != "periodic":
                    coefficients[f"{side}_{field}"] = f"{side} of '{field}'"
    results = tuple(f"rate_{field}" for field in fields)
    forward, vjp, support = [], [], None
    if reaction is not None:
        found = reaction_of(reaction, fields, f"the reaction of transport '{name}'")
        support = found.text
        at = ", ".join(f"at.{argument}()" for argument in found.arguments) or _ZERO
        forward += [f"const Real y[] = {{{at}}};", f"Real r[{len(fields)}];", "sources(y, r);"]
        bars = ", ".join(f"at.bar_{result}()" for result in results)
        vjp += [
            f"const Real y[] = {{{at}}};",
            f"const Real b[] = {{{bars}}};",
            f"Real s[{max(1, len(found.arguments))}];",
            "sources_vjp(y, b, s);",
        ]
        parts = {n: f"s[{k}]" for k, n in enumerate(found.arguments)}
    else:
        parts = {}
    for number, field in enumerate(fields):
        terms = [_term(field, axis, sides, scheme) for axis in range(axes)]
        if reaction is not None:
            terms.append(f"r[{number}]")
        forward.append(f"out.rate_{field} = {' + '.join(terms)};")
        whole = [parts[field]] if field in parts else []
        for axis in range(axes):
            vjp += _transposed(field, axis, sides, scheme)
            whole.append(f"g{axis}_{field}.here")
        vjp.append(f"grad.{field} = {' + '.join(whole)};")
    for argument in (*sources, *further):
        vjp.append(f"grad.{argument} = {parts[argument]};")
    wraps = [sides[side][fields[0]] == "periodic" for side in SIDES[0 : 2 * axes : 2]]
    spec = FieldSpec(
        name=name,
        fields=(*fields, *sources),
        coefficients=(*coefficients, *further),
        results=results,
        forward=Text("\n".join(forward), f"generated text of transport '{name}'"),
        vjp=Text("\n".join(vjp), f"generated vjp of transport '{name}'"),
        support=support,
        dimensions=axes,
        periodic=(wraps[0], wraps[-1] and axes == 2),
        includes=("transport.h",),
        called=tuple(coefficients.items()),
    )
    return FieldOp(spec, shape)


def _pattern(field: str, axis: int, sides: Mapping[str, Mapping[str, str]], scheme: str) -> str:
    low, high = (KINDS[sides[side][field]] for side in SIDES[2 * axis : 2 * axis + 2])
    return f"<{low}, {high}, {SCHEMES[scheme]}, Cell::inside>"


def _numbers(field: str, axis: int, sides: Mapping[str, Mapping[str, str]], scheme: str) -> str:
    """``at.a0_u(), at.d0_u(), at.left_u(), at.right_u()``, zero for what there is not."""
    found = [f"at.a{axis}_{field}()" if scheme != "none" else _ZERO, f"at.d{axis}_{field}()"]
    for side in SIDES[2 * axis : 2 * axis + 2]:
        found.append(_ZERO if sides[side][field] == "periodic" else f"at.{side}_{field}()")
    return ", ".join(found)


def _term(field: str, axis: int, sides: Mapping[str, Mapping[str, str]], scheme: str) -> str:
    first, last = _EDGES[axis]
    low, high = _STEP[axis]
    around = f"at.{field}({low}), at.{field}(), at.{field}({high})"
    numbers = _numbers(field, axis, sides, scheme)
    return f"gathered{_pattern(field, axis, sides, scheme)}({first}, {last}, {around}, {numbers})"


def _transposed(
    field: str, axis: int, sides: Mapping[str, Mapping[str, str]], scheme: str
) -> list[str]:
    first, last = _EDGES[axis]
    low, high = _STEP[axis]
    around = f"at.{field}({low}), at.{field}(), at.{field}({high})"
    bar = f"at.bar_rate_{field}"
    bars = f"{bar}({low}), {bar}(), {bar}({high})"
    found = f"g{axis}_{field}"
    pattern = _pattern(field, axis, sides, scheme)
    lines = [
        f"const Gathered {found} = scattered{pattern}({first}, {last}, {around}, {bars}, "
        f"{_numbers(field, axis, sides, scheme)});",
        f"grad.d{axis}_{field} = {found}.d;",
    ]
    if scheme != "none":
        lines.append(f"grad.a{axis}_{field} = {found}.a;")
    for side, end in zip(SIDES[2 * axis : 2 * axis + 2], ("low", "high"), strict=True):
        if sides[side][field] != "periodic":
            lines.append(f"grad.{side}_{field} = {found}.{end};")
    return lines
