"""Columns of equal length with units, and their Parquet file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from twinml.data.atomic import replacing
from twinml.errors import DataError, ShapeError, nearest

SCHEMA = "table/1"


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length with units; one row per sample.

    Args:
        columns: Name to values, each of shape (N,). The order of the names is kept.
        units: Name to unit; a column that is not named has unit "1".

    Raises:
        ShapeError: A column is not one-dimensional, or two columns differ in length.
        DataError: A unit is given for a column that does not exist.
    """

    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        columns = {str(name): np.asarray(values) for name, values in self.columns.items()}
        for name, values in columns.items():
            if values.ndim != 1:
                raise ShapeError(
                    f"Column '{name}' has shape {values.shape}; expected (N,), one value per row. "
                    "Flatten it or make one column per component."
                )
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ShapeError(
                f"The columns have different lengths: {lengths}; expected one length, "
                "because each row is one sample."
            )
        for name in self.units:
            if name not in columns:
                raise DataError(
                    f"A unit is given for '{name}', which is not a column; the columns are "
                    f"{', '.join(columns)}.{nearest(name, columns)}"
                )
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "units", {name: self.units.get(name, "1") for name in columns})

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def __getitem__(self, name: str) -> np.ndarray:
        """The values of one column, shape (N,). Raises DataError for an unknown name."""
        if name not in self.columns:
            raise DataError(
                f"The table has no column '{name}'; its columns are "
                f"{', '.join(self.columns) or '(none)'}.{nearest(name, self.columns)}"
            )
        return self.columns[name]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.columns)

    def rows(self, index: np.ndarray | slice) -> Table:
        """The rows named by positions, a mask or a slice, in that order."""
        chosen = index if isinstance(index, slice) else np.asarray(index)
        return Table({name: values[chosen] for name, values in self.columns.items()}, self.units)

    def select(self, names: Iterable[str]) -> Table:
        """The named columns, in the given order."""
        names = list(names)
        return Table({name: self[name] for name in names}, {n: self.units[n] for n in names})

    def to_arrow(self) -> Any:
        """A ``pyarrow.Table``; schema name and units stand in its metadata."""
        import pyarrow as pa

        metadata = {"schema": SCHEMA, "units": json.dumps(dict(self.units))}
        arrays = {name: pa.array(values) for name, values in self.columns.items()}
        return pa.table(arrays).replace_schema_metadata(metadata)

    @classmethod
    def from_arrow(cls, table: Any, origin: str = "The Arrow table") -> Table:
        """Read what ``to_arrow`` wrote.

        Raises:
            DataError: The metadata is absent or was written by another version.
        """
        metadata = table.schema.metadata or {}
        schema = metadata.get(b"schema", b"").decode()
        if schema != SCHEMA:
            raise DataError(
                f"{origin} has schema '{schema or 'none'}'; this version reads '{SCHEMA}'. "
                "Write it with Table.write_parquet, or read it with the version that wrote it."
            )
        columns = {name: table[name].to_numpy() for name in table.column_names}
        return cls(columns, json.loads(metadata[b"units"]))

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write one Parquet file that is either whole or absent."""
        import pyarrow.parquet as pq

        with replacing(path) as temporary:
            pq.write_table(self.to_arrow(), temporary)

    @classmethod
    def read_parquet(cls, path: str | os.PathLike[str]) -> Table:
        """Read a file written by ``write_parquet``.

        Raises:
            DataError: No such file, or not a table of this schema.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not Path(path).is_file():
            raise DataError(
                f"There is no table at {path}; expected a Parquet file. Check the path."
            )
        try:
            # partitioning=None: 'x=1' in a folder name is part of the path, never a column
            arrow = pq.read_table(path, partitioning=None)  # type: ignore
        except pa.ArrowException as error:
            first = str(error).splitlines()[0].rstrip(".")
            raise DataError(
                f"{path} cannot be read as a Parquet file ({first}). It is damaged, unfinished or "
                "of another format."
            ) from error
        return cls.from_arrow(arrow, origin=str(path))
