"""When the events of a simulation happened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class EventTimes:
    """The times of one event in every row.

    Args:
        rows: Row of each happening, (M,).
        place: Which of its row it is, from 0, (M,).
        at: When, (M,), float64; with the gradient of the simulation.
        count: How often the event happened, (B,) int64.
        max_events: How often it may.
    """

    rows: Tensor
    place: Tensor
    at: Tensor
    count: Tensor
    max_events: int

    @cached_property
    def time(self) -> Tensor:
        """Times in the model's time unit, (B, max_events), nan after the last of a row."""
        count = self.count.shape[0]
        empty = self.at.new_full((count * self.max_events,), torch.nan)
        flat = self.rows * self.max_events + self.place
        return empty.index_copy(0, flat, self.at).view(count, self.max_events)

    @cached_property
    def first(self) -> Tensor:
        """Time of the first happening of each row, (B,); nan where there is none."""
        mine = (self.place == 0).nonzero()[:, 0]
        empty = self.at.new_full((self.count.shape[0],), torch.nan)
        return empty.index_copy(0, self.rows[mine], self.at[mine])
