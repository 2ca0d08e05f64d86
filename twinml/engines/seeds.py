"""Directions in what a problem is given: initial states, parameters, inputs, changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import final

import torch
from torch import Tensor
from torch.autograd import forward_ad

from twinml.engines.stepper import prepare_forward_mode
from twinml.physics import Signal
from twinml.solve.problem import Problem


@final
@dataclass(frozen=True, eq=False)
class ChangeSeed:
    """Derivatives of a timed change along S directions; None where it stands still.

    Args:
        value: Of its value, (S, B).
        at, until: Of the times at which it begins and ends, (S, B).
    """

    value: Tensor | None = None
    at: Tensor | None = None
    until: Tensor | None = None


@final
@dataclass(frozen=True, eq=False)
class Seeds:
    """Derivatives of what a problem is given along S directions; what is not named stands still.

    Args:
        y0: Of the initial states, (S, n, B), or None.
        parameters: Of parameters, by name, (S, B).
        inputs: Of inputs by name: constants (S, B); signals by their values, (S, knots) or
            (S, B, knots).
        changes: One entry for each change of the problem, or none at all.
    """

    y0: Tensor | None = None
    parameters: Mapping[str, Tensor] = field(default_factory=dict)
    inputs: Mapping[str, Tensor] = field(default_factory=dict)
    changes: tuple[ChangeSeed, ...] = ()

    @property
    def directions(self) -> int:
        """How many directions S there are; 0 where nothing moves."""
        parts = [self.y0, *self.parameters.values(), *self.inputs.values()]
        parts += [p for change in self.changes for p in (change.value, change.at, change.until)]
        return next((part.shape[0] for part in parts if part is not None), 0)

    def select(self, directions: slice) -> Seeds:
        """Some of the directions."""

        def some(part: Tensor | None) -> Tensor | None:
            return None if part is None else part[directions]

        return Seeds(
            some(self.y0),
            {name: part[directions] for name, part in self.parameters.items()},
            {name: part[directions] for name, part in self.inputs.items()},
            tuple(ChangeSeed(some(c.value), some(c.at), some(c.until)) for c in self.changes),
        )


@final
class NoSeedsError(Exception):
    """A problem moves in a way that ``Seeds`` cannot say; the text says which."""


def seeds_along(build: Callable[[Tensor], Problem], theta: Tensor) -> Seeds:
    """How a problem moves along each of its unknowns.

    Args:
        build: Problem with B rows from unknowns (B, p); row b uses only unknowns b. Called with
            p B rows.
        theta: Unknowns, (B, p).

    Raises:
        NoSeedsError: a knot of an input moves, a value that all rows share does, or what ties
            initial values has no forward derivative in torch.
    """
    rows, unknowns = theta.shape
    prepare_forward_mode()
    along = torch.eye(unknowns, dtype=theta.dtype, device=theta.device)
    with torch.no_grad(), forward_ad.dual_level():
        point = theta.repeat(unknowns, 1)
        try:
            problem = build(forward_ad.make_dual(point, along.repeat_interleave(rows, 0)))
        except NotImplementedError as error:
            raise NoSeedsError(f"an operation has no forward derivative ({error})") from error

        def moves(value: object) -> Tensor | None:
            if not isinstance(value, Tensor):
                return None
            found = forward_ad.unpack_dual(value).tangent
            return None if found is None or not bool(found.any()) else found

        def by_row(what: str, value: object) -> Tensor | None:
            found = moves(value)
            if found is None:
                return None
            if found.shape[0] != unknowns * rows:
                raise NoSeedsError(f"{what} is shared by all rows and depends on an unknown")
            return found.reshape(unknowns, rows, *found.shape[1:])

        if moves(problem.t) is not None:
            raise NoSeedsError("save points depend on an unknown")
        y0 = moves(problem.y0)
        parameters, inputs = {}, {}
        for name, value in problem.parameters.items():
            if (found := by_row(f"parameter '{name}'", value)) is not None:
                parameters[name] = found
        for name, value in problem.inputs.items():
            if isinstance(value, Signal):
                if moves(value.times) is not None:
                    raise NoSeedsError(f"knots of input '{name}' depend on an unknown")
                value = value.values
            if (found := by_row(f"input '{name}'", value)) is not None:
                inputs[name] = found
        changes = tuple(
            ChangeSeed(
                *(
                    by_row(f"change {number} of '{change.target}'", part)
                    for part in (change.value, change.at, change.until)
                )
            )
            for number, change in enumerate(problem.changes, 1)
        )
        if y0 is not None:
            y0 = y0.reshape(-1, unknowns, rows).movedim(1, 0)
        else:
            y0 = problem.y0.new_zeros((unknowns, problem.y0.shape[0], rows))
    return Seeds(y0, parameters, inputs, changes)
