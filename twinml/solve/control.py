"""Step-size control, row by row.

Source: Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. II.4 (initial step, factors);
Gustafsson (1991) for the proportional-integral form with exponents 0.7/q and 0.4/q.
"""

from __future__ import annotations

import torch
from torch import Tensor

SAFETY = 0.9
SHRINK, GROW = 0.2, 10.0
RETRY_SHRINK = 0.1  # a non-finite trial goes back by this factor
MAX_RETRIES = 8  # non-finite trials in a row before the row is given up
SMALLEST_ERROR = 1e-10  # keeps the controller's history finite after an exact step


def error_norm(error: Tensor, before: Tensor, after: Tensor, rtol: float, atol: Tensor) -> Tensor:
    """Root mean square of the error in units of the tolerance, shape (B,).

    Summed left to right over components, so that a row does not depend on its neighbours.

    Args:
        error, before, after: Shape (n, B).
        rtol: Relative tolerance.
        atol: Absolute tolerance per component, shape (n,).
    """
    return scaled_norm(error, torch.maximum(before.abs(), after.abs()), rtol, atol)


def scaled_norm(error: Tensor, size: Tensor, rtol: float, atol: Tensor) -> Tensor:
    """Root mean square over components of ``error / (atol + rtol * size)``, shape (B,)."""
    total = torch.zeros_like(error[0])
    for component in range(error.shape[0]):
        ratio = error[component] / (atol[component] + rtol * size[component])
        total = total + ratio * ratio
    return torch.sqrt(total / error.shape[0])


def accepted_factor(error: Tensor, previous: Tensor, order: int) -> Tensor:
    """Factor on the step after an accepted one; ``order`` is that of the error estimate."""
    error = torch.clamp(error, min=SMALLEST_ERROR)
    factor = SAFETY * error ** (-0.7 / order) * previous ** (0.4 / order)
    return torch.clamp(factor, SHRINK, GROW)


def rejected_factor(error: Tensor, order: int) -> Tensor:
    """Factor on the step after a rejected finite trial, below 1."""
    return torch.clamp(SAFETY * error ** (-1.0 / order), SHRINK, SAFETY)
