"""Columns of a user's own file of samples."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from twinml.errors import DataError, nearest


@lru_cache(maxsize=8)
def _read(path: str, modified: int) -> Any:
    from pyarrow import ArrowException

    try:
        if path.endswith(".csv"):
            from pyarrow.csv import read_csv

            return read_csv(path)
        from pyarrow.parquet import ParquetFile

        with ParquetFile(path) as file:
            return file.read()
    except ArrowException as error:
        raise DataError(f"{path} cannot be read as CSV or Parquet: {error}.") from None


def read_column(path: str, column: str) -> np.ndarray:
    """A numeric column of a .csv or Parquet file, shape (rows,), float64.

    Raises:
        DataError: No such file or column, no rows, or values that are not finite numbers.
    """
    if not Path(path).is_file():
        raise DataError(
            f"There is no file at {path}, which a table distribution of the scenario reads. Give a "
            "CSV or Parquet file; paths are relative to the working directory."
        )
    table = _read(path, Path(path).stat().st_mtime_ns)
    if column not in table.column_names:
        raise DataError(
            f"{path} has no column '{column}'.{nearest(column, table.column_names)} "
            f"Its columns are {', '.join(table.column_names)}."
        )
    try:
        values = np.asarray(table[column].to_numpy(), dtype=np.float64)
    except (TypeError, ValueError):
        raise DataError(f"Column '{column}' of {path} holds text; expected numbers.") from None
    if len(values) == 0:
        raise DataError(f"{path} has no rows; expected at least one.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values))[0])
        raise DataError(f"Column '{column}' of {path} is not finite in row {row + 1}.")
    return values


def digest_file(path: str) -> str:
    """sha256 of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
