"""Inputs over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, final, get_args

import numpy
import torch
from torch import Tensor

from twinml.errors import ArgumentError, ShapeError

Kind = Literal["hold", "linear"]


def as_numbers(value: Any, device: Any = None) -> Tensor:
    """A floating tensor; numbers and lists become float64, where torch would take float32."""
    if isinstance(value, (Tensor, numpy.ndarray)):
        tensor = torch.as_tensor(value, device=device)
        return tensor if tensor.is_floating_point() else tensor.to(torch.float64)
    if device is not None and isinstance(value, (int, float)):
        # Filled in where it is to lie: to copy it to a GPU is to wait for that.
        return torch.full((), value, dtype=torch.float64, device=device)
    return torch.as_tensor(value, dtype=torch.float64, device=device)


@final
@dataclass(frozen=True, eq=False)
class Signal:
    """An input over time, given at knots.

    Args:
        times: Knots in the model's time unit, shape (K,), strictly increasing.
        values: Values at the knots in the input's unit, shape (K,) for all rows or (B, K).
        kind: "hold" keeps values[i] on [times[i], times[i+1]); "linear" joins the knots.
        delay: Added to the knots row by row, (B,) or one number, in the model's time unit; None
            for none. Before the first delayed knot values[0] holds. It has no derivative.

    Raises:
        ShapeError: ``times`` and ``values`` disagree on K, or ``delay`` is not one per row.
        ArgumentError: unsorted or non-finite knots, non-finite values or delays, unknown kind.
    """

    times: Tensor
    values: Tensor
    kind: Kind = "hold"
    delay: Tensor | None = None

    def __post_init__(self) -> None:
        # A column of a table is a strided view, which torch.searchsorted warns about.
        times = torch.as_tensor(self.times, dtype=torch.float64).contiguous()
        values = as_numbers(self.values)
        object.__setattr__(self, "times", times)
        object.__setattr__(self, "values", values)
        if self.kind not in get_args(Kind):
            raise ArgumentError(
                f"Signal has kind={self.kind!r}; expected one of {list(get_args(Kind))}: 'hold' "
                "for values kept until the next knot, 'linear' for straight lines between knots."
            )
        if times.ndim != 1 or values.ndim not in (1, 2) or values.shape[-1] != times.shape[0]:
            raise ShapeError(
                f"Signal has times of shape {tuple(times.shape)} and values of shape "
                f"{tuple(values.shape)}; expected (K,) and (K,) or (B, K), one value per knot."
            )
        if times.shape[0] == 0:
            raise ShapeError("Signal has no knots; expected at least one time and value.")
        if not bool(torch.isfinite(times).all()) or not bool((times.diff() > 0).all()):
            raise ArgumentError(
                "Signal has times that are not strictly increasing finite numbers. "
                "Sort the knots and drop repeats."
            )
        if not bool(torch.isfinite(values.detach()).all()):
            raise ArgumentError(
                "Signal has values that are nan or infinite. Fill or drop those knots first."
            )
        if self.delay is not None:
            self._read_delay(self.delay)

    def _read_delay(self, given: Any) -> None:
        delay = as_numbers(given).to(torch.float64)
        if delay.requires_grad:
            raise ArgumentError(
                "Signal has a delay that asks for a gradient, and a delay has none here. Pass "
                "delay.detach(), or move the knots: times asks for one."
            )
        delay = delay.reshape(1) if delay.ndim == 0 else delay
        if delay.ndim != 1 or delay.shape[0] == 0:
            raise ShapeError(
                f"Signal has a delay of shape {tuple(delay.shape)}; expected a number or (B,)."
            )
        if not bool(torch.isfinite(delay).all()):
            raise ArgumentError("Signal has delays that are nan or infinite; expected numbers.")
        object.__setattr__(self, "delay", delay.contiguous())
