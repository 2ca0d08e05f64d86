"""Events of a run: which happen, in what order, and what they leave behind.

At one instant several events may happen: a reset may carry the state across another guard, a
boundary of the inputs may move a guard across zero, two guards may reach zero together. They
are taken one after the other, the first declared first, each on the states the one before
left; a guard counts as crossed when it lies on the other side than it was last seen on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from twinml.engines.forcing import Interval
from twinml.engines.guards import guards_at, nearness
from twinml.physics.event import Event
from twinml.physics.event_values import after_reset
from twinml.solve.event_times import EventTimes
from twinml.solve.problem import Problem
from twinml.solve.status import FAILURE, Status


@final
class EventLog:
    """What happened when, for all rows of a problem."""

    def __init__(self, problem: Problem) -> None:
        self.names = tuple(problem.model.declared.events)
        self.count = torch.zeros(
            (len(self.names), problem.rows), dtype=torch.int64, device=problem.y0.device
        )
        self.most = problem.max_events
        self.taken: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []

    def add(self, event: Tensor, rows: Tensor, t: Tensor) -> None:
        """Note events (H,) of different rows (H,) at times (H,)."""
        self.taken.append((event, rows, self.count[event, rows], t))
        self.count[event, rows] += 1

    def times(
        self, plain: EventLog | None = None, lost: Tensor | None = None
    ) -> dict[str, EventTimes]:
        """Times by event; those of rows marked in ``lost`` (B,) are taken from ``plain``."""
        taken = list(self.taken)
        count = self.count
        if plain is not None and lost is not None:
            for event, rows, place, t in plain.taken:
                mine = lost[rows]
                taken.append((event[mine], rows[mine], place[mine], t[mine]))
            count = torch.where(lost, plain.count, count)
        whole = [torch.cat(parts) for parts in zip(*taken, strict=True)] if taken else None
        result = {}
        for number, name in enumerate(self.names):
            if whole is None:
                none = count.new_zeros(0)
                parts = (none, none, none.to(torch.float64))
            else:
                mine = whole[0] == number
                parts = (whole[1][mine], whole[2][mine], whole[3][mine])
            result[name] = EventTimes(*parts, count=count[number], max_events=self.most)
        return result


@final
@dataclass(frozen=True, eq=False)
class Jump:
    """One event of some rows at one instant.

    Args:
        index: Rows among those asked for, (H,).
        event: Which event, (H,).
        y: States before it, (n, H).
    """

    index: Tensor
    event: Tensor
    y: Tensor


@final
@dataclass(eq=False)
class Settled:
    """States after all events of an instant.

    Args:
        y: States, (n, A).
        side, near: As in ``Found``.
        jumps: Events in the order they happened; the first of each row may be that of a step.
        status: Bits of rows that end here, (A,).
    """

    y: Tensor
    side: Tensor
    near: Tensor
    jumps: list[Jump]
    status: Tensor

    @property
    def happened(self) -> Tensor:
        """Rows with an event, (A,) bool."""
        result = torch.zeros_like(self.status, dtype=torch.bool)
        for jump in self.jumps:
            result[jump.index] = True
        return result


def settle(
    log: EventLog, at: Interval, rows: Tensor, t: Tensor, y: Tensor, event: Tensor, side: Tensor,
    near: Tensor, stuck: Tensor | None = None,
) -> Settled:  # fmt: skip
    """Let the events of an instant happen.

    Args:
        log: Where they are noted.
        at: What acts on the rows from this instant on.
        rows: Row numbers in the problem, (A,).
        t, y: Times (A,) and states (n, A).
        event: The event that a step ended with, -1 for none, (A,).
        side: Sides of the guards just before, (E, A).
        near: What counts as zero, (E, A).
        stuck: Guards whose events follow too fast to be told from each other, (E, A).
    """
    events = list(at.model.declared.events.values())
    result = Settled(y.clone(), side.clone(), near, [], torch.zeros_like(rows))
    index = torch.arange(rows.shape[0], device=rows.device)
    event = event.clone()
    if stuck is not None:
        # Infinitely many events in a finite time: beyond this point there is only rounding.
        again = (stuck & (log.count[:, rows] > 1)).any(0)
        result.status[again & (event >= 0)] |= int(Status.EVENT_LIMIT)
        keep = (result.status == 0).nonzero()[:, 0]
        index, event = index[keep], event[keep]
    while index.shape[0]:
        _happen(log, result, at, rows, t, index, event)
        failed = (result.status[index] & int(FAILURE)) != 0
        keep = (~failed).nonzero()[:, 0]
        index, event = index[keep], event[keep]
        if index.shape[0] == 0:
            break
        event = _next(result, at.select(index), t[index], index, event, events)
        keep = (event >= 0).nonzero()[:, 0]
        index, event = index[keep], event[keep]
    return result


def _happen(
    log: EventLog, result: Settled, at: Interval, rows: Tensor, t: Tensor, index: Tensor,
    event: Tensor,
) -> None:  # fmt: skip
    """Apply the reset of the event of each row, -1 for none."""
    hit = (event >= 0).nonzero()[:, 0]
    place, number = index[hit], event[hit]
    over = log.count[number, rows[place]] >= log.most
    result.status[place[over]] |= int(Status.EVENT_LIMIT)
    place, number = place[~over], number[~over]
    if place.shape[0] == 0:
        return
    log.add(number, rows[place], t[place])
    before = result.y[:, place]
    result.jumps.append(Jump(place, number, before))
    after, terminal = reset_states(at.select(place), t[place], before, number)
    result.y[:, place] = after
    bad = ~torch.isfinite(after).all(0)
    result.status[place[bad]] |= int(Status.NOT_FINITE)
    result.status[place[terminal & ~bad]] |= int(Status.EVENT_STOP)


def reset_states(at: Interval, t: Tensor, y: Tensor, event: Tensor) -> tuple[Tensor, Tensor]:
    """States (n, H) after the event (H,) of each row, and which events are terminal (H,)."""
    declared = at.model.declared.events
    terminal = torch.zeros_like(event, dtype=torch.bool)
    for number, (name, definition) in enumerate(declared.items()):
        mine = (event == number).nonzero()[:, 0]
        if mine.shape[0] == 0:
            continue
        terminal[mine] = definition.terminal
        if definition.action is None:
            continue
        before = y[:, mine]
        values = at.select(mine).values(t[mine], before)
        y = y.index_copy(1, mine, after_reset(at.model, name, values, before))
    return y, terminal


def _next(
    result: Settled, at: Interval, t: Tensor, index: Tensor, event: Tensor,
    events: list[Event],
) -> Tensor:  # fmt: skip
    """The next event of each row (H,), -1 for none; brings the sides up to date."""
    value = guards_at(at, t, result.y[:, index])
    result.status[index[~torch.isfinite(value).all(0)]] |= int(Status.NOT_FINITE)
    following = torch.full_like(event, -1)
    for number, definition in enumerate(events):
        side = result.side[number, index]
        sign = torch.sign(value[number]).nan_to_num(0.0).to(side.dtype)
        zero = value[number].abs() <= result.near[number, index]
        mine = event == number
        # After its own event, and while it has not left zero, a guard near zero is disarmed.
        sign = torch.where((mine | (side == 0)) & zero, 0, sign)
        flips = ~mine & (side != 0) & (sign != side)
        if definition.direction:
            flips = flips & (side == -definition.direction)
        following = torch.where((following < 0) & flips, number, following)
        # A crossed guard keeps its side until its turn has come.
        result.side[number, index] = torch.where(flips, side, sign)
    # Where a row stops here, what else was crossed waits for whoever goes on from there.
    return torch.where(result.status[index] == 0, following, -1)


@final
class EventBook:
    """Guards and events of all rows of a problem, through all phases."""

    def __init__(self, problem: Problem, at: Interval) -> None:
        value = guards_at(at, problem.first, problem.y0)
        # A guard that is not finite ends its row at once: see Watch.unready.
        self.unready = ~torch.isfinite(value).all(0)
        side = torch.sign(value).nan_to_num(0.0).to(torch.int64)
        near = nearness(value.unsqueeze(1))
        # Sides of an earlier solution count: a guard that lies on the other one now has crossed.
        self.continued = problem.side is not None
        self.side = side if problem.side is None else problem.side.clone()
        self.near = near if problem.near is None else problem.near.clone()
        self.log = EventLog(problem)
        self.directions = [e.direction for e in problem.model.declared.events.values()]


def book_for(problem: Problem, at: Interval) -> EventBook | None:
    """Where events of a problem are kept, None for a model without."""
    return EventBook(problem, at) if problem.model.declared.events else None
