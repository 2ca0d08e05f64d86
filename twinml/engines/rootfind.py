"""Roots in a bracket, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_EPS = torch.finfo(torch.float64).eps
_MOST = 110  # twice the halvings of [0, 1]; interpolation needs about 8


def bracketed_root(
    function: Callable[[Tensor, Tensor], Tensor], low: Tensor, high: Tensor,
    at_low: Tensor, at_high: Tensor, beyond: bool = False,
) -> Tensor:  # fmt: skip
    """A root inside each bracket, to 4 eps.

    Chandrupatla's method (1997, Adv. Eng. Softw. 28, 145-149): inverse quadratic
    interpolation where three points allow it, bisection elsewhere.

    Args:
        function: Called with positions (P,) and their row numbers (P,); gives values (P,).
        low, high: Ends of the brackets, (P,), float64.
        at_low, at_high: Values there, of opposite sign or zero.
        beyond: Return a place where the value is zero or has the sign it has at ``high``, instead
            of the one where it is smallest.

    Returns:
        Positions (P,), without gradient.
    """
    a, b = low.detach().clone(), high.detach().clone()
    fa, fb = at_low.detach().to(a.dtype), at_high.detach().to(a.dtype)
    root = torch.where(fa == 0, a, b)
    index = torch.arange(a.shape[0], device=a.device)
    far = torch.sign(fb)
    open_ = (fa != 0) & (fb != 0)
    a, b, fa, fb, index = a[open_], b[open_], fa[open_], fb[open_], index[open_]
    step = torch.full_like(a, 0.5)
    for _ in range(_MOST):
        if index.shape[0] == 0:
            break
        point = a + step * (b - a)
        value = function(point, index).detach().to(a.dtype)
        same = torch.sign(value) == torch.sign(fa)
        c, fc = torch.where(same, a, b), torch.where(same, fa, fb)
        b, fb = torch.where(same, b, a), torch.where(same, fb, fa)
        a, fa = point, value
        # Now a is the newest point, b lies across the root, c is the one before.
        best = torch.where(fa.abs() < fb.abs(), a, b)
        tolerance = 2 * _EPS * best.abs() + 0.5 * _EPS
        limit = tolerance / (b - a).abs().clamp(min=1e-300)
        done = (limit > 0.5) | (fa == 0) | ~torch.isfinite(fa)
        if beyond:
            best = torch.where(torch.sign(fa) == far[index], a, b)
        root[index] = torch.where(fa == 0, a, best)
        xi = (a - b) / (c - b)
        phi = (fa - fb) / (fc - fb)
        smooth = (phi * phi < xi) & ((1 - phi) ** 2 < 1 - xi)
        quadratic = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (
            fc - fb
        )
        step = torch.where(smooth, quadratic, 0.5)
        step = torch.minimum(torch.maximum(step, limit), 1 - limit)
        keep = ~done
        a, b, fa, fb = a[keep], b[keep], fa[keep], fb[keep]
        step, index = step[keep], index[keep]
    return root
