"""Tables of whole numbers in a unit's text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from twinml.lowering.program import Program, Symbol


def table(name: str, values: Sequence[int]) -> str:
    """Whole numbers that kernels know when they are compiled."""
    # An array may not be empty.
    return f"TW_TABLE int {name}[] = {{{', '.join(map(str, values or [0]))}}};"


def reads_table(name: str, programs: Iterable[Program], width: int) -> str:
    """For each state component, whether any of the programs reads it."""
    symbols: set[Symbol] = set()
    for program in programs:
        symbols |= program.symbols()
    return table(name, [int(Symbol("y", index) in symbols) for index in range(width)])
