"""Outputs of a model at save points."""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.forcing import Forcing
from twinml.solve.problem import Problem


def outputs_at(
    problem: Problem, states: Tensor, t: Tensor, failed: Tensor | None = None
) -> dict[str, Tensor]:
    """Outputs by name for saved states.

    An input or changed parameter counts from its own time on: a sample taken exactly at a
    jump sees the value after it.

    Args:
        problem: The problem that was solved.
        states: (n, B, T).
        t: Times of the samples, (T,) or (B, T).
        failed: Rows that get no gradient, (B,).

    Returns:
        (B, T) each.
    """
    if not problem.model.declared.outputs:
        return {}
    if failed is None or not torch.is_grad_enabled() or not bool(failed.any()):
        return _outputs(problem, states, t, torch.arange(problem.rows, device=t.device))
    # Failed rows are observed apart, without a gradient: nan would spoil that of parameters.
    good = (~failed).nonzero()[:, 0]
    own = t if t.ndim == 1 else t[good]
    with torch.no_grad():
        everyone = torch.arange(problem.rows, device=t.device)
        plain = _outputs(problem, states.detach(), t, everyone)
    traced = _outputs(problem, states[:, good], own, good)
    return {name: plain[name].index_copy(0, good, traced[name]) for name in plain}


def _outputs(problem: Problem, states: Tensor, t: Tensor, chosen: Tensor) -> dict[str, Tensor]:
    """Outputs (A, T) of the chosen rows (A,) at states (n, A, T)."""
    n, rows, samples = states.shape
    flat_t = t.expand(rows, samples).reshape(-1)
    index = chosen.repeat_interleave(samples)
    forcing = Forcing(problem)
    interval = forcing.interval(forcing.behind(flat_t, index), index)
    y = states.reshape(n, -1)
    # After a terminal event there is nothing to see; nan would spoil gradients there.
    after = torch.isnan(states.detach()).all(0)
    hidden = torch.is_grad_enabled() and bool(after.any())
    if hidden:
        y = torch.where(after, states[:, :, :1], states).reshape(n, -1)
    values = problem.model.observe(interval.values(flat_t, y), y)
    values = {name: value.reshape(rows, samples) for name, value in values.items()}
    if not hidden:
        return values
    return {name: torch.where(after, torch.nan, value) for name, value in values.items()}
