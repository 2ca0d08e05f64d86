"""Which character separates cells, and which marks decimals, found from the text itself."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence

from twinml.data.files.text_options import NAMES
from twinml.data.numbers import number
from twinml.errors import DataError

_LOOKED_AT = 200
_WITH_COMMA = re.compile(r"[+-]?\d*,\d+(?:[eE][+-]?\d+)?")
_WITH_POINT = re.compile(r"[+-]?\d*\.\d+(?:[eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}(?:,\d{3})+")


def split_line(line: str, delimiter: str) -> list[str]:
    """The cells of one line without line breaks in quotes."""
    if delimiter == " ":
        return line.split()
    return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])


def find_delimiter(lines: Sequence[str], source: str) -> str:
    """The delimiter that cuts the lines as it cuts the first.

    Raises:
        DataError: two delimiters fit equally well.
    """
    looked = [line for line in lines[:_LOOKED_AT] if line.strip()]
    scores = {}
    for delimiter in NAMES:
        cells = [split_line(line.rstrip(), delimiter) for line in looked]
        width = len(cells[0])
        if width < 2:
            continue
        even = sum(len(row) == width for row in cells) / len(cells)
        body = [cell for row in cells[1:] for cell in row if cell.strip()]
        # A mark of decimals is no delimiter: where it cuts numbers apart, the other one fits them.
        good = sum(number(c, ".") is not None or number(c, ",") is not None for c in body)
        share = good / len(body) if body else 0.0
        # A blank separates cells only where nothing else does.
        scores[delimiter] = (delimiter != " ", round(even, 2), round(share, 2))
    if not scores:
        return ","
    ranked = sorted(scores, key=scores.__getitem__, reverse=True)
    if len(ranked) > 1 and scores[ranked[0]] == scores[ranked[1]]:
        first, second = (NAMES[d] for d in ranked[:2])
        raise DataError(
            f"{source}: {first} and {second} both cut its lines evenly. Say which one separates "
            f"cells: delimiter: {first}, or delimiter: {second}."
        )
    return ranked[0]


def find_decimal(
    rows: Iterable[Sequence[str]], delimiter: str, source: str
) -> tuple[str, str | None]:
    """The decimal mark, and a note where it is a comma.

    1,500 alone may be read both ways. Where semicolons separate cells it has a decimal comma,
    since files have semicolons because the comma is taken.

    Raises:
        DataError: numbers with a comma that could as well mark thousands.
    """
    commas = points = 0
    doubtful, example = True, ""
    for row in rows:
        for cell in row:
            text = cell.strip()
            if "," in text and (_WITH_COMMA.fullmatch(text) or _GROUPED.fullmatch(text)):
                commas += 1
                example = example or text
                doubtful = doubtful and _GROUPED.fullmatch(text) is not None
                if text.count(",") > 1:
                    return ".", None  # marks between thousands: refused where it is a number
            elif not points and "." in text and _WITH_POINT.fullmatch(text):
                points += 1
    if not commas or points:
        return ".", None
    if doubtful and delimiter != ";":
        raise DataError(
            f"{source}: numbers such as {example} may have a decimal comma or a mark between "
            "thousands. Say which: decimal: ',' for the first; for the second write the numbers "
            "without it."
        )
    return ",", f"decimal mark ',', as in {example}"
