"""The plan of a sweep: which rows, in which shards, before any of them is computed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.errors import ArgumentError

SHARD_BLOCKS = 2  # small enough to share out among workers, large enough for a Parquet file
MOST_SHARDS = 4096
SHARD_BYTES = 256 * 2**20  # what a worker holds of one shard


@final
@dataclass(frozen=True, order=True)
class Shard:
    """Samples ``start`` to ``stop`` in one file."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    @property
    def name(self) -> str:
        """File name; names sort as the samples do."""
        return f"{self.start:012d}.parquet"


@final
@dataclass(frozen=True)
class Plan:
    """What will be computed.

    Args:
        samples: Rows of the whole sweep.
        shards: What is missing of them, in order.
        shard_size: Rows of a full shard.
        block: Rows simulated together.
        columns: Columns of the table.
        engine: What will compute, in words.
        workers: Processes; it changes nothing but the time.
    """

    samples: int
    shards: tuple[Shard, ...]
    shard_size: int
    block: int
    columns: int
    engine: str
    workers: int

    @property
    def missing(self) -> int:
        """Rows still to be computed."""
        return sum(len(shard) for shard in self.shards)

    @property
    def text(self) -> str:
        """One line for a person."""
        count = len(self.shards)
        done = self.samples - self.missing
        size = 8 * self.columns * self.samples / 2**20
        return (
            f"{self.samples:,} samples"
            + (f", {done:,} of them done" if done else "")
            + f": {count} shard{'s' * (count != 1)} of up to {self.shard_size:,} on {self.engine}, "
            f"{self.workers} worker{'s' * (self.workers != 1)}, table about {max(size, 0.1):.1f} MB"
        )


def check_room(rows: int, columns: int, path: Path) -> None:
    """Refuses a table that the disk cannot hold, before the work that would be lost.

    Raises:
        ArgumentError: with the size of the table and the room there is.
    """
    size = 8 * columns * rows
    path = path.absolute()
    there = next(folder for folder in (path, *path.parents) if folder.is_dir())
    free = shutil.disk_usage(there).free
    if size > free:
        raise ArgumentError(
            f"samples={rows:,} would give a table of {size / 1e9:,.0f} GB; the disk of {there} has "
            f"{free / 1e9:,.0f} GB free. Ask for fewer samples, or name a folder on a larger disk "
            "with out=."
        )


def shard_rows(samples: int, columns: int, block: int, shard_size: int | None) -> int:
    """Rows per shard, a whole number of blocks, whatever the number of workers.

    Raises:
        ArgumentError: ``shard_size`` is not a positive whole number.
    """
    if shard_size is None:
        least = -(-samples // MOST_SHARDS)
        most = max(block, SHARD_BYTES // (8 * columns))
        shard_size = min(max(SHARD_BLOCKS * block, least), most)
    if isinstance(shard_size, bool) or not isinstance(shard_size, int) or shard_size < 1:
        raise ArgumentError(f"shard_size is {shard_size!r}; expected a whole number of rows.")
    return -(-shard_size // block) * block


def missing_shards(samples: int, done: Iterable[Shard], size: int) -> tuple[Shard, ...]:
    """Shards that cover what ``done`` does not, cut at multiples of ``size``."""
    shards: list[Shard] = []
    position = 0
    for finished in [*sorted(done), Shard(samples, samples)]:
        while position < finished.start:
            end = min(finished.start, (position // size + 1) * size)
            shards.append(Shard(position, end))
            position = end
        position = max(position, finished.stop)
    return tuple(shards)
