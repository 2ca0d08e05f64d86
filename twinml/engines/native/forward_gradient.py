"""Gradients where no kernel follows steps backward: by the derivatives kernels carry forward.

For stiff methods, rows that turn stiff, and changes whose time moves. Every leaf is one direction
or as many as it has numbers per row, so few leaves only; weights are too many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.native.once import refused_again
from twinml.engines.native.reverse import tree
from twinml.engines.seeds import ChangeSeed, Seeds
from twinml.errors import NoGradientError
from twinml.physics import Signal
from twinml.solve.change import Change
from twinml.solve.problem import Problem
from twinml.solve.status import FAILURE

# Directions that are carried forward, four a pass; each pass takes all steps again.
MOST = 16


@final
class Directions:
    """The leaves of a problem, one after another, and the directions each takes.

    Args:
        problem: With tensors that ask for a gradient.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.leaves: list[tuple[Tensor, Any]] = []
        if problem.y0.requires_grad:
            self.leaves.append((problem.y0, ("y0",)))
        for name, value in problem.parameters.items():
            self._add(value, ("parameter", name))
        for name, given in problem.inputs.items():
            self._add(given.values if isinstance(given, Signal) else given, ("input", name))
        for number, change in enumerate(problem.changes):
            for part in ("value", "at", "until"):
                self._add(getattr(change, part), ("change", number, part))
        self.counts = [self._count(tensor, where) for tensor, where in self.leaves]

    def _add(self, value: Any, where: tuple[Any, ...]) -> None:
        if isinstance(value, Tensor) and value.requires_grad:
            self.leaves.append((value, where))

    def _count(self, tensor: Tensor, where: tuple[Any, ...]) -> int:
        if where[0] == "y0":
            return tensor.shape[0]
        signal = where[0] == "input" and isinstance(self.problem.inputs[where[1]], Signal)
        return tensor.shape[-1] if signal else 1

    @property
    def total(self) -> int:
        return sum(self.counts)

    def seeds(self) -> Seeds:
        """Each direction moves one number of every row by one."""
        problem, total = self.problem, self.total
        rows, dtype = problem.rows, problem.y0.dtype
        y0: Tensor | None = None
        parameters, inputs = dict[str, Tensor](), dict[str, Tensor]()
        changes: list[dict[str, Tensor]] = [{} for _ in problem.changes]
        begin = 0
        for (tensor, where), count in zip(self.leaves, self.counts, strict=True):
            part = slice(begin, begin + count)
            begin += count
            match where:
                case ("y0",):
                    y0 = torch.zeros((total, count, rows), dtype=dtype)
                    y0[part] = torch.eye(count, dtype=dtype)[:, :, None]
                case ("input", name) if isinstance(problem.inputs[name], Signal):
                    inputs[name] = torch.zeros((total, *tensor.shape), dtype=dtype)
                    own = torch.eye(count, dtype=dtype)
                    inputs[name][part] = own if tensor.ndim == 1 else own[:, None, :]
                case _:
                    along = torch.zeros((total, rows), dtype=dtype)
                    along[part] = 1.0
                    if where[0] == "change":
                        changes[where[1]][where[2]] = along
                    else:
                        (parameters if where[0] == "parameter" else inputs)[where[1]] = along
        moved = tuple(ChangeSeed(**parts) for parts in changes)
        return Seeds(y0, parameters, inputs, moved if any(changes) else ())

    def gradients(self, by_row: Tensor) -> list[Tensor]:
        """One for each leaf, from the derivative along every direction in every row, (S, B)."""
        found, begin = list[Tensor](), 0
        for (tensor, _), count in zip(self.leaves, self.counts, strict=True):
            part = by_row[begin : begin + count]
            begin += count
            if tensor.ndim == 2 and tensor.shape != part.shape:
                part = part.T  # a signal of (B, knots)
            elif tensor.ndim == 1:
                shared = tensor.shape[0] != part.shape[1] or count > 1
                part = tree(part.T.to(torch.float64)) if shared else part[0]
            found.append(part.reshape(tensor.shape).to(tensor.dtype))
        return found


class _Along(torch.autograd.Function):
    """Saved states as a function of the leaves, by their derivatives along every direction."""

    @staticmethod
    def forward(
        ctx: Any, directions: Directions, states: Tensor, tangents: Tensor, *leaves: Tensor
    ) -> Tensor:
        ctx.directions = directions
        ctx.save_for_backward(tangents, *leaves)
        return states.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        tangents, *leaves = ctx.saved_tensors
        with torch.no_grad():
            # Written out, so that a row's sum does not hang on its neighbours.
            by_row = torch.zeros_like(tangents[0, :, 0].T)
            for state in range(tangents.shape[0]):
                for point in range(tangents.shape[2]):
                    by_row += gradients[0][state, :, point] * tangents[state, :, point].T
            found: Sequence[Tensor] = ctx.directions.gradients(by_row)
        return None, None, None, *refused_again(found, leaves, gradients)


def forward_gradient(problem: Problem, method: str, why: str) -> Outcome:
    """A run whose saved states can be differentiated, once.

    Args:
        problem: With tensors that ask for a gradient, and no weights among them.
        method: As in ``simulate``.
        why: What keeps it from being followed backward.

    Raises:
        NoGradientError: there are weights, or too many directions.
        LoweringError, NoCompilerError, CompileError: no kernel can be made.
    """
    from twinml.engines.native.tangents import tangent_run

    directions = Directions(problem)
    reason = None
    if any(parameter.requires_grad for parameter in problem.model.parameters()):
        reason = "weights of the model are among what it is asked by"
    elif directions.total > MOST:
        reason = f"{directions.total} numbers of a row are among what it is asked by"
    if reason is not None or not directions.total:
        raise NoGradientError(
            f"A gradient is asked for and {why}; kernels follow such steps forward alone, for up "
            f"to {MOST} numbers of a row, and {reason or 'there are none'}. Use engine='eager', "
            "or an explicit method such as 'tsit5' where the equations allow it."
        )
    plain = _detached(problem)
    outcome, tangents = tangent_run(plain, method, directions.seeds())
    assert outcome.states is not None
    leaves = [tensor for tensor, _ in directions.leaves]
    states = _Along.apply(directions, outcome.states.nan_to_num(nan=0.0), tangents, *leaves)
    assert isinstance(states, Tensor)
    states = torch.where(torch.isnan(outcome.states), torch.nan, states)
    failed = (outcome.status & int(FAILURE)) != 0
    end = torch.where(failed, outcome.state.y, states[..., -1])
    return outcome.replace(states=states, outputs=None, state=replace(outcome.state, y=end))


def _detached(problem: Problem) -> Problem:
    """The same problem with nothing that asks for a gradient."""

    def still(value: Any) -> Any:
        if isinstance(value, Signal):
            return replace(value, values=value.values.detach())
        return value.detach() if isinstance(value, Tensor) else value

    def change(given: Change) -> Change:
        parts = {part: still(getattr(given, part)) for part in ("at", "value", "until")}
        return replace(given, **parts)

    return replace(
        problem,
        y0=still(problem.y0),
        parameters={name: still(value) for name, value in problem.parameters.items()},
        inputs={name: still(value) for name, value in problem.inputs.items()},
        constants={name: still(value) for name, value in problem.constants.items()},
        changes=tuple(change(given) for given in problem.changes),
    )
