"""Roots in a bracket, for many rows at once."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_EPS = torch.finfo(torch.float64).eps
_MOST = 80  # bisection alone needs 53 halvings of [0, 1]


def bracketed_root(
    function: Callable[[Tensor, Tensor], Tensor], low: Tensor, high: Tensor,
    at_low: Tensor, at_high: Tensor,
) -> Tensor:  # fmt: skip
    """A root inside each bracket, to 4 eps of its position.

    Ridders' method (1979, IEEE Trans. Circuits Syst. 26): the midpoint halves the bracket
    and an exponential through three points gives the next guess, so convergence is quadratic
    and never slower than bisection.

    Args:
        function: Called with positions (P,) and their row numbers (P,).
        low, high: Ends of the brackets, (P,), float64.
        at_low, at_high: Values there, of opposite sign or zero.

    Returns:
        Positions (P,), without gradient.
    """
    low, high = low.detach().clone(), high.detach().clone()
    f_low, f_high = at_low.detach().clone(), at_high.detach().clone()
    root = torch.where(f_high == 0, high, low)
    # An end that is exactly zero is the root already.
    open_ = (f_low != 0) & (f_high != 0)
    for _ in range(_MOST):
        index = open_.nonzero()[:, 0]
        if index.shape[0] == 0:
            break
        a, b, fa, fb = low[index], high[index], f_low[index], f_high[index]
        middle = 0.5 * (a + b)
        fm = function(middle, index).detach()
        spread = torch.sqrt(torch.clamp(fm * fm - fa * fb, min=0.0))
        shift = (middle - a) * torch.sign(fa - fb) * fm / torch.where(spread > 0, spread, 1.0)
        guess = torch.minimum(torch.maximum(middle + shift.to(a.dtype), a), b)
        fg = function(guess, index).detach()
        # The tightest bracket among a, middle, guess, b.
        for point, value in ((middle, fm), (guess, fg)):
            inside = (point > a) & (point < b)
            same = torch.sign(value) == torch.sign(fa)
            a, fa = torch.where(inside & same, point, a), torch.where(inside & same, value, fa)
            b, fb = torch.where(inside & ~same, point, b), torch.where(inside & ~same, value, fb)
        best = torch.where(fa.abs() <= fb.abs(), a, b)
        low[index], high[index], f_low[index], f_high[index] = a, b, fa, fb
        root[index] = best
        width = b - a
        finished = (fg == 0) | (fm == 0) | (fb == 0) | (width <= 4 * _EPS * torch.maximum(a.abs(), b.abs()))
        exact = torch.where(fm == 0, middle, torch.where(fg == 0, guess, best))
        root[index] = exact
        open_[index] = ~finished
    return root
