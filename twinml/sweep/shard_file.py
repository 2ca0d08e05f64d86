"""A shard's Parquet file, written a piece at a time so that memory does not grow with the shard."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.sweep.store import SHARDS, Store

if TYPE_CHECKING:
    from twinml.sweep.plan import Shard

GROUP_ROWS = 1 << 16  # rows of a row group: enough for a reader's speed, few enough to hold


def write_shard(
    store: Store,
    shard: Shard,
    pieces: Iterable[Mapping[str, np.ndarray]],
    units: Mapping[str, str],
) -> tuple[int, str]:
    """Put a shard's file in place.

    Args:
        pieces: Rows in order: name to values, the same names in each.
        units: Of the columns that have one.

    Returns:
        Bytes and sha256 of the file.
    """
    name = f"{SHARDS}/{shard.name}"
    with store.folder.writing(name) as file:
        _write(file, _grouped(pieces), units)
    with store.folder.open(name) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore
    size = store.folder.size(name)
    assert size is not None
    return size, digest


def _grouped(pieces: Iterable[Mapping[str, np.ndarray]]) -> Iterable[dict[str, np.ndarray]]:
    """Pieces put together to row groups of one size, whatever the blocks were."""
    held: list[Mapping[str, np.ndarray]] = []
    rows = 0
    for piece in pieces:
        held.append(piece)
        rows += len(next(iter(piece.values())))
        if rows >= GROUP_ROWS:
            yield _joined(held)
            held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(held: list[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    if len(held) == 1:
        return dict(held[0])
    return {name: np.concatenate([piece[name] for piece in held]) for name in held[0]}


def _write(file: Any, groups: Iterable[dict[str, np.ndarray]], units: Mapping[str, str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from twinml.data.table import SCHEMA

    writer = None
    try:
        for columns in groups:
            if writer is None:
                known = {name: units.get(name, "1") for name in columns}
                schema = pa.schema(
                    [(name, pa.from_numpy_dtype(values.dtype)) for name, values in columns.items()],
                    metadata={"schema": SCHEMA, "units": json.dumps(known)},
                )
                whole = [name for name, v in columns.items() if v.dtype.kind in "iu"]
                writer = pq.ParquetWriter(
                    file,
                    schema,
                    compression="zstd",
                    use_dictionary=False,
                    write_statistics=whole,  # pyright: ignore
                )
            arrays = [_array(values) for values in columns.values()]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=1 << 30)
    finally:
        if writer is not None:
            writer.close()


def _array(values: np.ndarray) -> Any:
    """An Arrow array over the same memory; ``pa.array`` would import pandas where it is there."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])
