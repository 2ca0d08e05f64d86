"""Text of events and quantities, kept for the next problem of the same kind."""

from __future__ import annotations

from functools import lru_cache
from typing import final

from twinml.engines.native.quantities import functional_plan
from twinml.expression import Expression
from twinml.lowering import Lowered
from twinml.lowering.event_text import event_fragment
from twinml.lowering.functionals import functional_fragment
from twinml.lowering.unit import Fragment
from twinml.physics import Signal
from twinml.physics.declarations import Declarations
from twinml.solve.problem import Problem


@final
class _Known:
    """Programs and declarations, which the rest of a key stands for."""

    def __init__(self, lowered: Lowered, declared: Declarations) -> None:
        self.lowered, self.declared = lowered, declared

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known)

    def __hash__(self) -> int:
        return 0


def fragments(problem: Problem, lowered: Lowered) -> tuple[Fragment | None, Fragment | None]:
    """Text of the model's events, and of the quantities that are kept."""
    declared = problem.model.declared
    known = _Known(lowered, declared)
    linear = any(isinstance(v, Signal) and v.kind == "linear" for v in problem.inputs.values())
    events = tuple((e.direction, e.terminal, e.action is None) for e in declared.events.values())
    watched = _events(lowered.digest, events, linear, known) if events else None
    if problem.keep != "quantities":
        return watched, None
    names = (declared.names, tuple(declared.slices), declared.width, tuple(problem.constants))
    quantities = tuple(problem.quantities.values())
    return watched, _quantities(lowered.digest, names, quantities, linear, known)


@lru_cache(maxsize=256)
def _events(
    digest: str, events: tuple[tuple[int, bool, bool], ...], linear: bool, known: _Known
) -> Fragment | None:
    return event_fragment(known.lowered, known.declared, linear)


@lru_cache(maxsize=256)
def _quantities(
    digest: str, names: tuple, quantities: tuple[Expression, ...], linear: bool, known: _Known
) -> Fragment | None:
    plan = functional_plan(quantities)
    return functional_fragment(plan, known.lowered, known.declared, names[-1], linear)
