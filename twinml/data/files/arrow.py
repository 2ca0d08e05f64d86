"""Parquet files and dataframes, by way of Arrow."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.header import split_header
from twinml.errors import ArgumentError, DataError


def read_parquet(data: bytes, source: str, digest: str) -> Columns:
    """The columns of a Parquet file; units come from its metadata or its names.

    Raises:
        DataError: not a Parquet file, or one without rows.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
    except (pa.ArrowException, OSError) as error:
        first = str(error).splitlines()[0]
        raise DataError(
            f"{source} cannot be read as a Parquet file ({first}). It is damaged, unfinished or of "
            "another format."
        ) from None
    return _columns(table, source, digest)


def read_frame(frame: Any, source: str) -> Columns:
    """The columns of a pandas or polars dataframe or an Arrow table; an index is a column.

    Raises:
        ArgumentError: not a dataframe.
        DataError: repeated names, no rows.
    """
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return _columns(frame, source, "")
    if hasattr(frame, "reset_index"):
        frame = _with_index(frame)
        names = [str(name) for name in frame.columns]
        _unique(names, source)
        arrays = [_array(frame.iloc[:, index]) for index in range(len(names))]
        return _columns(pa.table(dict(zip(names, arrays, strict=True))), source, "")
    if hasattr(frame, "__arrow_c_stream__") or hasattr(frame, "to_arrow"):
        return _columns(
            frame.to_arrow() if hasattr(frame, "to_arrow") else pa.table(frame), source, ""
        )
    raise ArgumentError(
        f"from_frame was given a {type(frame).__name__}; expected a pandas or polars dataframe or "
        "an Arrow table. For arrays use tw.Record(time, columns, units)."
    )


def index_name(frame: Any) -> str | None:
    """The column that a frame's datetime index becomes, or None."""
    index = getattr(frame, "index", None)
    if type(index).__name__ != "DatetimeIndex":
        return None
    name = getattr(index, "name", None)
    return "index" if name is None else str(name)


def _with_index(frame: Any) -> Any:
    if type(frame.index).__name__ == "RangeIndex":
        return frame
    return frame.reset_index()


def _array(series: Any) -> Any:
    import pyarrow as pa

    if getattr(series.dtype, "tz", None) is not None:
        utc = pa.array(series.dt.tz_convert(None), from_pandas=True)
        return utc.cast(pa.timestamp(utc.type.unit, "UTC"))
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError):  # cells of more than one type
        return pa.array(["" if cell is None else str(cell) for cell in series])


def _unique(names: list[str], source: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(f"{source} names column {repeated} twice; give each its own name.")


def _columns(table: Any, source: str, digest: str) -> Columns:
    _unique(list(table.column_names), source)
    if table.num_rows == 0:
        raise DataError(f"{source} has columns and no rows; expected at least one row of values.")
    stated = _stated_units(table.schema.metadata or {})
    columns, unread = {}, {}
    for name, field in zip(table.column_names, table.schema, strict=True):
        own = (field.metadata or {}).get(b"unit", b"").decode() or stated.get(name)
        made = _column(name, table[name], own or split_header(name)[1])
        if isinstance(made, str):
            unread[name] = made
        else:
            columns[name] = made
    notes = [f"left out: {name} {why}" for name, why in unread.items()]
    return Columns(
        source, columns, table.num_rows, notes=tuple(notes), unread=unread, digest=digest
    )


def _column(name: str, values: Any, unit: str | None) -> Column | str:
    """A column, or the reason why it cannot be read."""
    import pyarrow as pa
    import pyarrow.types as kinds

    values = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    type_ = values.type
    if kinds.is_dictionary(type_):
        values = values.cast(type_.value_type)
        type_ = values.type
    if kinds.is_timestamp(type_) or kinds.is_date(type_):
        zoned = kinds.is_timestamp(type_) and type_.tz is not None
        stamps = values.cast(pa.timestamp("ns", "UTC" if zoned else None), safe=False)
        cells = stamps.to_numpy(zero_copy_only=False).astype("datetime64[ns]")
        return Column(name, cells, None, zoned)
    if kinds.is_duration(type_):
        seconds = values.cast(pa.duration("ns"), safe=False).cast(pa.int64())
        return Column(name, _floats(seconds) / 1e9, "s")
    if kinds.is_integer(type_) or kinds.is_floating(type_):
        return Column(name, _floats(values), unit)
    if kinds.is_boolean(type_) or kinds.is_decimal(type_):
        return Column(name, _floats(values.cast(pa.float64(), safe=False)), unit)
    if kinds.is_string(type_) or kinds.is_large_string(type_) or kinds.is_string_view(type_):
        return Column(name, ["" if cell is None else cell for cell in values.to_pylist()], unit)
    if kinds.is_null(type_):
        return Column(name, np.full(len(values), np.nan), unit)
    return f"is of type {type_}; expected numbers, texts or timestamps"


def _floats(values: Any) -> np.ndarray:
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.float64)


def _stated_units(metadata: dict[bytes, bytes]) -> dict[str, str]:
    """Units that a table of ours carries beside its columns."""
    try:
        found = json.loads(metadata.get(b"units", b"{}"))
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}
