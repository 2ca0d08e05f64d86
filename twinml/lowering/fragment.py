"""Parts of a unit's text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True)
class Fragment:
    """Emitted text of a part of the kernel: macros, and functions that follow the prelude."""

    defines: str = ""
    functions: str = ""


def table(name: str, values: Sequence[int]) -> str:
    """Whole numbers that kernels know when they are compiled."""
    # An array may not be empty.
    return f"TW_TABLE int {name}[] = {{{', '.join(map(str, values or [0]))}}};"
