"""Tables of whole numbers in a unit's text."""

from __future__ import annotations

from collections.abc import Sequence


def table(name: str, values: Sequence[int]) -> str:
    """Whole numbers that kernels know when they are compiled."""
    # An array may not be empty.
    return f"TW_TABLE int {name}[] = {{{', '.join(map(str, values or [0]))}}};"
