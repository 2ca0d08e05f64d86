"""What the number of states decides: which engine "auto" takes, and which methods there are."""

from __future__ import annotations

from twinml.engines.native.equations import equations
from twinml.errors import LoweringError
from twinml.solve.methods import AUTO, AUTO_PAIR, DENSE_STATES
from twinml.solve.problem import Problem

# A kernel's text names every state and writes every operation out. Measured (g++ 12, one core,
# both methods of "auto"): 40 states of a rod and of a reactor 3 to 8 s, 200 of a rod 6 s, 400 of a
# rod 17 s; 50 states that each depend on all (2,600 operations) 40 s, 100 of these over 3 min.
MOST_STATES = 256
MOST_OPERATIONS = 5_000
_FEW_STATES = 32


def too_large(problem: Problem) -> str | None:
    """Why a model is better not written out as a kernel, or None."""
    states = problem.y0.shape[0]
    if states > MOST_STATES:
        return (
            f"the model has {states:,} states, and kernels that keep states in registers are "
            f"written for up to {MOST_STATES}; larger ones take minutes to compile "
            "(engine='native' asks for one). A grid's kernel is a tw.field_op, which the eager "
            "engine calls"
        )
    if states <= _FEW_STATES:
        return None
    try:
        operations = equations(problem).programs["rhs"].operations
    except LoweringError:
        return None
    if operations > MOST_OPERATIONS:
        return (
            f"the equations of {states} states are {operations:,} operations, and kernels are "
            f"written for up to {MOST_OPERATIONS:,}; larger ones take minutes to compile "
            "(engine='native' asks for one)"
        )
    return None


def left_alone(problem: Problem, method: str) -> str:
    """What to add to the reason of a run whose stiff rows have no second method, or nothing."""
    states = problem.y0.shape[0]
    if method != AUTO or problem.dt is not None or problem.path is not None:
        return ""
    if states <= DENSE_STATES:
        return ""
    return (
        f"; {states:,} states are too many for the dense linear systems of {AUTO_PAIR[1]} (up to "
        f"{DENSE_STATES:,}), so rows that turn stiff go on with {AUTO_PAIR[0]} and small steps"
    )
