"""A file's format by its name, and its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from twinml.data.columns import Columns
from twinml.data.files.text_options import TextOptions
from twinml.errors import ArgumentError, DataError, nearest

SUFFIXES = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".dat": "csv",
    ".parquet": "parquet", ".pq": "parquet", ".mat": "mat",
}  # fmt: skip
FORMATS = ("csv", "parquet", "mat")
_SAY = "Formats: csv (also .tsv, .txt, .dat, each also with .gz), parquet, mat."


def read_columns(
    path: Path,
    format: str | None = None,
    options: TextOptions | None = None,
    wanted: Sequence[str] | None = None,
) -> Columns:
    """What a file holds.

    Args:
        path: The file.
        format: "csv", "parquet" or "mat"; by the ending of the name when None.
        options: How text is to be read; the reader finds out what is None.
        wanted: Columns that will be used, where a file (MAT) may hold more than one table.

    Raises:
        DataError: no such file, no such format, or not a file of that format.
        ArgumentError: an unknown ``format``.
    """
    kind = _format(path, format)
    data = file_bytes(path)
    digest = hashlib.sha256(data).hexdigest()
    if not data:
        raise DataError(f"{path} is empty; expected a header line and at least one row of values.")
    if kind == "parquet":
        from twinml.data.files.arrow import read_parquet

        return read_parquet(data, str(path), digest)
    if kind == "mat":
        from twinml.data.files.matlab import read_mat

        return read_mat(data, str(path), digest, wanted)
    from twinml.data.files.text import read_text

    return read_text(data, str(path), digest, options or TextOptions())


def file_bytes(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        DataError: it does not exist or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path} does not exist; expected a file of measured values. Paths are relative to "
            f"the working directory {Path.cwd()}."
        ) from None
    except IsADirectoryError:
        raise DataError(
            f"{path} is a folder; give a file in it, or a pattern {path}/*.csv."
        ) from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}.") from None


def _format(path: Path, given: str | None) -> str:
    if given is not None:
        if given not in FORMATS:
            raise ArgumentError(
                f"format={given!r} is not known.{nearest(str(given), FORMATS)} {_SAY}"
            )
        return given
    suffixes = [s.lower() for s in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
        if suffixes and suffixes[-1] in SUFFIXES and SUFFIXES[suffixes[-1]] != "csv":
            raise DataError(f"{path}: only text files are read compressed; unpack it first.")
    suffix = suffixes[-1] if suffixes else ""
    if suffix in (".xlsx", ".xls", ".ods"):
        raise DataError(
            f"{path} is a spreadsheet, which is not read: values and dates in it depend on how "
            "cells are formatted. Save the sheet as CSV."
        )
    if suffix not in SUFFIXES:
        raise DataError(
            f"{path}: the ending '{suffix}' names no format of records. {_SAY} State it with "
            "format=csv if the name is misleading."
        )
    return SUFFIXES[suffix]
