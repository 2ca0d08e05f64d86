"""A problem's equations as programs, or what is wrong with them for the rows asked for."""

from __future__ import annotations

import torch

from twinml.engines.forcing import Forcing
from twinml.engines.native.header_check import check_header
from twinml.errors import EquationError, ShapeError
from twinml.lowering import Lowered, lower
from twinml.physics import KernelPhysics, Physics
from twinml.solve.problem import Problem


def equations(problem: Problem) -> Lowered:
    """The lowered equations of a problem's model.

    Raises:
        LoweringError: they cannot become a kernel.
        KernelError: they stand in a header that cannot be used.
        EquationError, ShapeError: they fail, or return what they should not.
    """
    try:
        return checked(problem.model)
    except (EquationError, ShapeError, SystemExit):
        # Lowering tries them on points of its own: the error is to speak of the user's rows.
        forcing = Forcing(problem)
        rows = torch.arange(problem.rows)
        at = forcing.interval(forcing.start(problem.first), rows)
        at.rhs(problem.first, problem.y0)
        at.observed(problem.first, problem.y0)
        raise


def checked(model: Physics) -> Lowered:
    """``lower``, and where a header holds the right-hand side, its check."""
    lowered = lower(model)
    if isinstance(model, KernelPhysics):
        check_header(model, lowered)
    return lowered
