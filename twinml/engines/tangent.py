"""Observations and their Jacobian, along frozen steps.

The recorded steps are known, so the derivative of each step's map (state and unknowns to
next state) does not have to wait for the one before: all are taken at once, as one batch,
and only small matrices are multiplied in the order of time. Rows are independent, so one
backward pass over a copy of the rows for each component of the result gives whole Jacobians.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from twinml.engines.forcing import Forcing
from twinml.engines.record import Record, Steps
from twinml.engines.replay import again, onward
from twinml.engines.saving import Trajectory
from twinml.engines.stepper import AbstractStepper
from twinml.solve.problem import Problem

Build = Callable[[Tensor], Problem]
Observe = Callable[[Problem, Tensor], Tensor]

_COLUMNS = 32_768  # columns differentiated at a time, which bounds the memory of the graph


def state_tangents(build: Build, theta: Tensor, problem: Problem, records: list[Record]) -> Tensor:
    """Derivative of the saved states by the unknowns of their row.

    Args:
        build: Problem with B rows from unknowns (B, p).
        theta: Unknowns, (B, p).
        problem: ``build(theta)``.
        records: Accepted steps of every phase.

    Returns:
        (n, B, T, p); T = 1, the end, when only final states are kept.
    """
    moves = _moves(build, theta) or bool(problem.model.declared.events)
    maps = _StepMaps(build, theta, moves)
    n, rows, unknowns = problem.y0.shape[0], problem.rows, theta.shape[1]
    # Rows of the tangent: states, then the time of the row where changes move it.
    now = torch.zeros((rows, maps.size(n), unknowns), dtype=theta.dtype, device=theta.device)
    now[:, :n] = maps.initial(n).to(now.dtype)
    samples = Trajectory(problem) if problem.keep == "all" else None
    seen = None if samples is None else samples.done.clone()
    count = 1 if samples is None else problem.t.shape[-1]
    result = torch.zeros((rows, count, n, unknowns), dtype=theta.dtype, device=theta.device)
    if samples is not None:
        owner, column = samples.at_start()
        result[owner, column] = now[owner, :n]
    for record in records:
        if not record.taken:
            continue
        steps, sizes = record.in_row_order()
        by_state, by_theta = maps.ends(record.stepper, steps)
        before = now.new_empty((steps.rows.shape[0], *now.shape[1:]))
        start = 0
        for size in sizes:
            part = slice(start, start + size)
            start += size
            mine = steps.rows[part]
            before[part] = now[mine]
            now[mine] = torch.baddbmm(by_theta[part], by_state[part], before[part])
        if samples is None or seen is None:
            continue
        owner, column, target = samples.covered(steps, seen)
        at_end = target == steps.t1[owner]
        hit = owner[at_end]
        after = torch.baddbmm(by_theta[hit], by_state[hit], before[hit])
        result[steps.rows[hit], column[at_end]] = after[:, :n]
        owner, column, target = owner[~at_end], column[~at_end], target[~at_end]
        if owner.shape[0]:
            by_state, by_theta = maps.inside(record.stepper, steps.select(owner), target)
            inner = torch.baddbmm(by_theta, by_state, before[owner])
            result[steps.rows[owner], column] = inner
    if samples is None:
        result[:, 0] = now[:, :n]
    return result.permute(2, 0, 1, 3)


def observed_tangents(
    build: Build, observe: Observe, theta: Tensor, states: Tensor, tangents: Tensor
) -> Tensor:
    """Derivative of the observations (m, B) by the unknowns, (m, B, p).

    Args:
        build, observe, theta: As in ``EagerEngine.linearise``.
        states: Saved states (n, B, T).
        tangents: Their derivative (n, B, T, p).
    """
    rows, unknowns = theta.shape
    with torch.enable_grad():
        point = theta.repeat(unknowns, 1).requires_grad_()
        copies = states.repeat(1, unknowns, 1).requires_grad_()
        values = observe(build(point), copies)
        if not values.requires_grad:
            return values.new_zeros((values.shape[0], rows, unknowns))
        # The derivative along directions, from two reverse passes: the first is linear in its
        # weights, so differentiating it by them gives the product with the directions.
        weights = torch.zeros_like(values).requires_grad_()
        pulled = torch.autograd.grad(
            values, (point, copies), weights, create_graph=True, allow_unused=True
        )
        along = torch.eye(unknowns, dtype=theta.dtype, device=theta.device)
        direction = (along.repeat_interleave(rows, 0), _stacked(tangents))
        product = torch.zeros((), dtype=values.dtype, device=values.device)
        for gradient, toward in zip(pulled, direction, strict=True):
            if gradient is not None:
                product = product + (gradient * toward).sum().to(product.dtype)
        if not product.requires_grad:
            return values.new_zeros((values.shape[0], rows, unknowns))
        (result,) = torch.autograd.grad(product, weights, allow_unused=True)
    if result is None:
        result = torch.zeros_like(values)
    return result.view(-1, unknowns, rows).movedim(1, 2)


def _stacked(tangents: Tensor) -> Tensor:
    """(n, B, T, p) to (n, p * B, T), one block of rows per unknown."""
    n, rows, samples, unknowns = tangents.shape
    return tangents.permute(0, 3, 1, 2).reshape(n, unknowns * rows, samples)


def _moves(build: Build, theta: Tensor) -> bool:
    """Whether an unknown moves the time of a change."""
    with torch.enable_grad():
        changes = build(theta.detach().clone().requires_grad_()).changes
    parts = [part for change in changes for part in (change.at, change.until)]
    return any(isinstance(part, Tensor) and part.requires_grad for part in parts)


class _StepMaps:
    """Jacobians of single steps, as (M, results, states) and (M, results, p)."""

    def __init__(self, build: Build, theta: Tensor, moves: bool) -> None:
        self.build, self.theta, self.moves = build, theta, moves

    def size(self, n: int) -> int:
        return n + 1 if self.moves else n

    def initial(self, n: int) -> Tensor:
        """Derivative of the initial states, (B, n, p)."""
        rows = self.theta.shape[0]
        with torch.enable_grad():
            point = self.theta.repeat(n, 1).requires_grad_()
            y0 = self.build(point).y0
            if not y0.requires_grad:
                return self.theta.new_zeros((rows, n, self.theta.shape[1]))
            (gradient,) = torch.autograd.grad(y0, point, _pick(y0, n), allow_unused=True)
        if gradient is None:
            return self.theta.new_zeros((rows, n, self.theta.shape[1]))
        return gradient.view(n, rows, -1).movedim(0, 1)

    def ends(self, stepper: AbstractStepper, steps: Steps) -> tuple[Tensor, Tensor]:
        """Of the states (and time) at the end of each step."""
        return self._all(stepper, steps, None)

    def inside(
        self, stepper: AbstractStepper, steps: Steps, target: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of the states at the times ``target`` (M,) inside each step."""
        return self._all(stepper, steps, target)

    def _all(
        self, stepper: AbstractStepper, steps: Steps, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        n, count = steps.y.shape
        size = max(1, _COLUMNS // self.size(n))
        parts = [
            self._chunk(stepper, steps.select(part), None if target is None else target[part])
            for part in _slices(count, size)
        ]
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])

    def _chunk(
        self, stepper: AbstractStepper, steps: Steps, target: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        n, count = steps.y.shape
        ends = target is None
        copies = self.size(n) if ends else n
        index = torch.arange(count, device=steps.t.device).repeat(copies)
        wide = steps.select(index)
        with torch.enable_grad():
            point = self.theta[wide.rows].requires_grad_()
            problem = self.build(point)
            forcing = Forcing(problem)
            t, y = wide.t.clone().requires_grad_(self.moves), wide.y.clone().requires_grad_()
            rows = torch.arange(index.shape[0], device=index.device)
            step = again(
                problem, forcing, stepper, wide, rows, forcing.start(t.detach()), t, y, False
            )
            if target is None:
                behind = forcing.start(step.t1.detach())
                values = onward(forcing, step, wide, rows, behind)
            else:
                values = step.states((target[index] - step.t) / step.h)
            results, weights = [values], [_pick(values, n, copies)]
            if ends and self.moves:
                last = torch.zeros_like(step.t1.detach())
                last[n * count :] = 1.0
                results.append(step.t1)
                weights.append(last)
            wanted = (point, y, t) if self.moves else (point, y)
            found = torch.autograd.grad(results, wanted, weights, allow_unused=True)
        found = [
            torch.zeros_like(w) if g is None else g for g, w in zip(found, wanted, strict=True)
        ]
        by_theta = found[0].view(copies, count, -1).movedim(0, 1)
        by_state = found[1].view(n, copies, count).permute(2, 1, 0)
        if self.moves:
            by_time = found[2].to(by_state.dtype).view(1, copies, count).permute(2, 1, 0)
            by_state = torch.cat([by_state, by_time], dim=2)
        return by_state.to(self.theta.dtype), by_theta


def _pick(values: Tensor, n: int, copies: int | None = None) -> Tensor:
    """Weights that choose component i of ``values`` (n, copies * M) in copy i."""
    copies = n if copies is None else copies
    each = torch.eye(n, copies, dtype=values.dtype, device=values.device)
    return each.repeat_interleave(values.shape[1] // copies, dim=1)


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))
