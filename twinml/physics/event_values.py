"""What the methods of an event return, checked and stacked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from twinml.errors import ShapeError, nearest
from twinml.physics.model import Physics, _fit


def guard_value(model: Physics, event: str, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The guard of an event.

    Args:
        model: The physics.
        event: Name of the event.
        values: Tensors by name, each (B,) or (B, k).
        like: The stacked state (n, B), which fixes shape and dtype.

    Returns:
        Shape (B,), in the dtype of ``like``.

    Raises:
        ShapeError: the guard returned anything else.
    """
    result: Any = model._evaluate(event, values)
    origin = f"{type(model).__name__}.{event}"
    if not isinstance(result, Tensor):
        raise ShapeError(
            f"{origin} returned {type(result).__name__}; a guard returns one tensor of shape "
            f"({like.shape[1]},), the number whose zero is the event. What the event does to the "
            f"states belongs into @{event}.reset."
        )
    if result.dtype == torch.bool:
        raise ShapeError(
            f"{origin} returned True and False; a guard is the number that reaches zero at the "
            "event. Write 'height' or 'level - limit' instead of a comparison."
        )
    return _fit(result, None, like, origin, event)


def after_reset(model: Physics, event: str, values: Mapping[str, Tensor], like: Tensor) -> Tensor:
    """The states after an event.

    Args:
        model, event, values: As for ``guard_value``.
        like: The stacked state (n, B) before the event.

    Returns:
        Shape (n, B); ``like`` itself for an event without a reset.

    Raises:
        ShapeError: the reset returned no dict, an unknown state or another shape.
    """
    declared = model.declared
    if declared.events[event].action is None:
        return like
    result: Any = model._evaluate(f"{event}.reset", values)
    origin = f"{type(model).__name__}.{event}.reset"
    if not isinstance(result, Mapping):
        raise ShapeError(
            f"{origin} returned {type(result).__name__}; expected a dict of the states it "
            f"changes, among {list(declared.states)}."
        )
    for name in result:
        if name not in declared.states:
            raise ShapeError(
                f"{origin} returns '{name}', which is not a state; an event changes states, here "
                f"{list(declared.states)}." + nearest(str(name), declared.states)
            )
    blocks = []
    for name, part in declared.slices.items():
        if name not in result:
            blocks.append(like[part])
            continue
        size = declared.states[name].size
        value = _fit(result[name], size, like, origin, name)
        blocks.append(value.unsqueeze(0) if size is None else value.movedim(-1, 0))
    return torch.cat(blocks)
