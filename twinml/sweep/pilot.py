"""A pilot: a few rows simulated and thrown away, to know what the rest will cost."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.sweep.task import KERNELS, Task

LONG_ENOUGH = 0.15  # seconds of a run whose time per row is to be believed
MOST_SECONDS = 0.5  # of a run that more rows may follow, where its time is mostly of the call
LEAST_ROWS = 64
# What one row of a block costs beside its columns: states, steps, arguments, numbers each of 8 B.
_WORKING = 24


@final
@dataclass(frozen=True)
class Cost:
    """What rows cost on one worker.

    Args:
        seconds: Per row, simulated and written.
        call: Seconds that each piece costs on top, however few its rows.
        draw: Seconds to draw a block, which a worker does once for all its pieces of it.
        base: Bytes of a worker before its first row.
        row: Bytes of memory per row of the piece in hand.
    """

    seconds: float
    call: float = 0.0
    base: float = 0.0
    row: float = 0.0
    draw: float = 0.0

    def memory(self, piece: int) -> float:
        """Bytes of one worker that holds pieces of so many rows."""
        return self.base + self.row * piece


def measure(task: Task, columns: int) -> Cost:
    """Run growing ranges of the sweep's first rows until one takes long enough to be measured."""
    from twinml.sweep.block import drawn_block, one_thread, simulate_blocks

    begin = time.perf_counter()
    with one_thread():
        drawn_block(task, 0)
    draw = time.perf_counter() - begin

    def run(rows: int) -> float:
        """Seconds of the first rows."""
        begin = time.perf_counter()
        for _ in simulate_blocks(task, 0, rows):
            pass
        return time.perf_counter() - begin

    most = min(task.samples, task.block)
    rows, before = min(LEAST_ROWS, most), (0, 0.0)
    taken = run(rows)
    if taken >= LONG_ENOUGH and task.settings.engine in KERNELS:
        taken = run(rows)  # full vectors and the ladder have kernels of their own, compiled by now
    while True:
        flat = taken < 2 * before[1] or before[0] == 0  # what the rows cost does not show yet
        if rows >= most or taken >= (MOST_SECONDS if flat else LONG_ENOUGH):
            break
        before = (rows, taken)
        # as many as the time calls for, and no leap that a slow first row would make costly
        leap = int(rows * LONG_ENOUGH / max(taken, 1e-6))
        rows = min(most, max((4 if flat else 2) * rows, min(16 * rows, leap)))
        taken = run(rows)
    slope = (taken - before[1]) / (rows - before[0])
    seconds = min(max(slope, 0.25 * taken / rows), taken / rows)
    states = task.model.declared.width
    return Cost(
        seconds=seconds + _WRITING * columns,
        call=max(0.0, taken - seconds * rows),
        base=resident(),
        row=8.0 * (2 * columns + 4 * states + _WORKING),
        draw=draw,
    )


# Seconds that a number costs to be written, measured for zstd on one core of 2020.
_WRITING = 1.5e-8


def resident() -> float:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return float(pages * os.sysconf("SC_PAGE_SIZE"))
