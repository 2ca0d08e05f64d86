"""Programs against the equations they come from, at random points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from twinml.errors import LoweringError
from twinml.lowering.derive import jacobian, tangent
from twinml.lowering.evaluate import evaluate
from twinml.lowering.points import Points, along, entries
from twinml.lowering.program import Program
from twinml.physics.model import Physics

TOLERANCE = 1e-12
# Autograd adds up what cancels in the equation; what does not depend is absent in the program.
_SLOPE_TOLERANCE = 1e-9
# Up to so many states every entry of the Jacobian is looked at, beyond one direction a point.
_WHOLE = 12


def check_values(
    model: Physics, programs: Mapping[str, Program], weights: Sequence[Tensor], points: Points
) -> None:
    """Compare every result of every program with the equations.

    Raises:
        LoweringError: a program gives another number; it names equation and result.
    """
    given = {**points.values, "w": [w.cpu().numpy() for w in weights]}
    for name, program in programs.items():
        compare(model, f"'{name}'", program, given, points.expected[name])


def check_jacobian(model: Physics, rhs: Program, weights: Sequence[Tensor], points: Points) -> None:
    """Compare the derivative program of ``rhs`` with what autograd makes of the equation.

    Where the value itself is not finite, or autograd gives nan, as beside a branch that is not
    taken, anything is right; and nan, which no step accepts, is never a wrong number.

    Raises:
        LoweringError: the program gives another slope.
    """
    random = np.random.default_rng(2)
    given = {**points.values, "w": [w.cpu().numpy() for w in weights]}
    for kind in ("t", "y", "u"):
        given[f"d{kind}"] = random.normal(size=points.values[kind].shape)
    try:
        # A caller may have turned gradients off.
        with torch.inference_mode(False), torch.enable_grad():
            if len(rhs.outputs) > _WHOLE:
                slopes = along(points.twin, given)
                rows = np.concatenate([points.expected["rhs"], slopes])
                free = _free(points, rows)
                compare(model, "the Jacobian of 'rhs'", tangent(rhs), given, rows, free)
            else:
                _check_entries(model, rhs, given, points)
    except RuntimeError:
        return  # torch itself has no derivative, as of heaviside


def _check_entries(model: Physics, rhs: Program, given: Mapping[str, Any], points: Points) -> None:
    derived = jacobian(rhs)
    by_state, in_time = entries(points.twin, given)
    rows = [points.expected["rhs"][i] for i in range(derived.width)]
    rows += [by_state[i, j] for i, j in derived.pattern]
    rows += list(in_time)
    wanted = np.stack(rows)
    free = _free(points, wanted)
    compare(model, "the Jacobian of 'rhs'", derived.program, given, wanted, free)
    missing = np.where(np.isfinite(points.expected["rhs"]).all(0), np.nan_to_num(by_state), 0.0)
    for i, j in derived.pattern:
        missing[i, j] = 0.0
    for i, j in np.argwhere(missing.any(-1)):
        worst = missing[i, j][missing[i, j] != 0][0]
        report(model, f"the Jacobian of 'rhs' by state {j}", int(i), 0.0, worst)


def _free(points: Points, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Where slopes may be anything."""
    return np.isnan(rows) | ~np.isfinite(points.expected["rhs"]).all(0)


def compare(
    model: Physics,
    what: str,
    program: Program,
    given: Mapping[str, Any],
    expected: np.ndarray[Any, Any],
    free: np.ndarray[Any, Any] | None = None,
) -> None:
    """Refuse a program that gives other numbers.

    ``free`` marks where anything is right. Elsewhere the difference may be ``TOLERANCE`` of
    the value, or some times what rounding makes of it: torch and numpy differ in last digits, and
    differences of nearly equal numbers show them."""
    shaken: list[list[np.ndarray[Any, Any]]] = []
    for row, value in enumerate(evaluate(program, given)):
        wanted = expected[row]
        value = np.broadcast_to(value, wanted.shape)
        tolerance = TOLERANCE if free is None else _SLOPE_TOLERANCE
        good = _near(value, wanted, tolerance * np.abs(wanted))
        good |= np.isnan(wanted) & np.isnan(value)
        if free is not None:
            good |= free[row] | np.isnan(value)
        if good.all():
            continue
        if not shaken:
            random = np.random.default_rng(1)
            shaken = [evaluate(program, given, random) for _ in range(3)]
        for other in shaken:
            with np.errstate(all="ignore"):
                good |= _near(value, wanted, 8 * np.abs(other[row] - value))
        if not good.all():
            report(model, what, row, value[~good][0], wanted[~good][0])


def _near(
    value: np.ndarray[Any, Any], expected: np.ndarray[Any, Any], slack: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    with np.errstate(all="ignore"):
        return (np.abs(value - expected) <= slack) | (value == expected)


def report(model: Physics, what: str, row: int, found: float, expected: float) -> None:
    """Say which number is wrong.

    Raises:
        LoweringError: always.
    """
    raise LoweringError(
        f"The kernel of {type(model).__name__} would compute {found:.17g} as result {row} of "
        f"{what}, and the equation gives {expected:.17g}. An equation that asks for the dtype or "
        "for the number of rows, or that keeps values from call to call, cannot become a kernel; "
        'if it does none of these, this is a fault of twinml. engine="eager" runs it as it is.'
    )
