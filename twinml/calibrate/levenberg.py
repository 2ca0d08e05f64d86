"""Nonlinear least squares for many starts side by side.

Source: Levenberg (1944), Marquardt (1963); damping by gain ratio after Nielsen (1999),
Damping parameter in Marquardt's method, IMM-REP-1999-05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

_STALL = 4  # accepted steps in a row that may gain next to nothing

Residuals = Callable[[Tensor], tuple[Tensor, Tensor]]


@final
@dataclass(frozen=True)
class Fit:
    """Where the starts ended.

    Args:
        theta: Unknowns, (S, p).
        cost: Half the sum of squared residuals, (S,); inf where a start never had a value.
        residuals: (m, S); jacobian: (m, S, p), at ``theta``.
        converged: Starts that met a stopping rule, (S,).
        iterations: Iterations done.
    """

    theta: Tensor
    cost: Tensor
    residuals: Tensor
    jacobian: Tensor
    converged: Tensor
    iterations: int


def minimise(
    function: Residuals,
    theta: Tensor,
    iterations: int = 60,
    step_tolerance: float = 1e-8,
    cost_tolerance: float = 1e-10,
    patience: int = 6,
    stagnation: float = 1e-6,
    progress: Callable[[int, int, float], None] | None = None,
) -> Fit:
    """Levenberg-Marquardt from several starts.

    Args:
        function: Residuals (m, S) and Jacobian (m, S, p) at unknowns (S, p); a start whose
            residuals are not finite is treated as infinitely bad.
        theta: Starts, (S, p).
        iterations: Most iterations.
        step_tolerance: Stop when a step is this small next to the unknowns.
        cost_tolerance: Stop when a step promises to lower the cost by less than this share.
        patience: Iterations that the others get once the best start has converged.
        stagnation: Stop a start after 4 accepted steps in a row that lowered the cost by less
            than a quarter of this share each: along a kinked or flat valley the promised gain
            never arrives. Rejected steps do not count, the damping may still have to grow.
        progress: Called with iteration, most iterations and the best cost.
    """
    starts = theta.shape[0]
    residuals, jacobian = function(theta)
    cost = _cost(residuals)
    normal, gradient = _normal(residuals, jacobian)
    damping = torch.full((starts,), 1e-2, dtype=theta.dtype)
    growth = torch.full((starts,), 2.0, dtype=theta.dtype)
    done = ~torch.isfinite(cost)
    converged = torch.zeros(starts, dtype=torch.bool)
    # The scale of each unknown never shrinks (Moré 1978), so a flat direction stays damped.
    scale = torch.diagonal(normal, dim1=1, dim2=2).clone()
    taken, spare = 0, patience
    stalls = torch.zeros(starts, dtype=torch.int64)
    for taken in range(1, iterations + 1):
        if bool(done.all()) or spare <= 0:
            taken -= 1
            break
        scale = torch.maximum(scale, torch.diagonal(normal, dim1=1, dim2=2))
        floor = scale.amax(1, keepdim=True).clamp(min=1e-300) * 1e-14
        diagonal = torch.diag_embed(torch.maximum(scale, floor) * damping[:, None])
        step = torch.linalg.solve_ex(normal + diagonal, -gradient.unsqueeze(-1))[0][..., 0]
        step = torch.where(torch.isfinite(step) & ~done[:, None], step, torch.zeros_like(step))
        # A leap in a logarithm is an overflow; two e-folds at a time are enough.
        length = step.abs().amax(1, keepdim=True).clamp(min=1e-300)
        step = step * torch.clamp(2.0 / length, max=1.0)
        trial = theta + step
        new_residuals, new_jacobian = function(trial)
        new_cost = _cost(new_residuals)
        slope = -(gradient * step).sum(1)
        curve = torch.einsum("si,sij,sj->s", step, normal, step)
        predicted = (slope - 0.5 * curve).clamp(min=1e-300)
        gain = (cost - new_cost) / predicted
        better = (new_cost < cost) & ~done
        slow = cost - new_cost <= stagnation / _STALL * cost
        stalls = torch.where(better, torch.where(slow, stalls + 1, 0), stalls)
        small = (step.abs() <= step_tolerance * (theta.abs() + step_tolerance)).all(1)
        # A step that promises no more than the solver's own noise is the end, taken or not.
        flat = predicted <= cost_tolerance * cost
        stop = (small | flat | (better & (new_cost == 0))) & ~done
        converged = converged | stop
        factor = torch.clamp(1 - (2 * gain - 1) ** 3, min=1 / 3)
        damping = torch.where(better, damping * factor, damping * growth)
        growth = torch.where(better, 2.0, 2 * growth)
        theta = torch.where(better[:, None], trial, theta)
        cost = torch.where(better, new_cost, cost)
        residuals = torch.where(better, new_residuals, residuals)
        jacobian = torch.where(better[:, None], new_jacobian, jacobian)
        normal, gradient = _normal(residuals, jacobian)
        stuck = (damping > 1e16) | (stalls >= _STALL)
        converged = converged | (stuck & ~done)
        done = done | stop | stuck
        spare = spare - 1 if bool(done[cost.argmin()]) else patience
        if progress is not None:
            progress(taken, iterations, float(cost.min()))
    return Fit(theta, cost, residuals, jacobian, converged, taken)


def _cost(residuals: Tensor) -> Tensor:
    cost = 0.5 * (residuals * residuals).sum(0)
    return torch.where(torch.isfinite(cost), cost, torch.inf)


def _normal(residuals: Tensor, jacobian: Tensor) -> tuple[Tensor, Tensor]:
    """J'J (S, p, p) and J'r (S, p)."""
    clean = torch.nan_to_num(jacobian, nan=0.0, posinf=0.0, neginf=0.0)
    known = torch.nan_to_num(residuals, nan=0.0, posinf=0.0, neginf=0.0)
    return torch.einsum("msi,msj->sij", clean, clean), torch.einsum("msi,ms->si", clean, known)
