"""Observations of a simulation and their Jacobian, whichever engine takes the steps."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.choice import moved_with, recorded_with
from twinml.engines.noise import check_gradient
from twinml.engines.seeds import NoSeedsError, seeds_along
from twinml.engines.tangent import observed_tangents, state_tangents
from twinml.errors import ArgumentError
from twinml.solve.problem import Problem
from twinml.solve.status import FAILURE


def linearise(
    build: Callable[[Tensor], Problem],
    observe: Callable[[Problem, Tensor], Tensor],
    theta: Tensor,
    method: str,
    engine: str = "auto",
) -> tuple[Outcome, Tensor, Tensor]:
    """Observations and their Jacobian along frozen steps.

    Args:
        build: Problem with B rows from unknowns (B, p); row b uses only unknowns b. Called
            with any number of rows.
        observe: Observations (m, B) from a problem and its saved states (n, B, T).
        theta: Unknowns, (B, p).
        method: As in ``simulate``.
        engine: What takes the steps; their derivatives are torch's.

    Returns:
        The outcome, observations (m, B) and Jacobian (m, B, p), zero in failed rows.

    Raises:
        ArgumentError: the problem keeps quantities.
    """
    with torch.no_grad():
        problem = build(theta)
        if problem.path is not None:
            with torch.enable_grad():
                check_gradient(build(theta.detach().clone().requires_grad_()))
        if problem.keep == "quantities":
            raise ArgumentError(
                "linearise was given a problem that keeps quantities; it differentiates saved "
                "states. Use keep='all' or keep='final'."
            )
        outcome, states, tangents = _moved(build, theta, problem, method, engine)
        values = observe(problem, states)
        failed = (outcome.status & int(FAILURE)) != 0
        jacobian = observed_tangents(build, observe, theta, states, tangents)
    return outcome, values, torch.where(failed[None, :, None], 0.0, jacobian)


def _moved(
    build: Callable[[Tensor], Problem], theta: Tensor, problem: Problem, method: str, engine: str
) -> tuple[Outcome, Tensor, Tensor]:
    """The outcome, saved states and their derivatives (n, B, T, p); by kernels where they can."""
    found, reason = None, "asked for"
    if engine != "eager":
        try:
            found, reason = moved_with(engine, problem, method, seeds_along(build, theta))
        except NoSeedsError as error:
            reason = str(error)
    if found is not None:
        outcome, tangents = found
        assert outcome.states is not None
        return outcome.replace(derivatives="kernel"), outcome.states, tangents
    outcome, records = recorded_with(engine, problem, method)
    outcome = outcome.replace(derivatives=f"torch: {reason}")
    assert outcome.states is not None
    # Failed rows have no derivative; their recorded steps would only bring nan.
    failed = (outcome.status & int(FAILURE)) != 0
    records = [record.without(failed) for record in records]
    return outcome, outcome.states, state_tangents(build, theta, problem, records)
