"""A problem in memory of its own, for what is read again after the call has returned."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from twinml.lowering import Lowered
from twinml.physics import Signal
from twinml.solve.problem import Problem


def owned(problem: Problem) -> Problem:
    """The problem with copies of all that no gradient is asked for; torch watches over the rest."""
    inputs = {
        name: replace(
            value, times=_copy(value.times), values=_copy(value.values), delay=_copy(value.delay)
        )
        if isinstance(value, Signal)
        else _copy(value)
        for name, value in problem.inputs.items()
    }
    changes = tuple(
        replace(c, at=_copy(c.at), until=_copy(c.until), value=_copy(c.value))
        for c in problem.changes
    )
    return replace(
        problem, t=_copy(problem.t), inputs=inputs, changes=changes,
        parameters={name: _copy(value) for name, value in problem.parameters.items()},
        constants={name: _copy(value) for name, value in problem.constants.items()},
    )  # fmt: skip


def owned_tensors(lowered: Lowered, read: list[Tensor]) -> list[Tensor]:
    """A model's tensors as they were read, those without a gradient copied."""
    return [
        value if ref.tensor.requires_grad else value.clone()
        for ref, value in zip(lowered.tensors, read, strict=True)
    ]


def _copy(value: Any) -> Any:
    keep = not isinstance(value, Tensor) or value.requires_grad
    return value if keep else value.clone()
