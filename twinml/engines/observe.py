"""Outputs of a model at save points."""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.forcing import Forcing
from twinml.solve.problem import Problem


def outputs_at(problem: Problem, states: Tensor, t: Tensor) -> dict[str, Tensor]:
    """Outputs by name for saved states.

    An input or changed parameter counts from its own time on: a sample taken exactly at a
    jump sees the value after it.

    Args:
        problem: The problem that was solved.
        states: (n, B, T).
        t: Times of the samples, (T,) or (B, T).

    Returns:
        (B, T) each.
    """
    declared = problem.model.declared
    if not declared.outputs:
        return {}
    n, rows, samples = states.shape
    flat_t = t.expand(rows, samples).reshape(-1)
    index = torch.arange(rows, device=t.device).repeat_interleave(samples)
    forcing = Forcing(problem)
    interval = forcing.interval(forcing.behind(flat_t, index), index)
    y = states.reshape(n, -1)
    values = problem.model.observe(interval.values(flat_t, y), y)
    return {name: value.reshape(rows, samples) for name, value in values.items()}
