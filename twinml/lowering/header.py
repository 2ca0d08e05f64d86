"""A user's header inside a unit: structs of its names, its text, and what calls it by number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from twinml.lowering.program import (
    Builder,
    Call,
    Item,
    Pack,
    Program,
    operands,
    with_operands,
)
from twinml.physics.declarations import Declarations
from twinml.physics.kernel_source import JVP, RHS, KernelSource


def header_program(declared: Declarations, source: KernelSource, twin: Program | None) -> Program:
    """The right-hand side as a call of the header's ``rhs``."""
    widths = (declared.width, len(declared.parameters), len(declared.inputs))
    builder = Builder()
    args = [builder.symbol("t")]
    for kind, size in zip("ypu", widths, strict=True):
        args += [builder.symbol(kind, index) for index in range(size)]
    digest = hashlib.sha256(header_text(declared, source).encode()).hexdigest()
    call = builder.add(Call(RHS, tuple(args), widths, digest, twin, source.has_jvp))
    return builder.program([builder.add(Item(call, i)) for i in range(widths[0])])


def is_header(program: Program) -> bool:
    """Whether a program calls a header."""
    return any(isinstance(node, Call) for node in program.nodes)


def with_twins(program: Program) -> Program | None:
    """The program with every call of a header replaced by its twin, as it can be followed backward.

    A call without a twin stays where its header has ``rhs_jvp``; None where one has neither.
    """
    builder = Builder()
    places: list[int] = []
    for node in program.nodes:
        own = [places[i] for i in operands(node)]
        if isinstance(node, Call) and node.twin is None and not node.jvp:
            return None
        if isinstance(node, Call) and node.twin is not None:
            inner = replace(node, args=tuple(own))
            place = builder.add(Pack(builder.inline(node.twin, inner.argument)))
        elif isinstance(node, Item) and isinstance(pack := builder.nodes[own[0]], Pack):
            place = pack.args[node.index]
        else:
            place = builder.add(with_operands(node, own))
        places.append(place)
    return builder.program([places[i] for i in program.outputs])


def header_text(declared: Declarations, source: KernelSource) -> str:
    """The part of a unit that emitted functions call, in ``namespace tw``::

    namespace model {
    struct State { Real h1; Real cell[3]; };
    ...
    #line 1 "tanks.h"
    TW_FN void rhs(const Real t, const State& y, ...) { ... }
    }  // namespace model
    TW_FN void model_rhs(const Real t, const Real* y, const Real* p, const Real* u, Real* out)
    {
      model::State a; a.h1 = y[0]; a.cell[0] = y[1]; ...
      model::Rates d; d.h1 = out[0]; ...
      model::rhs(t, a, b, c, d);
      out[0] = d.h1; ...
    }
    """
    sizes: dict[str, Mapping[str, int | None]] = {
        "State": {name: state.size for name, state in declared.states.items()},
        "Rates": {name: state.size for name, state in declared.states.items()},
        "Parameters": dict.fromkeys(declared.parameters),
        "Inputs": dict.fromkeys(declared.inputs),
    }
    members = {kind: list(_members(names)) for kind, names in sizes.items()}
    structs = "\n".join(_struct(kind, names) for kind, names in sizes.items())
    text = (
        f"namespace model {{\n{structs}\n{source.text}}}  // namespace model\n"
        f'#line 1 "calls of {next(iter(source.files))}"\n{_caller(RHS, members)}'
    )
    return text + (_caller(JVP, members) if source.has_jvp else "")


def _members(names: Mapping[str, int | None]) -> Iterable[str]:
    for name, size in names.items():
        if size is None:
            yield name
        else:
            yield from (f"{name}[{index}]" for index in range(size))


def _struct(kind: str, names: Mapping[str, int | None]) -> str:
    fields = [f"Real {n};" if size is None else f"Real {n}[{size}];" for n, size in names.items()]
    return f"struct {kind} {{ {' '.join(fields)} }};"


def _caller(function: str, members: Mapping[str, list[str]]) -> str:
    arguments = ["const Real t", "const Real* y", "const Real* p", "const Real* u"]
    parts = [("State", "a", "y"), ("Parameters", "b", "p"), ("Inputs", "c", "u")]
    given = ["t", "a", "b", "c"]
    if function == JVP:
        arguments += ["const Real dt", "const Real* dy", "const Real* dp", "const Real* du"]
        parts += [(kind, f"d{name}", f"d{array}") for kind, name, array in parts]
        given += ["dt", "da", "db", "dc"]
    lines = [f"TW_FN void model_{function}({', '.join(arguments)}, Real* out)", "{"]
    for kind, name, array in [*parts, ("Rates", "d", "out")]:
        lines.append(f"  model::{kind} {name};")
        lines.append(f"  (void){array};")
        lines += [f"  {name}.{m} = {array}[{i}];" for i, m in enumerate(members[kind])]
    lines.append(f"  model::{function}({', '.join([*given, 'd'])});")
    lines += [f"  out[{i}] = d.{m};" for i, m in enumerate(members["Rates"])]
    return "\n".join([*lines, "}"]) + "\n"


def call_text(header: str, widths: tuple[int, int, int], bits: int) -> str:
    """A unit that evaluates a header's functions for rows of numbers."""
    sizes = dict(zip(("TW_N", "TW_P", "TW_U"), widths, strict=True))
    macros = {"TW_BITS": bits, "TW_REGS": 1, **sizes, "TW_JVP": int(f"model_{JVP}(" in header)}
    return "\n".join(
        [
            *(f"#define {name} {value}" for name, value in macros.items()),
            '#include "lane.h"\n#include "math.h"\nnamespace tw {',
            header + '}  // namespace tw\n#include "call.h"\n',
        ]
    )
