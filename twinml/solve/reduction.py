"""What is kept of a quantity over many rows, where the rows themselves are not.

Rows are cut into blocks of ``BLOCK`` by their number. A block's moments are sums in a fixed order,
and blocks are joined in a fixed order, so the bits do not depend on threads, chunks or lanes; what
is counted is exact anyway. Parts of the rows, wherever they are cut, merge to the bits of the
whole: a part keeps the values of the blocks that it has not whole.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, final

import torch
from torch import Tensor

from twinml.errors import ArgumentError
from twinml.solve.moments import BLOCK, block_moments, joined


@final
@dataclass(frozen=True)
class Reduction:
    """What to count of a quantity, besides its moments and extremes.

    Args:
        edges: Rising edges of histogram bins, in the quantity's unit; () for no histogram. A value
            on an edge belongs to the bin above it, the last edge to the last bin, as in
            ``numpy.histogram``.
        thresholds: Values whose exceedance is counted: rows with a value above each.

    Raises:
        ArgumentError: edges or thresholds are no numbers, or edges do not rise.
    """

    edges: Sequence[float] = ()
    thresholds: Sequence[float] = ()

    def __post_init__(self) -> None:
        for name in ("edges", "thresholds"):
            values = _numbers(name, getattr(self, name))
            object.__setattr__(self, name, values)
        if len(self.edges) == 1 or any(
            not low < high for low, high in zip(self.edges, self.edges[1:], strict=False)
        ):
            raise ArgumentError(
                f"edges={list(self.edges)}; expected at least two numbers that rise, the bounds of "
                "the bins."
            )


@final
@dataclass(frozen=True, eq=False)
class Reduced:
    """One quantity over rows ``first`` to ``first + rows - 1``.

    Failed rows count in ``failed`` alone, other rows without a number in ``missing``. An infinite
    value, as of a ``first_time`` that never came, counts in histogram and exceedances and, as
    such, in ``infinite``; moments and extremes are those of the finite values.

    Args:
        reduction: What was asked for.
        first: Number of the first row; rows: how many there are.
        failed: Rows whose simulation failed.
        missing: Good rows whose value is nan.
        infinite: Good rows whose value is infinite.
        bins: Rows below the first edge, in each bin, and above the last edge, (bins + 2,) int64.
        exceeded: Rows above each threshold, (thresholds,) int64.
        minimum, maximum: Of the finite values; nan where there are none.
        head, tail: Values of the rows before the first and after the last whole block.
        blocks: Moments of each whole block, (K, 4), as ``block_moments`` gives them.
    """

    reduction: Reduction
    first: int
    rows: int
    failed: int
    missing: int
    infinite: int
    bins: Tensor
    exceeded: Tensor
    minimum: float
    maximum: float
    head: Tensor = field(repr=False)
    blocks: Tensor = field(repr=False)
    tail: Tensor = field(repr=False)

    @property
    def count(self) -> int:
        """Rows with a finite value."""
        return self.rows - self.failed - self.missing - self.infinite

    @property
    def mean(self) -> float:
        """Mean of the finite values; nan where there are none."""
        return self._moments[1]

    @property
    def variance(self) -> float:
        """Variance of the finite values, with count - 1; nan below two of them."""
        count, _, squares = self._moments
        return squares / (count - 1.0) if count > 1.0 else math.nan

    @property
    def std(self) -> float:
        """Root of ``variance``."""
        return math.sqrt(self.variance)

    @property
    def histogram(self) -> Tensor:
        """Rows in each bin, (bins,) int64."""
        return self.bins[1:-1]

    @property
    def below(self) -> int:
        """Rows below the first edge."""
        return int(self.bins[0])

    @property
    def above(self) -> int:
        """Rows above the last edge."""
        return int(self.bins[-1])

    @cached_property
    def _moments(self) -> tuple[float, float, float]:
        """Count, mean and sum of squared deviations, all blocks joined."""
        parts = [block_moments(v) if v.shape[0] else v.new_empty((0, 4))
                 for v in (self.head, self.tail)]  # fmt: skip
        count, mean, rest, squares = joined(torch.cat([parts[0], self.blocks, parts[1]])).tolist()
        return count, mean + rest if count else math.nan, squares

    def merge(self, following: Reduced) -> Reduced:
        """This part and the one that follows it; the bits are those of both reduced at once.

        Raises:
            ArgumentError: the parts count different things, or rows lie between them.
        """
        if self.reduction != following.reduction:
            raise ArgumentError(
                "The parts were reduced with different edges or thresholds; expected the same."
            )
        if following.first != self.first + self.rows:
            raise ArgumentError(
                f"A part that ends before row {self.first + self.rows} is to be merged with one "
                f"that begins at row {following.first}; expected the rows that follow it. Merge "
                "parts in the order of their rows."
            )
        return replace(
            self,
            rows=self.rows + following.rows,
            failed=self.failed + following.failed,
            missing=self.missing + following.missing,
            infinite=self.infinite + following.infinite,
            bins=self.bins + following.bins,
            exceeded=self.exceeded + following.exceeded,
            minimum=lesser(self.minimum, following.minimum),
            maximum=-lesser(-self.maximum, -following.maximum),
            **self._seam(following),
        )

    def _seam(self, following: Reduced) -> dict[str, Tensor]:
        """Head, blocks and tail where two parts meet, perhaps inside a block."""
        whole = self.first + self.head.shape[0]
        closed = whole % BLOCK == 0  # the head, which may be empty, ends at a block's end
        left = self.tail if closed else self.head
        between = torch.cat([left, following.head])
        begin = following.first - left.shape[0]
        ends = (begin + between.shape[0]) % BLOCK == 0
        if not closed:
            # No whole block yet: what lies between is still the head.
            return {"head": between, "blocks": following.blocks, "tail": following.tail}
        if ends and between.shape[0]:
            block = block_moments(between)
            return {"blocks": torch.cat([self.blocks, block, following.blocks]),
                    "tail": following.tail}  # fmt: skip
        if between.shape[0]:
            return {"tail": between}
        return {"blocks": torch.cat([self.blocks, following.blocks]), "tail": following.tail}


def reduce_values(
    reduction: Reduction,
    values: Tensor,
    failed: Tensor,
    first: int = 0,
) -> Reduced:
    """A quantity of some rows, reduced.

    Args:
        reduction: What is counted.
        values: (B,), one number per row.
        failed: (B,) bool, rows whose simulation failed.
        first: Number of the first row among all rows, which fixes the blocks.
    """
    values = values.detach().to(torch.float64)
    values = torch.where(failed, torch.nan, values)
    finite = torch.isfinite(values)
    lost, number = int(failed.sum()), values[~torch.isnan(values)]
    plain = torch.where(finite, values, torch.nan)
    cut = min((-first) % BLOCK, values.shape[0])
    whole = cut + (values.shape[0] - cut) // BLOCK * BLOCK
    some = bool(finite.any())
    return Reduced(
        reduction=reduction, first=first, rows=values.shape[0], failed=lost,
        missing=values.shape[0] - lost - number.shape[0],
        infinite=int(torch.isinf(number).sum()),
        bins=_bins(reduction, number),
        exceeded=torch.stack([(number > t).sum() for t in reduction.thresholds]).cpu()
        if reduction.thresholds else torch.zeros(0, dtype=torch.int64),
        # -0.0 and 0.0 are one extreme
        minimum=float(values[finite].min() + 0.0) if some else math.nan,
        maximum=float(values[finite].max() + 0.0) if some else math.nan,
        head=plain[:cut].cpu().clone(),
        blocks=block_moments(plain[cut:whole]).cpu(),
        tail=plain[whole:].cpu().clone(),
    )  # fmt: skip


def _bins(reduction: Reduction, number: Tensor) -> Tensor:
    if not reduction.edges:
        return torch.zeros(2, dtype=torch.int64)
    edges = torch.tensor(reduction.edges, dtype=torch.float64, device=number.device)
    place = torch.bucketize(number, edges, right=True)
    place = torch.where(number == edges[-1], edges.shape[0] - 1, place)
    return torch.bincount(place, minlength=edges.shape[0] + 1).cpu()


def lesser(one: float, other: float) -> float:
    """The lesser number; nan stands for none."""
    if math.isnan(one) or math.isnan(other):
        return other if math.isnan(one) else one
    return min(one, other)


def _numbers(name: str, values: Any) -> tuple[float, ...]:
    try:
        found = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        found = (math.nan,)
    if not all(math.isfinite(value) for value in found):
        raise ArgumentError(f"{name}={values!r}; expected finite numbers, such as [0.5, 1.0].")
    return found
