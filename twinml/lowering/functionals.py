"""Quantities of a path as the slots and the text that ``kernels/functionals.h`` reads.

Each functional of a set of quantities is one slot; an extremum and its time share one. A slot
follows one expression and keeps one or two accumulators: numbers (``totals``) and times
(``moments``), whose first values are the host's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from twinml.expression import Binary, Comparison, Expression, Functional
from twinml.lowering.derive import tangent
from twinml.lowering.event_text import directions
from twinml.lowering.expression import lower_expression
from twinml.lowering.number_table import reads_table, table
from twinml.lowering.printer import Dialect, print_function
from twinml.lowering.simplify import fused
from twinml.lowering.unit import Fragment
from twinml.physics.declarations import Declarations

if TYPE_CHECKING:
    from twinml.lowering.lower import Lowered

# As in kernels/quantities.h.
CODES = {
    "final": 0, "initial": 1, "integral": 2, "mean": 3, "at": 4, "max": 5, "min": 6,
    "time_above": 7, "first_time>=": 8, "first_time>": 9,
}  # fmt: skip
_PROFILED = frozenset(("max", "min", "time_above", "first_time"))


@final
@dataclass(frozen=True)
class Slot:
    """A functional, or an extremum and its time.

    Args:
        kind: A kind of functional, "max" or "min" for extrema.
        code: As the kernel knows it.
        expression: Number of the expression it follows.
        total: Number of its accumulator, None for a first time.
        share: Number of the accumulator of the part of the horizon that was lived; of means.
        moment: Number of the time it keeps; of timed extrema and first times.
        time: Number of its fixed time; of ``at``.
    """

    kind: str
    code: int
    expression: int
    total: int | None = None
    share: int | None = None
    moment: int | None = None
    time: int | None = None


@final
@dataclass(frozen=True)
class FunctionalPlan:
    """What is followed for a set of quantities, and where it is kept.

    Args:
        slots: All functionals, each computed once.
        slot_of: Number of the slot of each functional.
        expressions: What slots follow; those read at nodes first.
        profiled: How many of them are read at nodes.
        totals, moments: How many numbers and times a row keeps.
        times: The fixed times, expressions of parameters and constants.
    """

    slots: tuple[Slot, ...]
    slot_of: Mapping[Functional, int]
    expressions: tuple[Expression, ...]
    profiled: int
    totals: int
    moments: int
    times: tuple[Expression, ...]


def followed(functional: Functional) -> tuple[str, Expression]:
    """The kernel's kind of a functional and the expression it follows."""
    kind, argument = functional.kind.removeprefix("time_of_"), functional.argument
    if kind == "time_above":
        assert functional.extra is not None
        return kind, Binary("-", argument, functional.extra)
    if kind == "first_time":
        assert isinstance(argument, Comparison)
        left, right = argument.left, argument.right
        if argument.operator.startswith("<"):
            left, right = right, left
        kind += ">=" if "=" in argument.operator else ">"
        return kind, Binary("-", left, right)
    return kind, argument


def plan_functionals(quantities: Iterable[Expression]) -> FunctionalPlan:
    """Slots for all functionals of some quantities."""
    functionals = list(dict.fromkeys(f for q in quantities for f in q.functionals))
    kinds = [followed(functional) for functional in functionals]
    read = [e for kind, e in kinds if kind.rstrip(">=") in _PROFILED]
    profiled = list(dict.fromkeys(read))
    expressions = list(dict.fromkeys([*profiled, *(e for _, e in kinds)]))
    timed = {
        (kind, expression)
        for functional, (kind, expression) in zip(functionals, kinds, strict=True)
        if functional.kind.startswith("time_of_")
    }
    slots: list[Slot] = []
    known: dict[tuple[str, Expression], int] = {}
    slot_of: dict[Functional, int] = {}
    totals = moments = 0
    times: list[Expression] = []
    for functional, (kind, expression) in zip(functionals, kinds, strict=True):
        shared = kind in ("max", "min")
        if shared and (kind, expression) in known:
            slot_of[functional] = known[kind, expression]
            continue
        total = share = moment = time = None
        if not kind.startswith("first_time"):
            total, totals = totals, totals + 1
        if kind == "mean":
            share, totals = totals, totals + 1
        if kind.startswith("first_time") or (kind, expression) in timed:
            moment, moments = moments, moments + 1
        if kind == "at":
            assert functional.extra is not None
            time = len(times)
            times.append(functional.extra)
        slot_of[functional] = known[kind, expression] = len(slots)
        place = expressions.index(expression)
        slots.append(Slot(kind.rstrip(">="), CODES[kind], place, total, share, moment, time))
    return FunctionalPlan(
        tuple(slots), slot_of, tuple(expressions), len(profiled), totals, moments, tuple(times)
    )


def functional_fragment(
    plan: FunctionalPlan,
    lowered: Lowered,
    declared: Declarations,
    constants: Sequence[str],
    linear: bool,
    dialect: Dialect = "cpp",
) -> Fragment | None:
    """Expressions and tables of a plan; None for one without functionals.

    Args:
        plan: What is followed.
        lowered: Programs of the model.
        declared: Its declarations.
        constants: Names of constants in the order of the symbols ``c``.
        linear: Whether an input is linear between its knots.
        dialect: "cpp" or "cuda".
    """
    if not plan.slots:
        return None
    programs = [lower_expression(lowered, declared, e, constants) for e in plan.expressions]
    functions = [
        table("SLOT_KIND", [slot.code for slot in plan.slots]),
        table("SLOT_VALUE", [slot.expression for slot in plan.slots]),
        table("SLOT_TOTAL", [_place(slot.total) for slot in plan.slots]),
        table("SLOT_EXTRA", [_place(_extra(slot)) for slot in plan.slots]),
    ]
    values, moving = [], []
    for number, program in enumerate(programs):
        functions.append(print_function(program, f"value_{number}", dialect))
        values.append(f"case {number}: value_{number}(TW_AROUND, &value); break;")
        if number < plan.profiled:
            motion = fused(tangent(program, directions(linear)))
            name = f"value_moving_{number}"
            functions.append(print_function(motion, name, dialect, values=1))
            call = f"{name}(TW_AROUND, dt, dy, du, &moving.value, &moving.rate)"
            moving.append(f"case {number}: {call}; break;")
    functions.append(reads_table("VALUE_READS", programs, declared.width))
    integrals = any(slot.kind in ("integral", "mean") for slot in plan.slots)
    defines = {
        "TW_FUNCTIONALS": len(plan.slots),
        "TW_TOTALS": plan.totals,
        "TW_MOMENTS": plan.moments,
        "TW_TIMES": len(plan.times),
        "TW_INTEGRALS": int(integrals),
        "TW_PROFILED": plan.profiled,
        "TW_VALUE_CASES": " ".join(values),
        "TW_MOVING_CASES": " ".join(moving),
    }
    text = "\n".join(f"#define {name} {value}" for name, value in defines.items())
    return Fragment(text + "\n", "\n".join(functions))


def _extra(slot: Slot) -> int | None:
    return next((n for n in (slot.share, slot.moment, slot.time) if n is not None), None)


def _place(number: int | None) -> int:
    return -1 if number is None else number
