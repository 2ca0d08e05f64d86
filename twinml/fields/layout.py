"""In which order a field kernel goes through memory, and tensors that suit it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

from torch import Tensor

# Fewer rows than this do not fill the lanes of a pack.
_LEAST_ROWS = 8
# Cells a sum of coefficients runs over before it is written: the order of sums depends on nothing
# but these and the layout.
_TILE_ALONG_CELLS, _TILE_ALONG_ROWS = 8192, 64
# On a GPU a tile is one block's or one thread's: smaller, so that there are enough of them.
_GPU_TILE_ALONG_CELLS, _GPU_TILE_ALONG_ROWS = 1024, 16


@final
@dataclass(frozen=True)
class Layout:
    """Rows, cells, and whether neighbouring rows or neighbouring cells lie side by side.

    Args:
        rows: B.
        shape: Cells along x and y.
        along_rows: Whether rows lie side by side, as the states of a simulation do.
        gpu: Whether they lie on one.
    """

    rows: int
    shape: tuple[int, int]
    along_rows: bool
    gpu: bool = False

    @classmethod
    def of(cls, fields: Sequence[Tensor], shape: tuple[int, int]) -> Layout:
        """The order that most of the fields (B, cells) are in."""
        rows = fields[0].shape[0]
        votes = 0
        for field in fields:
            if field.stride(0) != 0 and field.shape[1] > 1 and rows > 1:
                votes += 1 if field.stride(0) == 1 and field.stride(1) != 1 else -1
        along_rows = votes > 0 and rows >= _LEAST_ROWS
        return cls(rows, shape, along_rows, fields[0].device.type == "cuda")

    @property
    def cells(self) -> int:
        return self.shape[0] * self.shape[1]

    @property
    def tile(self) -> int:
        if self.gpu:
            return _GPU_TILE_ALONG_ROWS if self.along_rows else _GPU_TILE_ALONG_CELLS
        return _TILE_ALONG_ROWS if self.along_rows else _TILE_ALONG_CELLS

    @property
    def tiles(self) -> int:
        return -(-self.cells // self.tile)

    def suited(self, field: Tensor) -> Tensor:
        """A field (B, cells) in this order, copied where it is in another."""
        if self.along_rows:
            if field.stride(0) in (0, 1):  # 0: shared by all rows
                return field
            return field.T.contiguous().T
        return field if field.shape[1] == 1 or field.stride(1) == 1 else field.contiguous()

    def dense(self, field: Tensor) -> Tensor:
        """The same, and with a place of its own for every number."""
        return field.T.contiguous().T if self.along_rows else field.contiguous()

    def empty(self, like: Tensor) -> Tensor:
        """Room for a result, (B, cells)."""
        if self.along_rows:
            return like.new_empty((self.cells, self.rows)).T
        return like.new_empty((self.rows, self.cells))
