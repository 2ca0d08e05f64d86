"""What a field operation is made of: names of arguments and results, texts of its kernels."""

from __future__ import annotations

import keyword
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.errors import ArgumentError
from twinml.lowering.recorder import words

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
# Members of the generated types, and words of C++ and CUDA that are likely as names of quantities.
_TAKEN = words(
    "field coefficient cotangent first last first_y last_y column line inside place args at out "
    "grad Number Real Mask Int real count auto bool break case char class const default delete do "
    "double else enum explicit export extern false float for friend goto if inline int long "
    "namespace new operator private protected public register return short signed sizeof static "
    "struct switch template this throw true try typedef typename union unsigned using virtual "
    "void volatile while"
)


@final
@dataclass(frozen=True)
class Text:
    """A piece of C++ and where it stands.

    Args:
        content: The text.
        origin: File, or words that say which text it is; errors name it.
    """

    content: str
    origin: str

    @classmethod
    def of(cls, given: str | Path | Text, what: str) -> Text:
        """The text itself, or the content of a file.

        Raises:
            ArgumentError: neither, or the file cannot be read.
        """
        if isinstance(given, Text):
            return given
        if isinstance(given, Path):
            try:
                return cls(given.read_text(encoding="utf-8"), str(given))
            except (OSError, UnicodeDecodeError) as error:
                raise ArgumentError(
                    f"{what} is the file {given}, which cannot be read: {error}. Correct the path."
                ) from error
        if isinstance(given, str):
            return cls(given, what)
        raise ArgumentError(
            f"{what} is {type(given).__name__}; expected C++ text, or a pathlib.Path of a file "
            "that holds it."
        )


@final
@dataclass(frozen=True)
class FieldSpec:
    """A field operation, checked.

    Args:
        name: What errors call it.
        fields: Arguments with one number a cell.
        coefficients: Arguments with one number a row.
        results: Results, one number a cell each.
        forward, vjp, header: Texts; ``vjp`` may be missing.
        dimensions: Of the grid, 1 or 2.
        reach: How many cells away a neighbour may be.
        periodic: For x and y, whether the grid closes on itself.
        includes: Headers of ``kernels/`` that the texts use.
        support: Functions of numbers that the texts call, the same in both builds.
        called: What errors call an argument, where that is not its name.
    """

    name: str
    fields: tuple[str, ...]
    coefficients: tuple[str, ...]
    results: tuple[str, ...]
    forward: Text
    vjp: Text | None
    header: Text | None = None
    dimensions: int = 1
    reach: int = 1
    periodic: tuple[bool, bool] = (False, False)
    includes: tuple[str, ...] = ()
    support: str | None = None
    called: tuple[tuple[str, str], ...] = ()

    def word(self, argument: str) -> str:
        """What errors call an argument."""
        return dict(self.called).get(argument, f"'{argument}'")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of all arguments, fields first."""
        return (*self.fields, *self.coefficients)

    def __post_init__(self) -> None:
        what = f"field_op '{self.name}'"
        if not self.fields or not self.results:
            raise ArgumentError(
                f"{what} has fields={list(self.fields)} and results={list(self.results)}; expected "
                "at least one name each."
            )
        seen: set[str] = set()
        for name in (*self.arguments, *self.results):
            usable = isinstance(name, str) and _NAME.fullmatch(name) and name not in _TAKEN
            if not usable or keyword.iskeyword(name) or name.startswith("bar_"):
                raise ArgumentError(
                    f"{what} has an argument or result named {name!r}; expected a name of letters, "
                    "digits and _ that means nothing in C++ or in a kernel. Rename it."
                )
            if name in seen:
                raise ArgumentError(
                    f"{what} names '{name}' twice; arguments and results each have a name of their "
                    "own."
                )
            seen.add(name)
        if self.dimensions not in (1, 2):
            raise ArgumentError(f"{what} has dimensions={self.dimensions!r}; expected 1 or 2.")
        if not isinstance(self.reach, int) or not 0 <= self.reach <= 16:
            raise ArgumentError(
                f"{what} has reach={self.reach!r}; expected a whole number from 0 to 16, how many "
                "cells away the farthest neighbour is."
            )


def names(given: str | Sequence[str]) -> tuple[str, ...]:
    """Names as a tuple, from a sequence or from words: "u v"."""
    return tuple(given.split()) if isinstance(given, str) else tuple(given)
