"""One simulation, validated and normalised: what every engine receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from twinml.expression import Expression
from twinml.physics import Physics, Signal
from twinml.solve.change import Change
from twinml.solve.path import NoisePath


@final
@dataclass(frozen=True, eq=False)
class LaneState:
    """Where every row stopped, enough to go on from there (``simulate(start=sol.state)``).

    Args:
        t: Time of each row, shape (B,), float64.
        y: Stacked states, shape (n, B).
        h: Next step proposed for each row, shape (B,), float64; 0 where unknown.
        path: The noise each row goes on along; None for models without, or to begin a new path.
        side: Side of zero each event's guard was on last, (E, B) in -1, 0, 1; 0 until the guard
            leaves zero. None where no event was watched.
        near: What counts as zero for each guard, (E, B); None as for ``side``.
    """

    t: Tensor
    y: Tensor
    h: Tensor
    path: NoisePath | None = None
    side: Tensor | None = None
    near: Tensor | None = None


@final
@dataclass(frozen=True, eq=False)
class Problem:
    """A batch of initial value problems.

    Args:
        model: The physics.
        t: Save points in the model's time unit, (T,) shared or (B, T), float64, monotonic.
        y0: Stacked initial states (n, B).
        parameters: By name, (B,) or (1,) when shared by all rows.
        inputs: By name, a ``Signal`` or a constant (B,) or (1,).
        changes: Timed changes with ``at``, ``until``, ``value`` of shape (B,) or (1,).
        quantities: Name -> expression; empty when trajectories are kept.
        constants: Further names known to quantities, (B,) or (1,).
        keep: "all", "final" or "quantities".
        rtol: Relative tolerance; atol: shape (n,).
        dt: Fixed step or None; h0: first step per row or None.
        max_step: Largest step, inf for no limit.
        max_steps: Attempted steps a row may take.
        path: The Brownian path of each row; None for models without noise.
        side, near: As in ``LaneState``, None where guards are read anew.
        max_events: Times that each event may happen in a row.
        backward: Whether times fall, where that is known already: to look it up waits for a GPU.
        disposable: Whether nobody reads ``y0`` after the run: an engine may overwrite it.
    """

    model: Physics
    t: Tensor
    y0: Tensor
    parameters: Mapping[str, Tensor]
    inputs: Mapping[str, Signal | Tensor]
    changes: tuple[Change, ...]
    quantities: Mapping[str, Expression]
    constants: Mapping[str, Tensor]
    keep: str
    rtol: float
    atol: Tensor
    dt: float | None
    max_step: float
    max_steps: int
    h0: Tensor | None = None
    path: NoisePath | None = None
    side: Tensor | None = None
    near: Tensor | None = None
    max_events: int = 100
    disposable: bool = False
    backward: bool | None = None

    @property
    def rows(self) -> int:
        """Number of rows B."""
        return self.y0.shape[1]

    @property
    def first(self) -> Tensor:
        """Start time, shape (B,)."""
        return (self.t[..., 0]).expand(self.rows)

    @property
    def last(self) -> Tensor:
        """End time, shape (B,)."""
        return (self.t[..., -1]).expand(self.rows)

    @property
    def direction(self) -> float:
        """+1.0 forward in time, -1.0 backward."""
        if self.backward is not None:
            return -1.0 if self.backward else 1.0
        return -1.0 if bool((self.t[..., -1] < self.t[..., 0]).any()) else 1.0

    def differentiable(self) -> bool:
        """Whether any input of the problem asks for a gradient."""
        if not torch.is_grad_enabled():
            return False
        tensors: list[Tensor] = [self.y0, *self.parameters.values(), *self.constants.values()]
        for value in self.inputs.values():
            if isinstance(value, Signal):
                tensors += [value.values, value.times]
            else:
                tensors.append(value)
        for change in self.changes:
            for part in (change.at, change.value, change.until):
                if isinstance(part, Tensor):
                    tensors.append(part)
        tensors.extend(self.model.parameters())
        return any(
            tensor.requires_grad or forward_ad.unpack_dual(tensor).tangent is not None
            for tensor in tensors
        )
