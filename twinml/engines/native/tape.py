"""The steps of a run, kept for derivatives that follow them backward (``kernels/tape.h``).

Plain fixed steps keep states alone, at most as many as there will be steps. All other rows draw
chunks from one pool as they go; it is address space until a row writes to it. Where the states of
every step would take more than half of what is free, only those of every 2nd, 4th, ... are kept,
and the steps between are computed again.
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.native.launch import Launch
from twinml.engines.native.plan import Kernel
from twinml.engines.native.room import available
from twinml.engines.native.rows import RowState
from twinml.errors import OutOfMemoryError
from twinml.solve.kernel import KernelReport

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_longlong
CHUNK = 16  # TW_TAPE_CHUNK
# Chunks a row may draw, on average, before the run is taken again with what it turned out to need.
CHUNKS_A_ROW = 256
# The most steps from one kept state to the next, where steps are plain.
MOST = 1024
_UNTOLD = 2**31  # bytes, where the system does not say what is free
_BESIDE = 64  # rows beyond the last that a whole pack may write


class TapeView(ctypes.Structure):
    """``tw::Tape``."""

    _fields_ = [
        ("every", _COUNT), ("y", _POINTER), ("stride", _COUNT), ("chunks", _COUNT),
        ("next", _POINTER), ("taken", _POINTER), ("last", _POINTER), ("link", _POINTER),
        ("t", _POINTER), ("h", _POINTER),
    ]  # fmt: skip


@final
class Tape:
    """What a run writes down.

    Args:
        launch: The run.
        plain: Whether all rows take the same fixed steps.
        every: Steps from one kept state to the next, a power of two; None to plan it by what is
            free.

    Raises:
        OutOfMemoryError: there is not enough memory, however seldom states are kept.
    """

    def __init__(self, launch: Launch, plain: bool, every: int | None = None) -> None:
        self.launch, self.plain, self.asked = launch, plain, every
        self.view = TapeView()
        self.kept: list[Any] = []
        problem = launch.problem
        self.width, self.dtype = problem.y0.shape[0], problem.y0.dtype
        free = available()
        self.budget = _UNTOLD if free is None else free // 2
        self.taken = torch.zeros(0 if plain else problem.rows, dtype=torch.int64)
        launch.args.tape = ctypes.addressof(self.view)
        if plain:
            self._plan_plain()

    @property
    def every(self) -> int:
        return self.view.every

    def _empty(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        memory = torch.empty(shape, dtype=dtype or self.dtype)
        self.kept.append(memory)
        return memory

    def _plan_plain(self) -> None:
        problem = self.launch.problem
        assert problem.dt is not None
        span = abs(float(problem.t[-1] - problem.t[0]))
        steps = int(min(span / problem.dt, float(problem.max_steps))) + 2
        stride = problem.rows + _BESIDE
        every = self.asked or 1
        while self._plain_size(steps, every, stride) > self.budget and not self.asked:
            every *= 2
            if every > MOST:
                raise _full(self._plain_size(steps, MOST, stride), problem.rows)
        points = -(-steps // every)
        self.view.every, self.view.stride = every, stride
        self.view.y = self._empty(points, self.width, stride).data_ptr()

    def _plain_size(self, steps: int, every: int, stride: int) -> int:
        return -(-steps // every) * self.width * stride * self.dtype.itemsize

    def _chunk_size(self, every: int) -> int:
        size = self.dtype.itemsize
        return CHUNK * (8 + size) + CHUNK // every * self.width * size + 8

    def _plan_chunks(self, chunks: int | None) -> None:
        """A pool of so many chunks; None for as many as are likely to do."""
        rows = self.launch.problem.rows
        every = self.asked or 1
        if chunks is None:
            fewest = -(-self.launch.problem.max_steps // CHUNK)
            wanted = rows * min(CHUNKS_A_ROW, fewest)
            chunks = max(1, min(wanted, self.budget // self._chunk_size(every)))
        else:
            while chunks * self._chunk_size(every) > self.budget and not self.asked:
                every *= 2
                if every > CHUNK:
                    raise _full(chunks * self._chunk_size(CHUNK), rows)
        self.kept.clear()
        view, pair = self.view, () if self.dtype == torch.float64 else (2,)
        counter = torch.zeros(1, dtype=torch.int64)
        last = torch.full((rows,), -1, dtype=torch.int64)
        self.kept += [counter, last]
        self.counter = counter
        self.taken.zero_()
        view.every, view.chunks = every, chunks
        view.next, view.taken, view.last = (x.data_ptr() for x in (counter, self.taken, last))
        view.link = self._empty(chunks, dtype=torch.int64).data_ptr()
        view.t = self._empty(chunks, CHUNK, *pair).data_ptr()
        view.h = self._empty(chunks, CHUNK).data_ptr()
        view.y = self._empty(chunks, CHUNK // every, self.width).data_ptr()

    def run(self, kernel: Kernel) -> KernelReport:
        """Run all rows; once more only if the pool was too small, which the first run measured."""
        launch = self.launch
        if self.plain:
            return launch.run(kernel, None)
        before: RowState = launch.state.copy()
        self._plan_chunks(None)
        report = launch.run(kernel, None)
        needed = int(self.counter)
        if needed > self.view.chunks:
            launch.state.restore(before)
            self._plan_chunks(needed)
            report = launch.run(kernel, None)
        return report


def _full(size: int, rows: int) -> OutOfMemoryError:
    return OutOfMemoryError(
        f"The steps of {rows} rows, kept for their gradient, take {math.ceil(size / 2**20)} MiB, "
        "more than half of the memory that is free. Simulate fewer rows at once and add up their "
        "gradients, loosen rtol, or use torch.no_grad() where no gradient is needed."
    )
