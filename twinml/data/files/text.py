"""Text with one line per row: comma, semicolon, tab or blank between cells."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Sequence

import numpy as np

from twinml.data.columns import Column, Columns
from twinml.data.files.dialect import find_decimal, find_delimiter
from twinml.data.files.text_options import NAMES, TextOptions
from twinml.data.header import split_header
from twinml.data.numbers import number
from twinml.data.problems import Problem
from twinml.errors import DataError

Rows = list[tuple[int, list[str]]]


def read_text(data: bytes, source: str, digest: str, options: TextOptions) -> Columns:
    """The columns of a text file, every cell as it is written.

    Blank lines are passed over, and so are lines that begin with ``#`` before the header.

    Raises:
        DataError: not text, no header, no rows, or a repeated name.
    """
    text, notes = _decode(data, source, options.encoding)
    lines = list(io.StringIO(text, newline=""))
    skipped = 0
    while skipped < len(lines) and (lines[skipped].startswith("#") or not lines[skipped].strip()):
        skipped += 1
    if skipped == len(lines):
        raise DataError(
            f"{source} is empty; expected a header line and at least one row of values."
        )
    delimiter = options.delimiter
    if delimiter is None:
        delimiter = find_delimiter(lines[skipped:], source)
        if delimiter != ",":
            notes.append(f"delimiter {NAMES[delimiter]}")
    rows = _cells(text, skipped, delimiter, source)
    header, rows = _header(rows, source, options)
    if not rows:
        raise DataError(f"{source} has a header and no rows; expected at least one row of values.")
    if not options.header and options.names is None:
        notes.append(f"no header: columns are called {header[0]} to {header[-1]}")
    rows, problems = _fitted(header, rows)
    decimal = options.decimal
    if decimal is None:
        decimal, note = find_decimal((row for _, row in rows), delimiter, source)
        notes += [note] if note else []
    columns = {
        name: Column(name, [row[index] for _, row in rows], split_header(name)[1])
        for index, name in enumerate(header)
    }
    places = np.array([line for line, _ in rows])
    return Columns(
        source, columns, len(rows), places, decimal, tuple(notes), tuple(problems), digest=digest
    )


def _decode(data: bytes, source: str, encoding: str | None) -> tuple[str, list[str]]:
    notes = []
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{source} cannot be unpacked ({error}); fetch it again.") from None
    for magic, name in ((b"PAR1", "Parquet"), (b"MATLAB", "MAT"), (b"PK\x03\x04", "zip")):
        if data.startswith(magic):
            raise DataError(f"{source} is a {name} file, not text. Give it its own ending.")
    if encoding is None and data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    if encoding is None and b"\0" in data:
        line = data.count(b"\n", 0, data.index(b"\0")) + 1
        raise DataError(
            f"{source}, line {line}: a zero byte; this is a binary file or "
            "one cut off by a crash. Expected text with a header line."
        )
    try:
        text = data.decode(encoding or "utf-8-sig")
        notes += [f"encoding {encoding}"] if encoding == "utf-16" else []
    except LookupError:
        raise DataError(
            f"{source}: encoding={encoding!r} is not known; expected one such as utf-8 or latin-1."
        ) from None
    except UnicodeDecodeError as error:
        if encoding is not None:
            raise DataError(f"{source} cannot be read as {encoding}: {error}.") from None
        text = data.decode("latin-1")
        notes.append("not UTF-8: read as latin-1; state another with encoding:")
    return text, notes


def _cells(text: str, skipped: int, delimiter: str, source: str) -> Rows:
    """Cells of each line that is not blank, with the line it begins on."""
    stream = io.StringIO(text, newline="")
    for _ in range(skipped):
        stream.readline()
    rows: Rows = []
    if delimiter == " ":
        for offset, line in enumerate(stream):
            if line.strip():
                rows.append((skipped + offset + 1, line.split()))
        return rows
    reader = csv.reader(stream, delimiter=delimiter, skipinitialspace=True)
    line = skipped + 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append((line, row))
            line = skipped + reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{source}, line {line}: {error}. Is a quotation mark left open?") from None
    return rows


def _header(rows: Rows, source: str, options: TextOptions) -> tuple[list[str], Rows]:
    """Names of the columns, and the rows below them."""
    if options.header:
        header, rows = [" ".join(name.split()) for name in rows[0][1]], rows[1:]
        named = [name for name in header if name]
        if named and all(number(name) is not None for name in named):
            raise DataError(
                f"{source}: its first line holds numbers ({', '.join(named[:6])}); expected a "
                "header line that names the columns, such as 'time'. Add it, or give the names: "
                "names: [time, level, ...]."
            )
    else:
        width = max(len(cells) for _, cells in rows)
        header = list(options.names or [f"column_{i + 1}" for i in range(width)])
    while header and not header[-1] and not any(_cell(r, len(header) - 1) for _, r in rows):
        header.pop()  # a delimiter at the end of each line
    header = [name or f"column_{index + 1}" for index, name in enumerate(header)]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"{source} names column {repeated} twice; give each its own name.")
    return header, rows


def _fitted(header: Sequence[str], rows: Rows) -> tuple[Rows, list[Problem]]:
    """Rows as wide as the header, and those that were not."""
    width = len(header)
    fitted, problems = [], []
    for index, (line, row) in enumerate(rows):
        if len(row) != width:
            if any(cell.strip() for cell in row[width:]) or len(row) < width:
                text = (
                    f"{len(row)} cells, but the header has {width} columns. Complete or remove the "
                    "line."
                )
                problems.append(Problem("cells", f"line {line}", text, "", index))
            row = [*row[:width], *[""] * (width - len(row))]
        fitted.append((line, row))
    return fitted, problems


def _cell(row: Sequence[str], index: int) -> str:
    return row[index].strip() if index < len(row) else ""
