"""The text of a field kernel: numbers, names, the user's functions, entries."""

from __future__ import annotations

import ctypes
import json
from typing import Literal

from twinml.fields.declaration import FieldSpec, Text
from twinml.fields.memory import layout

# "pair" is forward and vector-Jacobian product; "tangent" the derivative along one direction.
Kind = Literal["pair", "tangent"]


def unit_text(spec: FieldSpec, kind: Kind, bits: int) -> str:
    """The whole unit, for g++, clang and NVRTC alike."""
    tangent = kind == "tangent"
    vjp = None if tangent else spec.vjp
    defines = {
        "TW_BITS": bits,
        "TW_REGS": 1,
        "FD_DIMENSIONS": spec.dimensions,
        "FD_FIELDS": len(spec.fields),
        "FD_COEFFICIENTS": len(spec.coefficients),
        "FD_RESULTS": len(spec.results),
        "FD_ARGS_BYTES": ctypes.sizeof(
            layout(len(spec.fields), len(spec.coefficients), len(spec.results))
        ),
        "FD_REACH": spec.reach,
        "FD_WRAP_X": int(spec.periodic[0]),
        "FD_WRAP_Y": int(spec.periodic[1]),
        "FD_TANGENT": int(tangent),
        "FD_VJP": int(vjp is not None),
    }
    blocks = [
        "\n".join(f"#define {name} {value}" for name, value in defines.items()),
        '#include "field.h"',
        *(f'#include "{name}"' for name in spec.includes),
        "namespace tw {",
        *(() if spec.support is None else (spec.support,)),
        _accessors(spec),
        "namespace user {",
        f"typedef tw::{'Dual' if tangent else 'Real'} Real;",
        _struct("Results", spec.results),
        _struct("Gradients", spec.arguments),
    ]
    if spec.header is not None:
        blocks.append(_quoted(spec.header))
    blocks.append(_function("forward", "Results& out", spec.forward))
    if vjp is not None:
        blocks.append(_function("vjp", "Gradients& grad", vjp))
    blocks += ["}  // namespace user", _task(spec, "Forward", "")]
    if tangent:
        blocks.append(_task(spec, "Tangent", ".d"))
    if vjp is not None:
        blocks.append(_adjoint(spec))
    return "\n".join([*blocks, "}  // namespace tw", '#include "field_run.h"']) + "\n"


def _accessors(spec: FieldSpec) -> str:
    """Arguments by name: ``at.u(-1)``, ``at.u(0, 1)``, ``at.k()``; ``at.bar_du()``, a cotangent."""
    lines = [
        "template <class Num, class Place>",
        "struct Named : Cell<Num, Place> {",
    ]
    for number, name in enumerate(spec.fields):
        lines.append(_neighbour(name, f"field({number}, dx, dy)"))
    for number, name in enumerate(spec.coefficients):
        lines.append(f"  TW_MEMBER Num {name}() const {{ return this->coefficient({number}); }}")
    for number, name in enumerate(spec.results):
        lines.append(_neighbour(f"bar_{name}", f"cotangent({number}, dx, dy)"))
    return "\n".join([*lines, "};"])


def _neighbour(name: str, call: str) -> str:
    return f"  TW_MEMBER Num {name}(int dx = 0, int dy = 0) const {{ return this->{call}; }}"


def _struct(name: str, members: tuple[str, ...]) -> str:
    return f"struct {name} {{ Real {', '.join(members)}; }};"


def _function(name: str, result: str, body: Text) -> str:
    head = f"template <class Cell> TW_FN void {name}(const Cell& at, {result}) {{"
    return f"{head}\n{_quoted(body)}\n}}"


def _quoted(text: Text) -> str:
    """A user's text, its lines counted as in the file it is from."""
    return f'#line 1 {json.dumps(text.origin)}\n{text.content}\n#line 1 "generated"'


def _task(spec: FieldSpec, name: str, part: str) -> str:
    """Computes one pack; results that the text does not set are nan."""
    number = "user::Real"
    unset = ", ".join([f"{number}(not_a_number())"] * len(spec.results))
    # Without a direction it is the value itself; of a Dual, its first part.
    values = [f"out.{n}{part}" if part else f"value_of(out.{n})" for n in spec.results]
    lines = [
        f"struct {name} {{",
        "  template <class Place> static TW_MEMBER void at(const Place& place, tw::Real*) {",
        f"    user::Results out = {{{unset}}};",
        f"    user::forward(Named<{number}, Place>{{{{place}}}}, out);",
        *(f"    place.write(place.args.results[{k}], {v});" for k, v in enumerate(values)),
        "  }",
        "};",
    ]
    return "\n".join(lines)


def _adjoint(spec: FieldSpec) -> str:
    unset = ", ".join(["not_a_number()"] * len(spec.arguments))
    lines = [
        "struct Adjoint {",
        "  template <class Place> static TW_MEMBER void at(const Place& place, Real* sums) {",
        f"    user::Gradients grad = {{{unset}}};",
        "    user::vjp(Named<Real, Place>{{place}}, grad);",
        *(
            f"    place.write(place.args.gradients[{k}], grad.{name});"
            for k, name in enumerate(spec.fields)
        ),
        *(
            f"    sums[{k}] += place.counted(grad.{name});"
            for k, name in enumerate(spec.coefficients)
        ),
        "    (void)sums;",
        "  }",
        "};",
    ]
    return "\n".join(lines)
