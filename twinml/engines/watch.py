"""The guards of the active rows, and what the loop over rows does when they reach zero."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, final

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep, rest
from twinml.engines.events import EventBook, settle
from twinml.engines.guards import Found, first_event
from twinml.engines.record import Ends, Steps, instant
from twinml.engines.stepper import Trial
from twinml.solve.status import FAILURE, Status

if TYPE_CHECKING:
    from twinml.engines.lanes import Lanes


@final
class Watch:
    """Guards of the active rows of one phase, compact: everything has shape (E, A) or (A,).

    It reads and moves the rows of the ``Lanes`` it is handed.
    """

    def __init__(self, book: EventBook, rows: Tensor) -> None:
        self.book = book
        self.side, self.near = book.side[:, rows], book.near[:, rows]
        # Bits of rows that an event ends or loses, until they leave.
        self.status = torch.zeros_like(rows)

    def unready(self, lanes: Lanes) -> Tensor:
        """Rows whose guards are not finite at the start, (A,)."""
        return self.book.unready[lanes.rows]

    def begin(self, lanes: Lanes) -> Tensor:
        """Guards that lie on another side than an earlier solution left them; rows that end."""
        if self.book.continued:
            entries: list[Steps] = []
            none = torch.full_like(lanes.rows, -1)
            self._settle(lanes, none, lanes.t == lanes.first, entries)
            if lanes.record is not None:
                lanes.record.taken.extend(entries)
            self._ended(lanes, torch.zeros_like(lanes.t, dtype=torch.bool))
        return self.stopped(lanes)

    def look(
        self, step: DenseStep, trial: Trial, good: Tensor
    ) -> tuple[Trial, DenseStep, Found | None]:
        """Events in the steps that will be accepted, marked ``good`` (A,), and those steps."""
        index = good.nonzero()[:, 0]
        if index.shape[0] == 0:
            return trial, step, None
        step = step.select(index)
        found = first_event(step, self.side[:, index], self.book.directions)
        if bool(found.lost.any()):
            # A guard that is not finite is a trial that left the domain.
            trial = replace(trial, finite=trial.finite.index_fill(0, index[found.lost], False))
            kept = (~found.lost).nonzero()[:, 0]
            step, found = step.select(kept), found.select(kept)
        return trial, step, found

    def happen(
        self, lanes: Lanes, found: Found, mask: Tensor, crossed: Tensor, chosen: DenseStep,
        taken: Steps,
    ) -> None:  # fmt: skip
        """Events of accepted steps, and of boundaries that moved a guard across zero.

        Args:
            lanes: The rows, already at the arrivals.
            found: What was found in the accepted steps.
            mask: Rows that accepted a step, (A,).
            crossed: Rows that crossed a boundary, (A,).
            chosen: The accepted steps up to their events, for the sinks.
            taken: The accepted steps as tried, for the record.
        """
        index = mask.nonzero()[:, 0]
        self.side = self.side.index_copy(1, index, found.side)
        self.near = self.near.index_copy(1, index, found.near)
        event = torch.full_like(lanes.rows, -1).index_copy(0, index, found.event)
        hit = found.event >= 0
        entries: list[Steps] = []
        stuck = torch.zeros_like(self.side, dtype=torch.bool).index_copy(1, index, found.stuck)
        happened = self._settle(lanes, event, crossed | (event >= 0), entries, stuck)
        # A sample at the instant of an event shows what the event left.
        chosen.jumps = happened[index] | hit
        no = torch.zeros_like(hit)
        ends = Ends(taken.t1, found.theta, found.event, hit, chosen.jumps, no, ~no)
        if lanes.record is not None:
            lanes.record.taken.append(replace(taken, t1=lanes.t[index], ends=ends))
            lanes.record.taken.extend(entries)
        for sink in lanes.sinks:
            sink.add(chosen)
        self._ended(lanes, happened)

    def _settle(
        self, lanes: Lanes, event: Tensor, mask: Tensor, entries: list[Steps],
        stuck: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Let the events of this instant happen where ``mask``; says in which rows one did.

        Args:
            lanes: The rows; their states and slopes move on.
            event: What a step ended with, -1 for nothing, (A,).
            mask: Rows to look at, (A,).
            entries: Receives the events that no step ended with.
            stuck: As in ``Found``, (E, A).
        """
        happened = torch.zeros_like(mask)
        index = mask.nonzero()[:, 0]
        if index.shape[0] == 0:
            return happened
        rows, t, at = lanes.rows[index], lanes.t[index], lanes.at.select(index)
        settled = settle(
            self.book.log, at, rows, t, lanes.y[:, index], event[index], self.side[:, index],
            self.near[:, index], None if stuck is None else stuck[:, index],
        )  # fmt: skip
        first = event[index] >= 0
        for jump in settled.jumps:
            later = (~first[jump.index]).nonzero()[:, 0]
            first[jump.index] = False
            mine, number = jump.index[later], jump.event[later]
            no = torch.zeros_like(number, dtype=torch.bool)
            if mine.shape[0]:
                entries.append(instant(rows[mine], t[mine], jump.y[:, later], number, no))
        lanes.y = lanes.y.index_copy(1, index, settled.y)
        self.side = self.side.index_copy(1, index, settled.side)
        self.status = self.status.index_copy(0, index, settled.status)
        happened = happened.index_copy(0, index, settled.happened)
        moved = happened.nonzero()[:, 0]
        if moved.shape[0]:
            lanes.previous = torch.where(happened, 0.0, lanes.previous)
            if lanes.k1 is not None:
                slope = lanes.at.select(moved).rhs(lanes.t[moved], lanes.y[:, moved])
                lanes.k1 = lanes.k1.index_copy(1, moved, slope)
        return happened

    def _ended(self, lanes: Lanes, happened: Tensor) -> None:
        """Paths that end with an event still show the state it left."""
        stops = (self.status & int(Status.EVENT_STOP)) != 0
        arrived = happened & (lanes.t == lanes.end) & (self.status == 0)
        index = (stops | arrived).nonzero()[:, 0]
        if index.shape[0] == 0:
            return
        at = lanes.at.select(index)
        step = rest(lanes.rows[index], lanes.t[index], lanes.y[:, index], at)
        step.stops = stops[index]
        for sink in lanes.sinks:
            sink.add(step)
        if lanes.record is not None:
            none = torch.full_like(step.rows, -1)
            lanes.record.taken.append(instant(step.rows, step.t, step.y, none, step.stops))

    def stopped(self, lanes: Lanes) -> Tensor:
        """Rows that an event ends or loses, (A,), with their status noted."""
        stopped = self.status != 0
        if bool(stopped.any()):
            lanes.state.status[lanes.rows[stopped]] |= self.status[stopped]
            failed = (self.status & int(FAILURE)) != 0
            lanes.state.fail_time[lanes.rows[failed]] = lanes.t[failed]
        return stopped

    def keep(self, leaving: Tensor, rows: Tensor, index: Tensor) -> None:
        """Write the ``leaving`` ones (A,), ``rows`` (L,), back and go on with ``index``."""
        self.book.side[:, rows] = self.side[:, leaving]
        self.book.near[:, rows] = self.near[:, leaving]
        self.side, self.near = self.side[:, index], self.near[:, index]
        self.status = self.status[index]
