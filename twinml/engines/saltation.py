"""Recorded events with the gradient of their time and place.

The time t* of an event is where its guard g is zero, so that dt* = -dg / (dg/dt) along the
path, with the step frozen. The state before the event moves with t*, the reset acts on it, and
what follows starts from there: together these are the saltation matrix of Aizerman and
Gantmacher (1958), Q. J. Mech. Appl. Math. 11, 464-478, here of the dense output instead of the
exact flow.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from twinml.engines.dense import NODES, DenseStep
from twinml.engines.guards import guard_along, guard_rate, sampled
from twinml.engines.record import Ends

# As for crossings: an event is grazing when the slope of its guard is below this share of the
# steepest between two nodes of the way to it.
_GRAZE = 1e-6


def located(step: DenseStep, t1: Tensor, ends: Ends, announce: bool) -> DenseStep:
    """Steps up to their events, with gradient.

    Args:
        step: The whole steps.
        t1: Arrivals as recorded, (M,).
        ends: How the steps ended.
        announce: Warn of grazing events.
    """
    if not bool(ends.located.any()):
        return step
    _ = step.coefficients  # once, before rows are chosen
    theta = ends.theta
    for number, name in enumerate(step.at.model.declared.events):
        mine = (ends.located & (ends.event == number)).nonzero()[:, 0]
        if mine.shape[0]:
            moved = _moved(step.select(mine), name, ends.theta[mine], announce)
            theta = theta.index_copy(0, mine, moved)
    inner = step.t + theta * step.h
    # The arrival as recorded, to the bit: samples and boundaries are compared with it.
    inner = t1 + (inner - inner.detach())
    return step.cut(theta, torch.where(ends.located, inner, step.t1), ~ends.located)


def _moved(part: DenseStep, name: str, theta: Tensor, announce: bool) -> Tensor:
    """Places of an event, (H,), with the gradient of the implicit function."""
    value = guard_along(part, name, theta)
    rate = guard_rate(part, name, theta)
    grazes = rate.abs() <= _GRAZE * _steepest(part, name, theta)
    if announce and bool(grazes.any()):
        warnings.warn(
            f"event '{name}' of {type(part.at.model).__name__} grazes zero in "
            f"{int(grazes.sum())} rows: its time has no derivative there, and its gradient is "
            "left at zero. Move the guard, or leave those rows out of the gradient.",
            UserWarning,
            stacklevel=2,
        )
    slope = torch.where(grazes, torch.inf, rate)
    return theta - ((value - value.detach()) / slope).to(theta.dtype)


def _steepest(part: DenseStep, name: str, theta: Tensor) -> Tensor:
    """Largest mean slope of a guard by theta between the nodes of the way to its event, (H,)."""
    none = torch.zeros_like(theta, dtype=torch.bool)
    with torch.no_grad():
        way = part.cut(theta, part.t + theta * part.h, none)
        value = sampled(way)[list(part.at.model.declared.events).index(name)]
    width = torch.tensor(NODES, dtype=value.dtype, device=value.device).diff()[:, None]
    slope = (value.diff(dim=0) / width).abs().amax(0)
    return slope / theta.clamp(min=1e-300).to(slope.dtype)
