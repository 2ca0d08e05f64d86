"""Guards and resets of a model as the text that ``kernels/events.h`` reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twinml.lowering.derive import tangent
from twinml.lowering.number_table import reads_table, table
from twinml.lowering.printer import Dialect, print_function
from twinml.lowering.simplify import fused
from twinml.lowering.unit import Fragment
from twinml.physics.declarations import Declarations

if TYPE_CHECKING:
    from twinml.lowering.lower import Lowered

# Arguments of an emitted function, as declared and as passed on.
SIGNATURE = (
    "const Real t, const Real* y, const Real* p, const Real* u, const Real* c, const Weights w"
)


def directions(linear: bool) -> tuple[str, ...]:
    """What moves along a step: inputs only where some of them are linear in time."""
    return ("dt", "dy", "du") if linear else ("dt", "dy")


def event_fragment(
    lowered: Lowered, declared: Declarations, linear: bool, dialect: Dialect = "cpp"
) -> Fragment | None:
    """Guards, their derivatives along a motion, and resets; None for a model without events.

    Args:
        lowered: Programs of the model.
        declared: Its declarations.
        linear: Whether an input is linear between its knots.
        dialect: "cpp" or "cuda".
    """
    events = list(declared.events.values())
    if not events:
        return None
    guards = lowered.programs["guards"]
    moving = fused(tangent(guards, directions(linear)))
    functions = [
        table("EVENT_DIRECTION", [event.direction for event in events]),
        table("EVENT_TERMINAL", [int(event.terminal) for event in events]),
        reads_table("GUARD_READS", [guards], declared.width),
        print_function(guards, "guards", dialect),
        print_function(moving, "guards_moving", dialect, values=len(events)),
    ]
    cases = []
    for number, event in enumerate(events):
        if event.action is not None:
            reset = lowered.programs[f"reset_{number}"]
            functions.append(print_function(reset, f"reset_{number}", dialect))
            cases.append(f"    case {number}: reset_{number}(t, y, p, u, c, w, out); break;")
    functions.append(
        "\n".join(
            [
                f"TW_FN void reset_states(int event, {SIGNATURE}, Real* out)",
                "{",
                "  switch (event) {",
                *cases,
                "    default: TW_EACH_STATE(s) out[s] = y[s];",
                "  }",
                "}\n",
            ]
        )
    )
    return Fragment(f"#define TW_EVENTS {len(events)}\n", "\n".join(functions))
