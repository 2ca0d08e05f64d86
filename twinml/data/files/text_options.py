"""What can be stated about a text file; the reader finds out the rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twinml.errors import ArgumentError, nearest

DELIMITERS = {
    ",": ",", ";": ";", "\t": "\t", "|": "|", " ": " ",
    "comma": ",", "semicolon": ";", "tab": "\t", "\\t": "\t", "bar": "|",
    "space": " ", "whitespace": " ",
}  # fmt: skip
# As words, for messages.
NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar", " ": "space"}


@dataclass(frozen=True)
class TextOptions:
    """How a text file is written.

    Args:
        delimiter: Between cells: ``,`` ``;`` tab ``|`` or whitespace, or its name.
        decimal: Decimal mark, "." or ",".
        encoding: Such as "utf-8" or "latin-1".
        header: Whether the first line names the columns.
        names: Names for a file without a header line.

    Raises:
        ArgumentError: a value that cannot be used.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    header: bool = True
    names: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.delimiter is not None:
            if self.delimiter not in DELIMITERS:
                raise ArgumentError(
                    f"delimiter={self.delimiter!r} cannot be used; expected one of comma, "
                    f"semicolon, tab, bar, space.{nearest(self.delimiter, DELIMITERS)}"
                )
            object.__setattr__(self, "delimiter", DELIMITERS[self.delimiter])
        if self.decimal not in (None, ".", ","):
            raise ArgumentError(f"decimal={self.decimal!r} cannot be used; expected '.' or ','.")
        if self.names is not None:
            if isinstance(self.names, str):
                raise ArgumentError("names is a list of column names, such as ['time', 'level'].")
            object.__setattr__(self, "names", tuple(str(name) for name in self.names))
            object.__setattr__(self, "header", False)
