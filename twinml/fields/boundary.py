"""Kinds of boundary of a transport operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twinml.errors import ArgumentError, nearest

# Words and the numbers that kernels/transport.h knows them by.
KINDS = {"periodic": 0, "dirichlet": 1, "neumann": 2, "flux": 3}
SIDES = ("left", "right", "bottom", "top")
# Kinds whose number has a value that does nothing.
CLOSED = ("neumann", "flux")

Sides = Mapping[str, Mapping[str, str]]  # side -> field -> kind


def checked_sides(
    given: Mapping[str, str | Mapping[str, str]], fields: Sequence[str], what: str
) -> dict[str, dict[str, str]]:
    """A kind for every side and field.

    Raises:
        ArgumentError: an unknown kind or field, or one side of an axis is periodic alone.
    """
    found: dict[str, dict[str, str]] = {}
    for side, kinds in given.items():
        table = dict(kinds) if isinstance(kinds, Mapping) else dict.fromkeys(fields, kinds)
        for name in table:
            if name not in fields:
                raise ArgumentError(
                    f"{what}: {side} names '{name}'; expected the fields {list(fields)}."
                    + nearest(str(name), fields)
                )
        for name in fields:
            kind = table.get(name)
            if kind not in KINDS:
                raise ArgumentError(
                    f"{what}: {side} of '{name}' is {kind!r}; expected one of {list(KINDS)}."
                    + nearest(str(kind), KINDS)
                )
        found[side] = {name: table[name] for name in fields}
    for low, high in (("left", "right"), ("bottom", "top")):
        kinds = {kind for side in (low, high) if side in found for kind in found[side].values()}
        if "periodic" in kinds and len(kinds) > 1:
            raise ArgumentError(
                f"{what}: {low} and {high} are {sorted(kinds)}; a periodic axis closes on itself, "
                "for all fields and at both ends. Make all of them 'periodic', or none."
            )
    return found
