"""Moments of blocks of rows, in one order of arithmetic for every engine.

A block is ``BLOCK`` values, read as 32 columns: value i belongs to column i mod 32. Every column is
summed from top to bottom, then the columns pairwise: 16 and 16, 8 and 8, and so on. The mean comes
first, then squared deviations from it, corrected for what the mean was off by (Chan, Golub, LeVeque
1983, The American Statistician 37, eq. 1.7); blocks are joined pairwise by their eq. 2.1. A mean is
kept as two numbers that add up to it: rounded to one it would spoil the variance of values that
differ little from one another.
``kernels/reduce.h`` is the same text for kernels, and gives the same bits.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 1024
COLUMNS = 32


def block_moments(values: Tensor) -> Tensor:
    """Count, mean (two numbers) and sum of squared deviations of each block, (K, 4) float64.

    Args:
        values: (B,), float64; nan counts as nothing. A last block may be shorter.
    """
    blocks = -(-values.shape[0] // BLOCK)
    if blocks * BLOCK != values.shape[0]:
        missing = blocks * BLOCK - values.shape[0]
        values = torch.cat([values, values.new_full((missing,), torch.nan)])
    cells = values.view(blocks, BLOCK // COLUMNS, COLUMNS)
    there = ~torch.isnan(cells)
    count = there.sum((1, 2)).to(torch.float64)
    some = count.clamp(min=1.0)
    mean = _sum(torch.where(there, cells, 0.0)) / some
    away = torch.where(there, cells - mean[:, None, None], 0.0)
    off = _sum(away)
    squares = _sum(away * away) - off * off / some
    return torch.stack([count, mean, off / some, squares], dim=1)


def _sum(cells: Tensor) -> Tensor:
    """Sums of blocks (K, rows, columns): down the columns, then the columns pairwise."""
    total = cells[:, 0].clone()
    for row in range(1, cells.shape[1]):
        total += cells[:, row]
    while total.shape[1] > 1:
        half = total.shape[1] // 2
        total = total[:, :half] + total[:, half:]
    return total[:, 0]


def joined(blocks: Tensor) -> Tensor:
    """The same four numbers of all blocks (K, 4) together: neighbours first, then pairs."""
    if blocks.shape[0] == 0:
        return torch.zeros(4, dtype=torch.float64)
    while blocks.shape[0] > 1:
        even = blocks.shape[0] // 2 * 2
        left, right = blocks[:even:2].unbind(1), blocks[1:even:2].unbind(1)
        count = left[0] + right[0]
        share = right[0] / count.clamp(min=1.0)
        both = (left[0] > 0) & (right[0] > 0)
        apart = torch.where(both, (right[1] - left[1]) + (right[2] - left[2]), 0.0)
        # Of an empty block the other's mean counts.
        mean = torch.where(left[0] > 0, left[1], right[1])
        rest = torch.where(left[0] > 0, left[2], right[2]) + apart * share
        squares = left[3] + right[3] + apart * apart * share * left[0]
        pairs = torch.stack([count, mean, rest, squares], dim=1)
        blocks = torch.cat([pairs, blocks[even:]])
    return blocks[0]
