"""What fixes the Brownian path of every row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class NoisePath:
    """The path of each row, and where on it the row is.

    The path is a function of (seed, row id) and of time: cell k lies between origin + k dt and
    origin + (k + 1) dt. Going on from a solution therefore goes on along the same path.

    Args:
        seed: Key of all rows, below 2^64.
        ids: Row numbers, (B,) int64, below 2^48; rows with equal ids have equal noise.
        dt: Width of a cell, in the model's time unit.
        origin: Start of cell 0 of each row, (B,), float64.
        cell: Cell in which the row goes on, (B,) int64.
    """

    seed: int
    ids: Tensor
    dt: float
    origin: Tensor
    cell: Tensor
