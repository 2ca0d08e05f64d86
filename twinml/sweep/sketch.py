"""Order statistics of a column that comes in parts, in bounded memory and without chance.

Up to ``room`` values are kept as they are, and every rank is exact. Beyond, sorted values are
merged in pairs: one of the two stays and carries the weight of both, the lower and the upper by
turns. A merge moves the rank of a threshold only where the pair straddles it, so each compaction
adds at most one pair's weight to the error, and the sum of these is a bound that holds for every
threshold. After Munro and Paterson (1980), Theor. Comput. Sci. 12, 315-323, and Manku,
Rajagopalan and Lindsay (1998), Proc. SIGMOD, 426-435.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import final

import numpy as np

from twinml.errors import ArgumentError


@final
@dataclass(frozen=True, eq=False)
class Ordered:
    """Values in order, each with the weight it stands for.

    Args:
        values: Sorted, (K,).
        weights, squares: Sums of weights and of squared weights that each stands for, (K,).
        count: Values taken in.
        over, under: The mass at or below any threshold is at most this much too large or too
            small; 0 where nothing was merged.
    """

    values: np.ndarray
    weights: np.ndarray
    squares: np.ndarray
    count: int
    over: float
    under: float

    @property
    def rank_error(self) -> float:
        """The bound of both, in rows (in weight, where rows are weighted)."""
        return max(self.over, self.under)


@final
@dataclass
class QuantileSketch:
    """Takes in values part by part; ``ordered`` gives them back in order.

    The result is a function of the values in their order and of the parts they came in, and of
    nothing else.

    Args:
        room: Values kept before any are merged, at least 4. Memory is about 8 bytes times ``room``
            times (2 + half the binary logarithm of N / room), three times that with weights. The
            rank error of N unweighted values is at most N / room times half that logarithm, + 1.
        weighted: Whether values have weights.

    Raises:
        ArgumentError: ``room`` is below 4.
    """

    room: int
    weighted: bool = False
    count: int = 0
    over: float = 0.0
    under: float = 0.0
    levels: list[list[np.ndarray]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.room < 4:
            raise ArgumentError(f"room is {self.room!r}; expected a whole number, at least 4.")

    def add(self, values: np.ndarray, weights: np.ndarray | None = None) -> None:
        """Take in a part, (N,) finite float64."""
        self.count += len(values)
        rows = values[None, :]
        if self.weighted:
            assert weights is not None
            rows = np.stack([values, weights, weights * weights])
        self._put(0, rows)

    def ordered(self) -> Ordered:
        """What was taken in, sorted."""
        parts = [(level, part) for level, held in enumerate(self.levels) for part in held]
        if not parts:
            empty = np.empty(0)
            return Ordered(empty, empty, empty, 0, 0.0, 0.0)
        if self.weighted:
            rows = np.concatenate([part for _, part in parts], axis=1)
            rows = rows[:, np.argsort(rows[0], kind="stable")]
            return Ordered(rows[0], rows[1], rows[2], self.count, self.over, self.under)
        values = np.concatenate([part[0] for _, part in parts])
        if len(values) == self.count:
            ones = np.broadcast_to(1.0, len(values))
            return Ordered(np.sort(values), ones, ones, self.count, 0.0, 0.0)
        weights = np.concatenate([np.full(part.shape[1], 2.0**level) for level, part in parts])
        order = np.argsort(values, kind="stable")
        weights = weights[order]
        return Ordered(values[order], weights, weights, self.count, self.over, self.under)

    def _put(self, level: int, rows: np.ndarray) -> None:
        if level == len(self.levels):
            self.levels.append([])
            self.turns.append(0)
        self.levels[level].append(rows.copy())
        if sum(part.shape[1] for part in self.levels[level]) > self.room:
            self._put(level + 1, self._compact(level))

    def _compact(self, level: int) -> np.ndarray:
        """Merge what a level holds in pairs; an odd one stays."""
        rows = np.concatenate(self.levels[level], axis=1)
        even = rows.shape[1] // 2 * 2
        self.levels[level] = [rows[:, even:]] if even < rows.shape[1] else []
        rows = rows[:, :even]
        upper = self.turns[level] % 2
        self.turns[level] += 1
        if not self.weighted:
            merged = np.sort(rows[0])[None, upper::2]
            lost = (2.0**level, 2.0**level)
        else:
            rows = rows[:, np.argsort(rows[0], kind="stable")]
            first, second = rows[:, 0::2], rows[:, 1::2]
            merged = first + second
            merged[0] = rows[0, upper::2]
            lost = (float(first[1].max()), float(second[1].max()))
        if upper:
            self.under += lost[0]
        else:
            self.over += lost[1]
        return merged
