"""What became of a row: one word of bits, the same in Python and in kernels/status.h."""

from __future__ import annotations

from enum import IntFlag


class Status(IntFlag):
    """Bits of ``Solution.status``."""

    OK = 0
    MAX_STEPS = 1  # the budget of attempted steps ran out
    STEP_TOO_SMALL = 2  # the error estimate never met the tolerance
    NOT_FINITE = 4  # rhs returned nan or inf at every step size tried
    SOLVER_FAILED = 8  # the linear system of a stiff method could not be solved
    EVENT_STOP = 16  # a terminal event ended the row: a regular end
    EVENT_LIMIT = 32  # more events than max_events


FAILURE = (
    Status.MAX_STEPS
    | Status.STEP_TOO_SMALL
    | Status.NOT_FINITE
    | Status.SOLVER_FAILED
    | Status.EVENT_LIMIT
)

ADVICE: dict[Status, str] = {
    Status.MAX_STEPS: (
        "the step budget ran out; raise max_steps, loosen rtol, or use a stiff method"
    ),
    Status.STEP_TOO_SMALL: (
        "the error estimate never met the tolerance; the solution may blow up there, "
        "or a stiff method is needed"
    ),
    Status.NOT_FINITE: (
        "rhs gave nan or inf at every step size tried; look for a division by zero, a root or "
        "logarithm of a negative number, or an overflow there"
    ),
    Status.SOLVER_FAILED: "the linear system of the stiff method was singular at every step size",
    Status.EVENT_STOP: "a terminal event ended the row",
    Status.EVENT_LIMIT: (
        "more events than max_events, or events that follow ever faster; raise max_events, or "
        "give the reset a state in which nothing more happens"
    ),
}


def describe(word: int) -> str:
    """The bits of one status word in words, such as "NOT_FINITE: rhs gave nan ..."."""
    bits = [bit for bit in ADVICE if word & bit]
    return "; ".join(f"{bit.name}: {ADVICE[bit]}" for bit in bits) or "OK"
