"""Derivatives along a step as the text that ``kernels/tangent.h`` reads.

One direction's program is copied for each direction of a pass, what no seed touches being shared:
the arithmetic of a direction, and so its bits, do not depend on how many there are beside it.
``tangent_text`` of an explicit method begins::

    #define TW_DIRECTIONS 2
    #define TW_MOVING_P 3
    #define TW_MOVING_U 0
    #define TW_MOVING_TIME 0
    #define TW_C_1 real(0.161)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import final

from twinml.lowering.derive import directional, jacobian
from twinml.lowering.number_table import table
from twinml.lowering.printer import print_tangent
from twinml.lowering.program import Builder, Program, Symbol
from twinml.lowering.simplify import fused, simplified
from twinml.lowering.tableau_text import moment, point
from twinml.solve.methods import Method
from twinml.solve.rosenbrock import RosenbrockTableau
from twinml.solve.tableau import ButcherTableau

_NAMES = ("du", "st", "sy", "sp", "su", "sr")
_SIGNATURE = (
    "const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w, "
    + ", ".join(f"const Real* {name}" for name in _NAMES)
    + ", Real* dout"
)
_PASSED = "t, y, p, u, c, w, du, st, sy, sp, su, sr, dout"
# Operations up to which a derivative stands in every stage, of which there are many.
_INLINED = 60


@final
@dataclass(frozen=True)
class Moving:
    """What a kernel takes derivatives of, besides states.

    Args:
        directions: How many it follows side by side: 1, 2 or 4.
        parameters, inputs: Numbers of those that move along some direction, rising.
        time: Whether times at which steps end move: those of changes.
    """

    directions: int
    parameters: tuple[int, ...] = ()
    inputs: tuple[int, ...] = ()
    time: bool = False


def tangent_text(
    method: Method,
    rhs: Program,
    sizes: tuple[int, int, int],
    moving: Moving,
    linear: Sequence[int],
    dense: bool,
) -> tuple[str, list[str]]:
    """The macros and functions of the derivatives of a method's step.

    Args:
        method: The method.
        rhs: The right-hand side.
        sizes: How many state components, parameters and inputs the model has.
        moving: What moves.
        linear: Inputs that rise or fall inside a step.
        dense: Whether the interpolant is needed.
    """
    macros = [
        f"#define TW_DIRECTIONS {moving.directions}",
        f"#define TW_MOVING_P {len(moving.parameters)}",
        f"#define TW_MOVING_U {len(moving.inputs)}",
        f"#define TW_MOVING_TIME {int(moving.time)}",
    ]
    places = [-1] * (sizes[1] + sizes[2])
    for number, parameter in enumerate(moving.parameters):
        places[parameter] = number
    for number, place in enumerate(moving.inputs):
        places[sizes[1] + place] = number
    functions = [
        table("MOVING_P", moving.parameters),
        table("MOVING_U", moving.inputs),
        table("MOVING_PLACE", places) + "\n",
    ]
    seeds, widths = _seeds(sizes[0], moving), _widths(sizes[0], moving)
    functions.append(_directions(rhs, seeds, widths, moving.directions, "rhs_tangent"))
    if isinstance(method, ButcherTableau):
        macros += _explicit(method, dense)
    elif isinstance(method, RosenbrockTableau):
        more, text = _rosenbrock(method, rhs, linear, seeds, widths, moving)
        macros, functions = [*macros, *more], [*functions, *text]
    return "\n".join(macros) + "\n", functions


def event_tangents(
    programs: Mapping[str, Program], sizes: tuple[int, int, int], moving: Moving
) -> list[str]:
    """Functions of the derivatives of guards and of the states after each event.

    Args:
        programs: Of a model with events.
        sizes: How many state components, parameters and inputs the model has.
        moving: What moves.
    """
    seeds, widths = _seeds(sizes[0], moving), _widths(sizes[0], moving)
    functions = [
        _directions(programs["guards"], seeds, widths, moving.directions, "guards_tangent")
    ]
    cases = []
    for number in range(len(programs["guards"].outputs)):
        if (reset := programs.get(f"reset_{number}")) is None:
            continue
        name = f"reset_tangent_{number}"
        functions.append(_directions(reset, seeds, widths, moving.directions, name))
        cases.append(f"    case {number}: {name}({_PASSED}); break;")
    return [
        *functions,
        f"TW_FN void reset_tangents(int event, {_SIGNATURE})\n{{\n  switch (event) {{\n"
        + "".join(f"{case}\n" for case in cases)
        + "    default: for (int i = 0; i < TW_DIRECTIONS * TW_N; ++i) dout[i] = sy[i];\n  }\n}\n",
    ]


def _widths(states: int, moving: Moving) -> dict[str, int]:
    parameters, inputs = max(1, len(moving.parameters)), max(1, len(moving.inputs))
    return {"st": 1, "sy": states, "sp": parameters, "su": inputs, "sr": inputs}


def _seeds(states: int, moving: Moving) -> dict[Symbol, Symbol]:
    seeds = {Symbol("y", s): Symbol("sy", s) for s in range(states)}
    seeds |= {Symbol("p", p): Symbol("sp", k) for k, p in enumerate(moving.parameters)}
    seeds |= {Symbol("u", u): Symbol("su", k) for k, u in enumerate(moving.inputs)}
    if moving.time:
        seeds[Symbol("t")] = Symbol("st")
    return seeds


def _directions(
    program: Program, seeds: Mapping[Symbol, Symbol], widths: Mapping[str, int], count: int,
    name: str,
) -> str:  # fmt: skip
    """The derivatives of a program along so many directions, as a function."""
    one = fused(simplified(directional(program, seeds), absorb=True))
    builder = Builder()
    outputs: list[int] = []
    for direction in range(count):

        def given(symbol: Symbol, direction: int = direction) -> int | None:
            if symbol.kind not in widths:
                return None
            return builder.symbol(symbol.kind, direction * widths[symbol.kind] + symbol.index)

        outputs += builder.inline(one, given)
    whole = builder.program(outputs)
    return print_tangent(whole, name, whole.operations > _INLINED)


def _explicit(tableau: ButcherTableau, dense: bool) -> list[str]:
    lines = [f"#define TW_C_{i} real({tableau.c[i]!r})" for i in range(1, tableau.stages)]
    later = list(range(1, tableau.stages))
    extra = []
    if dense:
        for number, (row, c) in enumerate(zip(tableau.dense_a, tableau.dense_c, strict=True)):
            place = tableau.stages + number
            extra.append(place)
            lines += [
                f"#define TW_POINT_{place}(s) {point(row)}",
                f"#define TW_AT_{place} {moment(c)}",
                f"#define TW_C_{place} real({c!r})",
            ]
    return [*lines, _each("TW_EACH_STAGE", later), _each("TW_EACH_EXTRA_STAGE", extra)]


def _each(name: str, places: Sequence[int]) -> str:
    return f"#define {name}(do_) " + " ".join(f"do_({place})" for place in places)


def _rosenbrock(
    tableau: RosenbrockTableau, rhs: Program, linear: Sequence[int],
    seeds: Mapping[Symbol, Symbol], widths: Mapping[str, int], moving: Moving,
) -> tuple[list[str], list[str]]:  # fmt: skip
    derived = jacobian(rhs, linear)
    again = dict(seeds)
    again |= {Symbol("du", u): Symbol("sr", k) for k, u in enumerate(moving.inputs) if u in linear}
    program = simplified(derived.program)
    macros = [
        *(f"#define TW_C_{i} real({tableau.c[i]!r})" for i in range(1, tableau.stages)),
        _each("TW_EACH_STAGE", list(range(1, tableau.stages))),
    ]
    functions = [
        table("ENTRY_ROW", [i for i, _ in derived.pattern]),
        table("ENTRY_COLUMN", [j for _, j in derived.pattern]) + "\n",
        _directions(program, again, widths, moving.directions, "jacobian_tangent"),
    ]
    return macros, functions
