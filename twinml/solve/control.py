"""Step-size control, row by row.

Source: Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. II.4 (initial step, factors);
Gustafsson (1991) for the proportional-integral form with exponents 0.7/q and 0.4/q.
"""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.solve.logarithm import step_exp2, step_log2

SAFETY = 0.9
SHRINK, GROW = 0.2, 10.0
RETRY_SHRINK = 0.1  # a non-finite trial goes back by this factor
MAX_RETRIES = 8  # non-finite trials in a row before the row is given up
# Up to so many states a norm is summed one after another; the fields of a grid would take for ever.
_WRITTEN_OUT = 64
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
    if error.shape[0] > _WRITTEN_OUT:
        ratios = error / (atol.unsqueeze(-1) + rtol * size)
        return torch.sqrt(_sum_in_pairs(ratios * ratios) / error.shape[0])
    total = torch.zeros_like(error[0])
    for component in range(error.shape[0]):
        ratio = error[component] / (atol[component] + rtol * size[component])
        total = total + ratio * ratio
    return torch.sqrt(total / error.shape[0])


def _sum_in_pairs(terms: Tensor) -> Tensor:
    """Sum over the first axis by halves, an order that depends on its length alone, (B,)."""
    while terms.shape[0] > 1:
        half = terms.shape[0] // 2
        pairs = terms[:half] + terms[half : 2 * half]
        terms = pairs if terms.shape[0] == 2 * half else torch.cat([pairs, terms[2 * half :]])
    return terms[0]


def error_level(error: Tensor) -> Tensor:
    """Binary logarithm of an error norm, from below bounded by ``SMALLEST_ERROR``."""
    square = torch.clamp(error * error, min=SMALLEST_ERROR * SMALLEST_ERROR)
    return 0.5 * step_log2(square)


def accepted_factor(level: Tensor, previous: Tensor, order: int) -> Tensor:
    """Factor on the step after an accepted one; ``order`` is that of the error estimate.

    Args:
        level: ``error_level`` of the step; previous: of the accepted one before, 0 for none.
    """
    power = previous * (0.4 / order) - level * (0.7 / order)
    return torch.clamp(SAFETY * step_exp2(torch.clamp(power, min=-10.0)), SHRINK, GROW)


def rejected_factor(level: Tensor, order: int) -> Tensor:
    """Factor on the step after a rejected finite trial of that level, below 1."""
    power = torch.clamp(-(level * (1.0 / order)), min=-10.0)
    return torch.clamp(SAFETY * step_exp2(power), SHRINK, SAFETY)


def first_guess(ratio: Tensor, order: int) -> Tensor:
    """``ratio ** (1 / order)``, 0 for ratios too small for a step to be told from them."""
    usable = (ratio > 1e-30) & torch.isfinite(ratio)
    root = step_exp2(step_log2(torch.where(usable, ratio, 1.0)) * (1.0 / order))
    return torch.where(usable, root, 0.0)
