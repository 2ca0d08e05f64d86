"""Brownian paths of all rows, drawn from counters.

The path of a row lives on cells of width dt, cell k from origin + k dt on. Its increment over a
cell is sqrt(dt) times one normal. Inside a cell it is a Brownian bridge between the cell's
ends, halved 16 times (a virtual Brownian tree: Li, Wong, Chen, Duvenaud (2020), Scalable
gradients for stochastic differential equations, AISTATS, sec. 4) and a straight line below
2^-16 of the cell, where its variance is short by at most 4e-6 dt. W(t) is thus a function of
time: wherever changes, knots and ends cut the steps, what the parts add up to stays the same.
An event is met on the straight line of its step, and the row goes on from there with W of its
time, so what the noise adds over that cell differs from W's by the order of its own increment.

Words of the Philox counter, lowest bits first; the key is the seed, low word first:

    0   cell (32 bits)
    1   row id, lower 32 bits
    2   node (16 bits), then row id, upper 16 bits
    3   stream (8 bits, 0: the noise of a model), then component // 2 (24 bits)

Node 0 is the increment of the cell. The tree numbers its midpoints as a heap: node 1 halves
the cell, nodes 2 j and 2 j + 1 halve the left and right part of what node j halved. Component
is the row in the stacked state vector, whether or not the states before it have noise. Of the
four words drawn, (0, 1) make the normal of an even component and (2, 3) of an odd one, by
``uniforms`` and ``normals`` of ``twinml.engines.normal``.
"""

from __future__ import annotations

import math
from typing import final

import torch
from torch import Tensor

from twinml.engines.normal import normals, uniforms
from twinml.engines.philox import WORD, philox4x32
from twinml.solve.path import NoisePath

LEVELS = 16  # halvings of a cell
MOST_IDS, MOST_CELLS, MOST_COMPONENTS = 2**48, 2**32, 2**25
_STREAM = 0
_SLACK = 2e-9  # share of a cell that is rounding of time: such a place is the cell's start
_AHEAD = 2**16  # normals drawn at a time: one torch call for many cells of few rows
_AT_ONCE = 2**21  # normals of bridges drawn at a time, which bounds the memory


@final
class BrownianPaths:
    """Increments of W over steps, for rows of one problem."""

    def __init__(self, path: NoisePath, width: int, noisy: list[int], last: Tensor) -> None:
        """``noisy`` lists the components (of ``width``) that have noise; ``last`` (B,) ends."""
        self.path, self.width = path, width
        device = path.ids.device
        self.noisy = torch.tensor(noisy, dtype=torch.int64, device=device)
        self.pairs = torch.unique(self.noisy // 2)
        # Where each noisy component lies among the drawn ones, two of a pair side by side.
        self.places = 2 * torch.searchsorted(self.pairs, self.noisy // 2) + self.noisy % 2
        seed = path.seed
        self.key = (seed & WORD, seed >> 32)
        self.cells = torch.ceil((last - path.origin) / path.dt).to(torch.int64) + 1
        self.ready = torch.zeros((0, 0, 0), dtype=torch.float64, device=device)
        self.where = torch.full(path.ids.shape, -1, dtype=torch.int64, device=device)
        self.base = torch.zeros_like(self.where)

    def increments(self, rows: Tensor, cell: Tensor, t: Tensor, t1: Tensor, ends: Tensor) -> Tensor:
        """W(t1) - W(t), (width, A), float64; zero for components without noise.

        Args:
            rows: Row numbers in the problem, (A,).
            cell: Cell of each step, (A,); a step lies in one cell.
            t, t1: Start and arrival, (A,).
            ends: Steps that arrive at the end of their cell, (A,) bool.
        """
        result = torch.zeros((self.width, rows.shape[0]), dtype=torch.float64, device=t.device)
        if self.noisy.shape[0] == 0:
            return result
        whole = math.sqrt(self.path.dt) * self._whole(rows, cell)
        begin = self.path.origin[rows] + cell.to(torch.float64) * self.path.dt
        low = (t - begin) / self.path.dt
        part = (~ends | (low > _SLACK)).nonzero()[:, 0]
        if part.shape[0]:
            high = torch.where(ends, 1.0, (t1 - begin) / self.path.dt)
            total, row, number = whole[:, part], rows[part], cell[part]
            after = self._inside(row, number, total, high[part])
            before = self._inside(row, number, total, low[part])
            whole = whole.index_copy(1, part, after - before)
        return result.index_copy(0, self.noisy, whole)

    def _inside(self, rows: Tensor, cell: Tensor, total: Tensor, place: Tensor) -> Tensor:
        """W inside a cell relative to its start, (m, P), at places (P,) from 0 to 1."""
        result = torch.where(place >= 1.0, total, 0.0)
        inner = ((place > _SLACK) & (place < 1.0)).nonzero()[:, 0]
        size = max(1, _AT_ONCE // (LEVELS * total.shape[0]))
        for some in inner.split(size):
            value = self._bridge(rows[some], cell[some], total[:, some], place[some])
            result = result.index_copy(1, some, value)
        return result

    def _bridge(self, rows: Tensor, cell: Tensor, total: Tensor, place: Tensor) -> Tensor:
        """W at places strictly inside a cell, (m, P)."""
        leaves = place * 2.0**LEVELS
        leaf = leaves.floor().clamp(max=2**LEVELS - 1).to(torch.int64)
        level = torch.arange(LEVELS, device=place.device)[:, None]
        nodes = (1 << level) + (leaf >> (LEVELS - level))
        draws = self._draw(rows, cell, nodes)
        left, right = torch.zeros_like(total), total
        for depth in range(LEVELS):
            spread = math.sqrt(self.path.dt * 2.0**-depth) / 2
            middle = 0.5 * (left + right) + spread * draws[depth]
            goes_right = ((leaf >> (LEVELS - 1 - depth)) & 1).bool()
            left = torch.where(goes_right, middle, left)
            right = torch.where(goes_right, right, middle)
        return left + (leaves - leaf) * (right - left)

    def _whole(self, rows: Tensor, cell: Tensor) -> Tensor:
        """Normals of whole cells, (m, A), from a stock drawn for some cells ahead."""
        at = self.where[rows]
        offset = cell - self.base[rows]
        if bool(((at < 0) | (offset >= self.ready.shape[0])).any()):
            self._restock(rows, cell)
            at, offset = self.where[rows], torch.zeros_like(cell)
        return self.ready[offset, :, at].T

    def _restock(self, rows: Tensor, cell: Tensor) -> None:
        left = int((self.cells[rows] - cell).max())
        count = max(1, min(left, _AHEAD // (2 * self.pairs.shape[0] * rows.shape[0])))
        numbers = cell + torch.arange(count, device=cell.device)[:, None]
        self.where.fill_(-1)
        self.where[rows] = torch.arange(rows.shape[0], device=rows.device)
        self.base[rows] = cell
        self.ready = self._draw(rows, numbers, torch.zeros_like(numbers))

    def _draw(self, rows: Tensor, cell: Tensor, node: Tensor) -> Tensor:
        """One normal per noisy component, (K, m, P), for (P,) rows and (K, P) counters."""
        ids = self.path.ids[rows]
        words = philox4x32(
            (
                cell.expand(node.shape)[:, None],
                (ids & WORD),
                (((ids >> 32) << 16) | node)[:, None],
                ((self.pairs << 8) | _STREAM)[:, None],
            ),
            self.key,
        )
        even, odd = uniforms(words[0], words[1]), uniforms(words[2], words[3])
        both = torch.stack([even, odd], dim=2)  # (K, pairs, 2, P)
        return normals(both.flatten(1, 2)[:, self.places])
