"""The plan of a sweep: which rows, in which shards, at what cost, before any is computed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from twinml.errors import ArgumentError

if TYPE_CHECKING:
    from twinml.sweep.pilot import Cost

MOST_SHARDS = 10_000  # each is a file and a line of the ledger
SHARD_BYTES = 128 * 2**20  # of a file, so that one is read whole in little memory
# Seconds that a shard should take a worker: long against the millisecond that its file costs,
# short against what a kill may lose; and so many shards for each worker that all end together.
LEAST_SECONDS, MOST_SECONDS, SHARDS_PER_WORKER = 1.0, 20.0, 8
# Of the columns: floats hardly compress, whole numbers nearly vanish.
NUMBER_BYTES, WHOLE = 8, 3  # sample, status and rung


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
        block: Rows drawn together.
        columns: Columns of the table.
        engine: What will compute.
        workers: How many at once; it changes nothing but the time.
        kernel: Digest of the kernel, "" where there is none.
        executor: Its name.
        seconds: Until the last missing row is stored, by the pilot's measure.
        memory: Bytes that one worker holds.
        bytes: Of the whole table on disk.
    """

    samples: int
    shards: tuple[Shard, ...]
    shard_size: int
    block: int
    columns: int
    engine: str
    workers: int
    kernel: str = ""
    executor: str = "local"
    seconds: float = 0.0
    memory: float = 0.0
    bytes: float = 0.0

    @property
    def missing(self) -> int:
        """Rows still to be computed."""
        return sum(len(shard) for shard in self.shards)

    @property
    def text(self) -> str:
        """One line for a person: what, how long, and what it takes."""
        count, done = len(self.shards), self.samples - self.missing
        size = min(self.shard_size, self.missing)
        kernel = f"kernel {self.kernel[:6]} on {self.engine}" if self.kernel else self.engine
        head = (
            f"{count} shard{'s' * (count != 1)} x {size:,} samples, {kernel}, "
            f"about {shown_time(self.seconds)}"
            if count
            else f"nothing is missing of {self.samples:,} samples"
        )
        before = f"{done:,} of {self.samples:,} samples are done; " if done and count else ""
        workers = f"{self.workers} {self.executor} worker{'s' * (self.workers != 1)}"
        return (
            f"{before}{head}; {workers} of {shown_bytes(self.memory)} each, "
            f"table of {shown_bytes(self.bytes)}"
        )


@final
@dataclass(frozen=True)
class Shape:
    """What of a sweep decides how it can be cut.

    Args:
        samples: Rows of the whole sweep.
        columns: Of the table.
        block: Rows drawn together; unit: rows at whose multiples it may be cut.
        engine, kernel: What computes.
    """

    samples: int
    columns: int
    block: int
    unit: int
    engine: str
    kernel: str = ""


def draft(
    shape: Shape,
    done: Iterable[Shard],
    cost: Cost,
    workers: int,
    shard_size: int | None = None,
    executor: str = "local",
    startup: float = 0.0,
    seconds: float | None = None,
) -> Plan:
    """The plan for what is missing; also for machines that are not here, by another's cost.

    Args:
        workers: That compute at once.
        shard_size: Rows per file; None to go by the cost.
        startup: Seconds until the first row of a worker that has company.
        seconds: Until the deadline.
    """
    done = list(done)
    missing = shape.samples - sum(len(shard) for shard in done)
    size = shard_rows(missing, shape.columns, shape.unit, shard_size, cost, workers, seconds)
    shards = missing_shards(shape.samples, done, size)
    workers = max(1, min(workers, len(shards)))
    startup = startup if workers > 1 else 0.0
    return Plan(
        samples=shape.samples, shards=shards, shard_size=size, block=shape.block,
        columns=shape.columns, engine=shape.engine, workers=workers, kernel=shape.kernel,
        executor=executor, seconds=estimate(shards, cost, workers, shape.block, startup),
        memory=cost.memory(min(shape.block, size)),
        bytes=float(NUMBER_BYTES * (shape.columns - WHOLE) * shape.samples),
    )  # fmt: skip


def shard_rows(
    missing: int,
    columns: int,
    unit: int,
    shard_size: int | None,
    cost: Cost | None = None,
    workers: int = 1,
    seconds: float | None = None,
) -> int:
    """Rows per shard, a whole number of units.

    Args:
        missing: Rows to compute.
        unit: Rows at whose multiples the sweep may be cut.
        shard_size: The user's wish, rounded up; None to go by the cost.
        cost: Of a row; without it by the size of the file alone.
        seconds: Until the deadline; several shards should end before it.

    Raises:
        ArgumentError: ``shard_size`` is not a positive whole number.
    """
    if shard_size is not None:
        if isinstance(shard_size, bool) or not isinstance(shard_size, int) or shard_size < 1:
            raise ArgumentError(
                f"shard_size is {shard_size!r}; expected a whole number of rows, at least 1."
            )
        return -(-shard_size // unit) * unit
    most = max(unit, SHARD_BYTES // (NUMBER_BYTES * columns))
    wanted = most
    if cost is not None and cost.seconds > 0:
        total = cost.seconds * missing
        each = min(max(total / (workers * SHARDS_PER_WORKER), LEAST_SECONDS), MOST_SECONDS)
        if seconds is not None:
            each = min(each, max(0.25, 0.1 * seconds))
        wanted = min(most, int(each / cost.seconds))
    wanted = max(1, wanted, -(-missing // MOST_SHARDS))
    # shards of one size, rather than a small one at the end
    count = -(-missing // wanted)
    if count > 1:  # and as many for each worker
        count = -(-count // workers) * workers
    return max(1, -(-missing // max(1, count * unit))) * unit


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


def estimate(
    shards: Sequence[Shard], cost: Cost, workers: int, block: int, startup: float = 0.0
) -> float:
    """Seconds until the last of the shards is stored.

    The longest worker's share of the rows and of the calls, one for each block that a shard lies
    in, after the workers have come up. Of the blocks it draws each once, even where others do too.
    """
    if not shards:
        return 0.0
    calls = sum(-(-shard.stop // block) - shard.start // block for shard in shards)
    rows = sum(len(shard) for shard in shards)
    at_once = min(workers, len(shards))
    blocks = -(-shards[-1].stop // block) - shards[0].start // block
    draws = min(calls / at_once, blocks) * cost.draw
    return startup + (rows * cost.seconds + calls * cost.call) / at_once + draws


def shown_time(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min``, ``1 h 20 min``, ``2 days``."""
    if seconds < 0.95:
        return f"{max(seconds, 0.1):.1f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    if seconds < 5970:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        hours, minutes = divmod(round(seconds / 60), 60)
        return f"{hours} h {minutes} min"
    return f"{seconds / 86_400:.0f} days"


def shown_bytes(size: float) -> str:
    """``12 kB``, ``95 MB``, ``1.2 GB``, ``24 TB``."""
    units = ["kB", "MB", "GB", "TB"]
    size /= 1000.0
    while size >= 999.5 and len(units) > 1:
        size /= 1000.0
        del units[0]
    return f"{size:.1f} {units[0]}" if size < 9.95 else f"{size:,.0f} {units[0]}"
