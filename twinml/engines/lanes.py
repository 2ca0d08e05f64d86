"""The adaptive and fixed-step loop over all rows, and the record of what it did."""

from __future__ import annotations

from typing import final

import torch
from torch import Tensor

from twinml.engines.dense import DenseStep, rest
from twinml.engines.events import book_for
from twinml.engines.forcing import Forcing, Interval
from twinml.engines.guards import Found
from twinml.engines.noise import brownian_paths
from twinml.engines.quantities import Quantities
from twinml.engines.record import Record, Steps
from twinml.engines.saving import Trajectory
from twinml.engines.stepper import AbstractStepper, Trial
from twinml.engines.watch import Watch
from twinml.solve import control
from twinml.solve.problem import Problem
from twinml.solve.status import Status

_EPS = torch.finfo(torch.float64).eps
# A row is stiff once h times the dominant eigenvalue has sat at the explicit method's
# stability limit (3.5 on the negative axis for tsit5) for a while.
_STIFF_LIMIT, _STIFF_PATIENCE = 3.0, 15
# Near t = 0 a step counts as too small relative to this part of the span.
_SPAN_SHARE = 1e-10


@final
class Rows:
    """State of every row, full size; the loop works on a compact choice of them."""

    def __init__(self, problem: Problem, forcing: Forcing) -> None:
        count, device = problem.rows, problem.y0.device
        self.t = problem.first.clone()
        self.y = problem.y0.clone()
        self.h = torch.zeros(count, dtype=torch.float64, device=device)
        if problem.h0 is not None:
            self.h = problem.h0.clone()
        self.status = torch.zeros(count, dtype=torch.int64, device=device)
        self.fail_time = torch.full((count,), torch.nan, dtype=torch.float64, device=device)
        self.steps = torch.zeros(count, dtype=torch.int64, device=device)
        self.rejected = torch.zeros(count, dtype=torch.int64, device=device)
        self.grid = torch.zeros(count, dtype=torch.int64, device=device)
        self.origin = self.t
        if problem.path is not None:
            self.grid, self.origin = problem.path.cell.clone(), problem.path.origin
        self.noise = brownian_paths(problem, forcing)
        self.pointers = forcing.start(self.t)
        everyone = torch.arange(count, device=device)
        self.book = book_for(problem, forcing.interval(self.pointers, everyone))


@final
class Lanes:
    """Active rows of one phase, compact: everything has shape (A,) or (n, A)."""

    def __init__(
        self, problem: Problem, forcing: Forcing, stepper: AbstractStepper, state: Rows,
        rows: Tensor, sinks: list[Trajectory | Quantities], hand_over: bool, record: Record | None,
    ) -> None:  # fmt: skip
        self.problem, self.forcing, self.stepper = problem, forcing, stepper
        self.state, self.sinks, self.hand_over = state, sinks, hand_over
        self.sign = problem.direction
        self.last = problem.last
        self.record = record
        self.stiff: list[Tensor] = []
        self.rows = rows
        self.t, self.y, self.h = state.t[rows], state.y[:, rows], state.h[rows]
        self.pointers = state.pointers[:, rows]
        self.steps, self.rejected = state.steps[rows], state.rejected[rows]
        self.grid = state.grid[rows]
        self.end = self.last[rows]
        self.first, self.origin = problem.first[rows], state.origin[rows]
        self.previous = torch.zeros_like(self.t)  # level of the last accepted error
        self.retries = torch.zeros_like(self.steps)
        self.wary = torch.zeros_like(self.t, dtype=torch.bool)
        # The last rejected trial was not finite: a row that then creeps up to a wall of nan with
        # ever smaller steps ends by what rhs returned there, not by its step size.
        self.walled = torch.zeros_like(self.wary)
        self.patience = torch.zeros_like(self.steps)
        self.at: Interval = forcing.interval(self.pointers, rows)
        self.limit = forcing.nearest(self.pointers, rows, self.end)
        self.k1: Tensor | None = None
        self.watch = None if state.book is None else Watch(state.book, rows)

    def run(self) -> Tensor:
        """Integrate until every row has ended or was handed over; returns rows handed over."""
        if self.rows.shape[0] and not self._begin():
            while self.rows.shape[0]:
                self._advance()
        empty = torch.zeros(0, dtype=torch.int64, device=self.problem.y0.device)
        return torch.cat(self.stiff) if self.stiff else empty

    def _begin(self) -> bool:
        """Slopes and first steps; True when no row is left."""
        still = self.t == self.end
        if bool(still.any()):
            self._rest(still.nonzero()[:, 0])
            self._leave(still)
            if self.rows.shape[0] == 0:
                return True
        self.k1 = self.at.rhs(self.t, self.y)
        lost = ~torch.isfinite(self.k1).all(0) | ~torch.isfinite(self.y).all(0)
        if self.watch is not None:
            lost = lost | self.watch.unready(self)
        if bool(lost.any()):
            self._fail(lost, Status.NOT_FINITE)
            if self.rows.shape[0] == 0:
                return True
        if self.watch is not None and bool((stopped := self.watch.begin(self)).any()):
            self._leave(stopped)
            if self.rows.shape[0] == 0:
                return True
        if not self.stepper.adaptive:
            assert self.problem.dt is not None
            self.h = torch.full_like(self.t, self.problem.dt)
        else:
            self.h = torch.where(self.h > 0, self.h, self._first_step())
        return False

    def _rest(self, index: Tensor) -> None:
        """A span of zero length still has values and quantities at its one time."""
        step = rest(self.rows[index], self.t[index], self.y[:, index], self.at.select(index))
        for sink in self.sinks:
            sink.add(step)

    def _first_step(self) -> Tensor:
        """First step by Hairer, Norsett, Wanner (1993), sec. II.4: two evaluations."""
        assert self.k1 is not None
        problem, k1 = self.problem, self.k1
        size = self.y.abs()
        d0 = control.scaled_norm(self.y, size, problem.rtol, problem.atol)
        d1 = control.scaled_norm(k1, size, problem.rtol, problem.atol)
        small = (d0 < 1e-5) | (d1 < 1e-5)
        span = (self.end - self.t).abs()
        h0 = torch.where(small, 1e-6, 0.01 * d0 / d1).to(torch.float64)
        h0 = torch.minimum(h0, span)
        t1 = self.t + self.sign * h0
        moved = self.at.rhs(t1, self.y + (self.sign * h0).to(k1.dtype) * k1)
        d2 = control.scaled_norm(moved - k1, size, problem.rtol, problem.atol) / h0
        steep = torch.maximum(d1, d2.to(d1.dtype)).to(torch.float64)
        order = self.stepper.error_order
        guess = control.first_guess(0.01 / steep, order)
        h1 = torch.where(steep <= 1e-15, (h0 * 1e-3).clamp(min=1e-6), guess)
        h = torch.minimum(100 * h0, h1)
        h = torch.where(torch.isfinite(h), h, h0)
        return torch.maximum(h, 16 * self._resolution()).clamp(max=problem.max_step)

    def _resolution(self) -> Tensor:
        """The smallest change of time that counts, (A,)."""
        return _EPS * torch.maximum(self.t.abs(), _SPAN_SHARE * (self.end - self.first).abs())

    def _advance(self) -> None:
        cell = self.grid
        t1, h, clipped = self._target()
        noise = None
        if self.state.noise is not None:
            noise = self.state.noise.increments(self.rows, cell, self.t, t1, self.grid > cell)
            noise = noise.to(self.y.dtype)
        trial = self.stepper.step(self.at, self.t, t1, self.sign * h, self.y, self.k1, noise=noise)
        self.steps = self.steps + 1
        step = DenseStep(
            self.rows, self.t, t1, self.sign * h, self.y, trial.y, trial.stages, self.at,
            self.stepper,
        )  # fmt: skip
        found: Found | None = None
        if self.watch is not None:
            good = self._error(trial) <= 1 if self.stepper.adaptive else trial.finite
            trial, step, found = self.watch.look(step, trial, good)
        if self.stepper.adaptive:
            accepted, error = self._judge(trial, h)
        else:
            accepted, error = trial.finite, None
        if bool(accepted.any()):
            mask = None if bool(accepted.all()) else accepted
            if found is None:
                chosen = step if mask is None else step.select(mask.nonzero()[:, 0])
                self._accept(mask, t1, h, clipped, trial, error, chosen, None, noise)
            else:
                chosen = found.cut(step)
                index = accepted.nonzero()[:, 0]
                # Where an event cut the step, the grid of fixed steps was not reached.
                short = index[chosen.t1 != t1[index]]
                self.grid = self.grid.index_copy(0, short, cell[short])
                self._accept(mask, t1, h, clipped, trial, error, chosen, found, noise)
        self._end(accepted, trial, h)

    def _error(self, trial: Trial) -> Tensor:
        """Error of each trial in units of the tolerance, nan where it is not finite, (A,)."""
        assert trial.error is not None
        problem = self.problem
        error = control.error_norm(trial.error, self.y, trial.y, problem.rtol, problem.atol)
        return torch.where(trial.finite, error, torch.nan).to(torch.float64)

    def _target(self) -> tuple[Tensor, Tensor, Tensor]:
        """Arrival time, step size and whether the arrival is a boundary."""
        limit = self.limit
        rest = self.sign * (limit - self.t)
        if self.stepper.adaptive:
            clipped = self.h * (1 + 1e-10) >= rest
            return torch.where(clipped, limit, self.t + self.sign * self.h), torch.where(
                clipped, rest, self.h
            ), clipped  # fmt: skip
        assert self.problem.dt is not None
        dt = self.problem.dt
        tick = self.origin + self.sign * dt * (self.grid + 1).to(torch.float64)
        # A grid time that differs from a boundary by rounding only is that boundary.
        slack = 1e-9 * dt
        before = self.sign * (limit - tick)
        clipped = before <= slack
        self.grid = torch.where(before > slack, self.grid + 1, self.grid)
        self.grid = torch.where(before.abs() <= slack, self.grid + 1, self.grid)
        t1 = torch.where(clipped, limit, tick)
        return t1, self.sign * (t1 - self.t), clipped

    def _judge(self, trial: Trial, h: Tensor) -> tuple[Tensor, Tensor]:
        """Which rows accept their trial; sets the next step of those that do not."""
        error = self._error(trial)
        # Written so that nan is a rejection.
        accepted = error <= 1
        if bool(accepted.all()):
            return accepted, error
        level = control.error_level(error)
        shrunk = h * control.rejected_factor(level, self.stepper.error_order)
        shrunk = torch.where(torch.isfinite(error), shrunk, h * control.RETRY_SHRINK)
        self.h = torch.where(accepted, self.h, shrunk)
        self.retries = torch.where(trial.finite, self.retries, self.retries + 1)
        self.rejected = self.rejected + (~accepted).long()
        self.wary = self.wary | ~accepted
        self.walled = torch.where(accepted, self.walled, ~trial.finite)
        return accepted, error

    def _accept(
        self, accepted: Tensor | None, t1: Tensor, h: Tensor, clipped: Tensor, trial: Trial,
        error: Tensor | None, chosen: DenseStep, found: Found | None, noise: Tensor | None = None,
    ) -> None:  # fmt: skip
        index = None if accepted is None else accepted.nonzero()[:, 0]
        # A grid of fixed steps stands still when a boundary between its points moves.
        fixed = clipped if self.stepper.adaptive else torch.ones_like(clipped)
        taken = Steps(self.rows, self.t, t1, h, fixed, self.y, noise=noise)
        everyone = accepted is None
        mask = torch.ones_like(clipped) if accepted is None else accepted

        def keep(new: Tensor, old: Tensor) -> Tensor:
            return new if everyone else torch.where(mask, new, old)

        if error is not None:
            level = control.error_level(error)
            factor = control.accepted_factor(level, self.previous, self.stepper.error_order)
            factor = torch.where(self.wary, factor.clamp(max=1.0), factor)
            proposal = h * factor
            # A step cut short at a boundary says nothing against the longer one.
            proposal = torch.where(clipped, torch.maximum(self.h, proposal), proposal)
            self.h = keep(proposal.clamp(max=self.problem.max_step), self.h)
            self.previous = keep(level, self.previous)
            self.wary = self.wary & ~mask
            self.retries = keep(torch.zeros_like(self.retries), self.retries)
        if self.hand_over and trial.stiffness is not None:
            tense = trial.stiffness.abs() > _STIFF_LIMIT
            self.patience = keep(
                torch.where(tense, self.patience + 1, (self.patience - 1).clamp(min=0)),
                self.patience,
            )
        end, y1 = t1, trial.y
        if found is not None:
            place = mask.nonzero()[:, 0]
            end, y1 = t1.index_copy(0, place, chosen.t1), y1.index_copy(1, place, chosen.y1)
        self.t, self.y = keep(end, self.t), keep(y1, self.y)
        # trial.last is the slope at the new point; after a jump it is taken again below.
        if trial.last is not None and self.k1 is not None:
            self.k1 = keep(trial.last, self.k1)
        else:
            self.k1 = None
        crossed = self._cross(mask & clipped & (end == t1))
        if index is not None:
            taken = taken.select(index)
        if found is not None and self.watch is not None:
            self.watch.happen(self, found, mask, crossed, chosen, taken)
            return
        if self.record is not None:
            self.record.taken.append(taken)
        for sink in self.sinks:
            sink.add(chosen)

    def _cross(self, arrived: Tensor) -> Tensor:
        """Boundaries just reached: new interval, new slope, no controller history.

        Returns:
            Rows that crossed one, (A,).
        """
        nothing = torch.zeros_like(arrived)
        if self.forcing.constant or not bool(arrived.any()):
            return nothing
        pointers, crossed = self.forcing.crossed(self.pointers, self.rows, self.t)
        crossed = crossed & arrived
        if not bool(crossed.any()):
            return nothing
        self.pointers = torch.where(crossed, pointers, self.pointers)
        self.previous = torch.where(crossed, 0.0, self.previous)
        self.limit = self.forcing.nearest(self.pointers, self.rows, self.end)
        self.at = self.forcing.interval(self.pointers, self.rows)
        if self.k1 is not None:
            index = crossed.nonzero()[:, 0]
            fresh = self.at.select(index).rhs(self.t[index], self.y[:, index])
            self.k1 = self.k1.index_copy(1, index, fresh)
        return crossed

    def _end(self, accepted: Tensor, trial: Trial, h: Tensor) -> None:
        """Rows that arrived, failed or turned stiff leave."""
        arrived = self.t == self.end
        leaving = arrived.clone()
        if self.watch is not None:
            leaving = leaving | self.watch.stopped(self)
        if self.stepper.adaptive:
            # A row whose step no longer moves its time gets nowhere, accepted or not.
            tiny = trial.finite & (self.h < 4 * self._resolution())
            lost = ~accepted & (self.retries > control.MAX_RETRIES)
            failures = [
                (tiny & ~self.walled, Status.STEP_TOO_SMALL),
                ((tiny & self.walled) | lost, Status.NOT_FINITE),
            ]
            if trial.singular is not None:
                failures.insert(1, (lost & trial.singular, Status.SOLVER_FAILED))
        else:
            failures = [(~accepted, Status.NOT_FINITE)]
        spent = (self.steps >= self.problem.max_steps) & ~arrived
        failures.append((spent, Status.MAX_STEPS))
        for mask, bit in failures:
            mask = mask & ~leaving
            if bool(mask.any()):
                rows = self.rows[mask]
                self.state.status[rows] |= int(bit)
                self.state.fail_time[rows] = self.t[mask]
                leaving = leaving | mask
        if self.hand_over:
            stiff = (self.patience >= _STIFF_PATIENCE) & ~leaving
            if bool(stiff.any()):
                self.stiff.append(self.rows[stiff])
                leaving = leaving | stiff
        if bool(leaving.any()):
            self._leave(leaving)

    def _fail(self, mask: Tensor, bit: Status) -> None:
        rows = self.rows[mask]
        self.state.status[rows] |= int(bit)
        self.state.fail_time[rows] = self.t[mask]
        self._leave(mask)

    def _leave(self, leaving: Tensor) -> None:
        """Write leaving rows back and go on with the others only."""
        state, rows = self.state, self.rows[leaving]
        state.t[rows], state.y[:, rows] = self.t[leaving], self.y[:, leaving]
        state.h[rows], state.pointers[:, rows] = self.h[leaving], self.pointers[:, leaving]
        state.steps[rows], state.rejected[rows] = self.steps[leaving], self.rejected[leaving]
        state.grid[rows] = self.grid[leaving]
        index = (~leaving).nonzero()[:, 0]
        for name in (
            "rows", "t", "h", "end", "limit", "first", "origin", "previous", "retries", "wary",
            "patience", "walled", "steps", "rejected", "grid",
        ):  # fmt: skip
            setattr(self, name, getattr(self, name)[index])
        self.y, self.pointers = self.y[:, index], self.pointers[:, index]
        self.k1 = None if self.k1 is None else self.k1[:, index]
        self.at = self.at.select(index)
        if self.watch is not None:
            self.watch.keep(leaving, rows, index)
