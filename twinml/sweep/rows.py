"""A sweep's rows in sample order, a bounded number at a time, whatever the shards."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.errors import ArgumentError, IntegrityError

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.sweep.store import ShardReport, Store

CHUNK = 1 << 16  # rows taken in together: fixed, so that sums are formed the same way in any cut


def read_rows(
    store: Store, reports: Sequence[ShardReport], start: int, stop: int, size: int = CHUNK
) -> Iterator[Table]:
    """Rows ``start`` to ``stop`` in tables of ``size`` rows, the last one shorter.

    Every shard is checked against its fingerprint before its first row is given out.

    Args:
        reports: Finished shards in sample order that cover the range.
    """

    def within() -> Iterator[Table]:
        for report in reports:
            position = report.start
            if report.stop <= start or position >= stop:
                continue
            for part in _batches(store, report, size):
                first, last = max(start - position, 0), min(stop - position, len(part))
                position += len(part)
                if first < last:
                    yield part.rows(slice(first, last))

    return rechunked(within(), size)


def pick_rows(
    store: Store, reports: Sequence[ShardReport], samples: np.ndarray, size: int = CHUNK
) -> Table:
    """The rows of some samples, in the order they are named; other shards are not read."""
    found = []
    for report in reports:
        inside = samples[(samples >= report.start) & (samples < report.stop)]
        if len(inside):
            for part in read_rows(store, [report], int(inside.min()), int(inside.max()) + 1, size):
                found.append(part.rows(np.isin(part["sample"], inside)))
    table = joined(found)
    return table.rows(np.searchsorted(table["sample"], samples))


def rechunked(tables: Iterable[Table], size: int = CHUNK) -> Iterator[Table]:
    """The same rows in tables of ``size`` rows, the last one shorter."""
    held: list[Table] = []
    count = 0
    for table in tables:
        start = 0
        while start < len(table):
            take = min(size - count, len(table) - start)
            held.append(table.rows(slice(start, start + take)))
            start, count = start + take, count + take
            if count == size:
                yield joined(held)
                held, count = [], 0
    if held:
        yield joined(held)


def joined(parts: Sequence[Table]) -> Table:
    """Tables of the same columns, one below the other."""
    from twinml.data.table import Table

    if len(parts) == 1:
        return parts[0]
    names = parts[0].names
    columns = {name: np.concatenate([part[name] for part in parts]) for name in names}
    return Table(columns, parts[0].units)


def check_range(start: Any, stop: Any, done: int, samples: int) -> None:
    """Refuses rows that are not there.

    Raises:
        ArgumentError: No such range, or rows that are not finished.
    """
    whole = all(isinstance(x, int | np.integer) and not isinstance(x, bool) for x in (start, stop))
    if not whole or not 0 <= start <= stop:
        raise ArgumentError(
            f"rows({start!r}, {stop!r}) is no range; expected whole numbers, 0 <= start <= stop."
        )
    if stop > done:
        raise ArgumentError(
            f"rows({start}, {stop}) reaches beyond the finished part of the sweep, samples 0 to "
            f"{done:,} of {samples:,}. Ask for fewer, or resume the sweep."
        )


def write_parquet(chunks: Iterable[Table], path: Any) -> None:
    """One Parquet file of all rows, whole or absent; a row group per chunk."""
    import pyarrow.parquet as pq

    from twinml.data.atomic import replacing

    with replacing(path) as temporary:
        writer = None
        try:
            for chunk in chunks:
                arrow = chunk.to_arrow()
                writer = writer or pq.ParquetWriter(temporary, arrow.schema)
                writer.write_table(arrow)
        finally:
            if writer is not None:
                writer.close()


def _batches(store: Store, report: ShardReport, size: int) -> Iterator[Table]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from twinml.data.table import Table

    path = store.shard_path(report.shard)
    with store.open_shard(report.shard) as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != report.sha256:
            raise IntegrityError(
                f"{path} is not what the sweep wrote (its sha256 differs from the ledger's). "
                "Resume the sweep; only its rows are computed again."
            )
        file.seek(0)
        with pq.ParquetFile(file) as rows:
            metadata = rows.schema_arrow.metadata
            for batch in rows.iter_batches(size):
                arrow = pa.Table.from_batches([batch]).replace_schema_metadata(metadata)
                yield Table.from_arrow(arrow, origin=str(path))
