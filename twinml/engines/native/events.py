"""Guards and events of a launch: what lanes load and write back, and what happened when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor

from twinml.engines.native.memory import Args
from twinml.engines.native.stamps import from_stamps
from twinml.solve.event_times import EventTimes
from twinml.solve.problem import Problem

_UNREAD = 2  # kernels/events.h: the side of a guard that nobody has read yet

# Bytes of address space for times of events; memory is taken as they happen.
_MOST_ROOM = 2**33


def room_for_events(problem: Problem) -> str | None:
    """Why times of events cannot be kept in arrays of equal length, or None."""
    events = len(problem.model.declared.events)
    room = 8 * events * problem.max_events * problem.rows
    if room <= _MOST_ROOM:
        return None
    return (
        f"{problem.max_events} times of each event in {problem.rows} rows would take "
        f"{room / 2**30:.0f} GiB; a smaller max_events or fewer rows at once would fit"
    )


@final
@dataclass(eq=False)
class EventMemory:
    """Sides of the guards of all rows, how often each event happened, and when.

    Args:
        side: (E, B), int64, as in ``LaneState``.
        near: (E, B), in the dtype of the states.
        count: (E, B), int64.
        times: As stamps, (E, max_events, B, ...); written up to ``count`` only.
        continued: Whether sides are those of an earlier solution.
        bits: Width of numbers.
    """

    side: Tensor
    near: Tensor
    count: Tensor
    times: Tensor
    continued: bool
    bits: int

    @staticmethod
    def of(problem: Problem, bits: int) -> EventMemory | None:
        """The start of every row; None for a model without events."""
        events = len(problem.model.declared.events)
        if not events:
            return None
        shape, dtype, device = (events, problem.rows), problem.y0.dtype, problem.y0.device
        side = torch.full(shape, _UNREAD, device=device)
        near = torch.zeros(shape, dtype=dtype, device=device)
        if problem.side is not None:
            side.copy_(problem.side)
        if problem.near is not None:
            near.copy_(problem.near)
        # By number of the happening, so that memory nobody writes to is never touched.
        room = (events, problem.max_events, problem.rows)
        times = (
            torch.empty(room, dtype=torch.float64, device=device)
            if bits == 64
            else torch.empty((*room, 2), dtype=torch.float32, device=device)
        )
        count = torch.zeros(shape, dtype=torch.int64, device=device)
        return EventMemory(side, near, count, times, problem.side is not None, bits)

    def fill(self, args: Args) -> None:
        """Tell a launch where it all is."""
        args.continued = int(self.continued)
        args.side, args.near_zero = self.side.data_ptr(), self.near.data_ptr()
        args.happened, args.event_times = self.count.data_ptr(), self.times.data_ptr()

    def times_by_event(self, problem: Problem) -> dict[str, EventTimes]:
        """Times of each event, in the order of their number in a row."""
        names = problem.model.declared.events
        return {name: self.times_of(number, problem) for number, name in enumerate(names)}

    def times_of(self, number: int, problem: Problem) -> EventTimes:
        """Times of one event."""
        count = self.count[number]
        most = int(count.max()) if count.shape[0] else 0
        numbers = torch.arange(most, device=count.device)
        place, rows = (numbers[:, None] < count).nonzero(as_tuple=True)
        at = from_stamps(self.times[number, place, rows], self.bits)
        return EventTimes(rows, place, at, count, problem.max_events)
