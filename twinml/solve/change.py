"""A timed change of a parameter or input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, final

from torch import Tensor

Action = Literal["set", "multiply", "add"]
ACTIONS: tuple[Action, ...] = ("set", "multiply", "add")


@final
@dataclass(frozen=True, eq=False)
class Change:
    """From ``at`` on (until ``until``), act on one parameter or input.

    Args:
        at: Time, a number or shape (B,). Beyond the horizon, or inf, is never.
        action: "set" replaces the value, "multiply" scales it, "add" shifts it; several changes
            act in the order given.
        target: Name of a parameter or input.
        value: A number or shape (B,), in the target's unit.
        until: Time at which the change ends; None for never.
    """

    at: Tensor | float
    action: Action
    target: str
    value: Tensor | float
    until: Tensor | float | None = None
