"""Where the guards of a model reach zero inside a step: sampling, order, roots.

A guard is read on the dense output at the ends of the step and four points between. Its sign is
kept from the stored end of the last step, so that a root at a step's start is neither lost nor
found twice. A guard that stands at zero (at the start, or after its own event) is disarmed: it
counts from the value it has there, g(theta) - g(0), and its side is that of its slope. Its
return to zero is then the root of (g(theta) - g(0)) / theta, which has no root at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import NODES, DenseStep
from twinml.engines.forcing import Interval
from twinml.engines.rootfind import bracketed_root
from twinml.physics.event_values import guard_value

_EPS = torch.finfo(torch.float64).eps
_LAST = len(NODES) - 1


@final
@dataclass(frozen=True, eq=False)
class Found:
    """The first event of each row in a step.

    Args:
        event: Number of the event, -1 for none, (A,).
        theta: Where it happens, 1 for none, (A,), float64.
        side: Sides of the guards just before the event, or at the end of the step, (E, A).
        near: What counts as zero for each guard, (E, A).
        stuck: Guards that came back towards zero before they had left it by more than rounding,
            (E, A).
        lost: Rows whose guard is not finite before any event, (A,).
    """

    event: Tensor
    theta: Tensor
    side: Tensor
    near: Tensor
    stuck: Tensor
    lost: Tensor

    def select(self, index: Tensor) -> Found:
        """The same for a choice of the rows, by numbers or mask."""
        return Found(**{name: value[..., index] for name, value in vars(self).items()})

    def cut(self, step: DenseStep) -> DenseStep:
        """The step up to the event of each row."""
        whole = self.event < 0
        inner = torch.minimum(step.t + self.theta * step.h, step.t1)
        return step.cut(self.theta, torch.where(whole, step.t1, inner), whole)


def guards_at(at: Interval, t: Tensor, y: Tensor) -> Tensor:
    """All guards at times (A,) and states (n, A): (E, A)."""
    values = at.values(t, y)
    return torch.stack([guard_value(at.model, e, values, y) for e in at.model.declared.events])


def nearness(values: Tensor) -> Tensor:
    """What counts as zero for guards that take such values (E, K, A): (E, A), float64."""
    eps = torch.finfo(values.dtype).eps
    return 4 * eps * values.abs().amax(1).nan_to_num(0.0, 0.0, 0.0).to(torch.float64)


def sampled(step: DenseStep) -> Tensor:
    """All guards at the nodes of a step, (E, nodes, A)."""
    rows, n = step.t.shape[0], step.y.shape[0]
    nodes = torch.tensor(NODES, dtype=torch.float64, device=step.t.device)[:, None]
    y, _ = step.motion(nodes)
    y = torch.cat([y[:, :-1], step.y1.unsqueeze(1)], dim=1)  # the end is the step's own
    t = step.t + nodes * step.h
    t = torch.cat([t[:-1], step.t1.unsqueeze(0)])
    index = torch.arange(rows, device=step.t.device).repeat(len(NODES))
    values = guards_at(step.at.select(index), t.reshape(-1), y.reshape(n, -1))
    return values.view(-1, len(NODES), rows)


def guard_along(step: DenseStep, event: str, theta: Tensor) -> Tensor:
    """One guard on the dense output at ``theta`` (A,)."""
    y, _ = step.motion(theta)
    return guard_value(step.at.model, event, step.at.values(step.t + theta * step.h, y), y)


def guard_rate(step: DenseStep, event: str, theta: Tensor) -> Tensor:
    """Derivative of a guard by theta, without gradient, (A,)."""
    y, moving = step.motion(theta)
    with torch.enable_grad():
        point = y.detach().requires_grad_()
        when = (step.t + theta * step.h).detach().requires_grad_()
        value = guard_value(step.at.model, event, step.at.values(when, point), point)
        if not value.requires_grad:
            return torch.zeros_like(value)
        by_state, by_time = torch.autograd.grad(value.sum(), (point, when), allow_unused=True)
    rate = torch.zeros_like(value.detach())
    if by_state is not None:
        rate = rate + (by_state * moving.detach()).sum(0)
    if by_time is not None:
        rate = rate + (by_time * step.h.detach()).to(rate.dtype)
    return rate


def first_event(step: DenseStep, side: Tensor, directions: Sequence[int]) -> Found:
    """Look for the first event of each row.

    Args:
        step: The step, uncut.
        side: Sides at its start, (E, A) in -1, 0, 1.
        directions: Direction of each event.
    """
    values = sampled(step)
    names = list(step.at.model.declared.events)
    rows = step.t.shape[0]
    places = torch.full((len(names), rows), torch.inf, dtype=torch.float64, device=side.device)
    sides = torch.empty((len(names), *values.shape[1:]), dtype=side.dtype, device=side.device)
    nodes = torch.zeros_like(side)
    near, stuck = nearness(values), torch.zeros_like(side, dtype=torch.bool)
    finite = torch.isfinite(values)
    for number, (name, direction) in enumerate(zip(names, directions, strict=True)):
        value, slope = values[number], None
        disarmed = side[number] == 0
        now = side[number].clone()
        if bool(disarmed.any()):
            # Such a guard counts from the value it has at the start.
            value = torch.where(disarmed, value - value[0], value)
            index = disarmed.nonzero()[:, 0]
            start = torch.zeros_like(step.t[index])
            slope = torch.zeros_like(value[0])
            slope[index] = guard_rate(step.select(index), name, start).nan_to_num(0.0)
            now = torch.where(disarmed, torch.sign(slope).to(now.dtype), now)
            # What its event left there is zero, however short the step that follows.
            left = torch.where(disarmed, 2 * values[number, 0].abs().nan_to_num(0.0), 0.0)
            near[number] = torch.maximum(near[number], left.to(near.dtype))
        still = disarmed.clone()  # it has not moved at all yet
        sides[number, 0] = now
        for node in range(1, _LAST + 1):
            sign = torch.sign(value[node]).nan_to_num(0.0).to(now.dtype)
            still = still & (sign == 0)
            sign = torch.where(still, now, sign)
            flips = (now != 0) & (sign != now) & finite[number, node] & (nodes[number] == 0)
            if direction:
                flips = flips & (now == -direction)
            nodes[number] = torch.where(flips, node, nodes[number])
            sides[number, node] = now = sign
        hit = nodes[number].nonzero()[:, 0]
        if hit.shape[0]:
            place = places[number, hit] = _root(
                step.select(hit), name, nodes[number, hit], value[:, hit], sides[number][:, hit],
                disarmed[hit], values[number, 0, hit], None if slope is None else slope[hit],
            )  # fmt: skip
            if slope is not None:
                # A bounce rises by about a quarter of its slope times its length.
                rise = 0.25 * slope[hit].abs().to(place.dtype) * place
                stuck[number, hit] = disarmed[hit] & (rise <= near[number, hit])
    resting = (side == 0).unsqueeze(1) & (values.abs() <= near.unsqueeze(1))
    resting = resting.long().cumprod(1).bool()
    return _earliest(step, places, nodes, sides, near, stuck, finite, resting)


def _root(
    part: DenseStep, name: str, node: Tensor, value: Tensor, sides: Tensor, disarmed: Tensor,
    start: Tensor, slope: Tensor | None,
) -> Tensor:  # fmt: skip
    """Roots between ``node - 1`` and ``node``, (H,), for values and sides (nodes, H)."""
    grid = torch.tensor(NODES, dtype=torch.float64, device=node.device)
    hits = torch.arange(node.shape[0], device=node.device)
    low, high = grid[node - 1], grid[node]
    at_low, at_high = value[node - 1, hits], value[node, hits]
    # The stored end of the last step and this start may differ by rounding: the root is here.
    agrees = torch.sign(at_low).to(sides.dtype) == sides[node - 1, hits]
    at_low = torch.where(agrees, at_low, 0.0)
    base = torch.zeros_like(at_low)
    if slope is not None:
        base = torch.where(disarmed, start, base)
        inner = value[node - 1, hits] / torch.where(low == 0, 1.0, low)
        at_low = torch.where(disarmed, torch.where(low == 0, slope, inner), at_low)
        at_high = torch.where(disarmed, at_high / high, at_high)

    def function(place: Tensor, index: Tensor) -> Tensor:
        found = guard_along(part.select(index), name, place) - base[index]
        return torch.where(disarmed[index], found / place, found)

    # At its event a guard has reached zero, so that first_time(x <= 0) sees a crossing of x.
    return bracketed_root(function, low, high, at_low, at_high, beyond=True)


def _earliest(
    step: DenseStep, places: Tensor, nodes: Tensor, sides: Tensor, near: Tensor, stuck: Tensor,
    finite: Tensor, resting: Tensor,
) -> Found:  # fmt: skip
    """The first of all guards, in declaration order among those within the roots' tolerance.

    ``resting`` (E, nodes, A): guards that have been disarmed and near zero from the start on.
    """
    clock = torch.maximum(step.t.abs(), step.t1.abs())
    slack = 4 * _EPS * clock / step.h.abs().clamp(min=1e-300)
    best = places.amin(0)
    event = torch.full_like(nodes[0], -1)
    for number in reversed(range(places.shape[0])):
        event = torch.where(places[number] <= best + slack, number, event)
    none = torch.isinf(best)
    event = torch.where(none, -1, event)
    chosen = event.clamp(min=0).unsqueeze(0)
    theta = torch.where(none, 1.0, places.gather(0, chosen)[0])
    node = torch.where(none, _LAST, nodes.gather(0, chosen)[0] - 1)
    # A guard within the tolerance of the event, but crossed between earlier nodes, still waits.
    behind = torch.where(nodes > 0, torch.minimum(node, nodes - 1), node).unsqueeze(1)
    kept = sides.gather(1, behind)[:, 0]
    near = _with_residual(step, event, theta, near)
    # A guard that another event finds where its own left it has not left zero: still disarmed.
    rests = resting.gather(1, behind)[:, 0]
    own = torch.arange(places.shape[0], device=node.device)[:, None] == event
    stuck = stuck & own
    for number, name in enumerate(step.at.model.declared.events):
        mine = (rests[number] & ~none).nonzero()[:, 0]
        if mine.shape[0]:
            part, place = step.select(mine), theta[mine]
            there = guard_along(part, name, place).abs().to(near.dtype)
            # Where it has turned since, as a ball too low to tell from the floor at the top of
            # its bounce, it is armed: disarmed it would pass zero unseen. Its side is rounding.
            begin = guard_rate(part, name, torch.zeros_like(place))
            onward = guard_rate(part, name, place) * torch.sign(begin) > 0.5 * begin.abs()
            low = there <= near[number, mine]
            rests[number, mine] = low & onward
            stuck[number, mine] |= low & ~onward & (begin != 0) & (event[mine] != number)
    kept = torch.where(rests, 0, kept)
    # What lies behind the event has not happened.
    steps = torch.arange(_LAST + 1, device=node.device)[:, None]
    lost = (~finite.all(0) & (steps <= node)).any(0)
    return Found(event, theta, kept, near, stuck, lost)


def _with_residual(step: DenseStep, event: Tensor, theta: Tensor, near: Tensor) -> Tensor:
    """A guard that its reset leaves alone stays at what the root finder left: that is zero."""
    for number, name in enumerate(step.at.model.declared.events):
        mine = (event == number).nonzero()[:, 0]
        if mine.shape[0]:
            left = guard_along(step.select(mine), name, theta[mine]).abs().to(near.dtype)
            near[number, mine] = torch.maximum(near[number, mine], 2 * left.nan_to_num(0.0))
    return near
