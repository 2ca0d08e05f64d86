"""Memory of the derivatives that a kernel follows: what moves the rows, and where it leads them."""

from __future__ import annotations

import ctypes
from typing import final

import torch
from torch import Tensor

from twinml.engines.native.memory import Args, ChangeSeedView, ColumnView, column, views
from twinml.engines.seeds import ChangeSeed, Seeds
from twinml.lowering.tangent_text import Moving
from twinml.physics import Signal
from twinml.solve.problem import Problem


def moving_for(problem: Problem, seeds: Seeds, directions: int) -> Moving:
    """What the kernel of a pass is compiled for."""
    declared = problem.model.declared
    parameters, inputs = list(declared.parameters), list(declared.inputs)
    moved = {*seeds.parameters, *seeds.inputs}
    moved |= {
        change.target
        for change, seed in zip(problem.changes, seeds.changes, strict=False)
        if seed.value is not None
    }
    time = any(seed.at is not None or seed.until is not None for seed in seeds.changes)
    # An event moves the time with which the row goes on.
    time = time or bool(declared.events)
    if time:
        # A line is read at times that move.
        moved |= {
            name
            for name, value in problem.inputs.items()
            if isinstance(value, Signal) and value.kind == "linear"
        }
    return Moving(
        directions,
        tuple(place for place, name in enumerate(parameters) if name in moved),
        tuple(place for place, name in enumerate(inputs) if name in moved),
        time,
    )


@final
class MovingMemory:
    """Derivatives of all rows along the directions of one pass.

    ``y`` (D, n, B) and ``t`` (D, B) are those of where rows are, ``states`` (D, n, B, T) those of
    the saved states, zero where no step came.
    """

    def __init__(self, problem: Problem, seeds: Seeds, moving: Moving) -> None:
        self.moving = moving
        self.problem, self.seeds = problem, seeds
        dtype, many = problem.y0.dtype, moving.directions
        n, rows = problem.y0.shape
        place = problem.y0.device
        self.y = torch.zeros((many, n, rows), dtype=dtype, device=place)
        if seeds.y0 is not None:
            self.y[: seeds.y0.shape[0]] = seeds.y0
        self.t = torch.zeros((many, rows) if moving.time else (1,), dtype=dtype, device=place)
        self.grazes = torch.zeros(
            len(problem.model.declared.events) + 1, dtype=torch.int64, device=place
        )
        self.states: Tensor | None = None
        if problem.keep == "all":
            self.states = torch.zeros(
                (many, n, rows, problem.t.shape[-1]), dtype=dtype, device=place
            )
        self._kept: list[Tensor] = []

    def fill(self, args: Args) -> dict[str, ctypes.Array]:
        """Tell a launch where it all is; its tables by name."""
        problem, seeds, moving = self.problem, self.seeds, self.moving
        declared = problem.model.declared
        parameters, inputs = list(declared.parameters), list(declared.inputs)
        args.moving_y, args.moving_t = self.y.data_ptr(), self.t.data_ptr()
        args.moving_grazes = self.grazes.data_ptr()
        if self.states is not None:
            args.moving_states = self.states.data_ptr()
        signals = [name for name, v in problem.inputs.items() if isinstance(v, Signal)]
        constant = [
            None if inputs[place] in signals else seeds.inputs.get(inputs[place])
            for place in moving.inputs
        ]
        moved = [seeds.parameters.get(parameters[place]) for place in moving.parameters]
        changes = []
        for direction in range(moving.directions):
            for number in range(len(problem.changes)):
                seed = seeds.changes[number] if seeds.changes else ChangeSeed()
                parts = (seed.at, seed.until, seed.value)
                changes.append(ChangeSeedView(*(self._view(part, direction) for part in parts)))
        return {
            "moving_parameters": self._columns(moved),
            "moving_inputs": self._columns(constant),
            "moving_signals": self._columns(
                [seeds.inputs.get(name) for name in signals], knots=True
            ),
            "moving_changes": views(ChangeSeedView, changes),
        }

    def _columns(self, parts: list[Tensor | None], knots: bool = False) -> ctypes.Array:
        every = [
            self._view(part, direction, knots)
            for direction in range(self.moving.directions)
            for part in parts
        ]
        return views(ColumnView, every)

    def _view(self, part: Tensor | None, direction: int, knots: bool = False) -> ColumnView:
        """One direction of a seed; no data beyond the last, and where there is none."""
        if part is None or direction >= part.shape[0]:
            return ColumnView(None, 0)
        values = part[direction].to(self.problem.y0.dtype)
        if values.ndim == 2:  # knots of each row
            values = values.contiguous()
            self._kept.append(values)
            return ColumnView(values.data_ptr(), values.stride(0))
        # There may be as many knots as rows.
        shared = knots or values.shape[0] != self.problem.rows
        values = values.contiguous()
        self._kept.append(values)
        return column(values[:1], 1) if shared else column(values)
