"""Units that stand behind a name in a header: ``T_kiln [degC]``, ``valve (kg/s)``."""

from __future__ import annotations

import re

from twinml.errors import UnitError
from twinml.units import check_unit

_BRACKET = re.compile(r"^(?P<name>.*\S)?\s*(?:\[(?P<square>[^\[\]]*)\]|\((?P<round>.*)\))\s*$")
# Ways to write a unit that pint does not know, or knows under another name.
_SPELLINGS = {
    "-": "1", "": "1", "celsius": "degC", "fahrenheit": "degF", "°c": "degC", "°f": "degF",
    "deg c": "degC", "deg f": "degF", "sec": "s", "secs": "s", "mins": "min", "hrs": "h",
}  # fmt: skip


def split_header(name: str) -> tuple[str, str | None]:
    """A column's bare name and its unit, None where the header states none.

    A bracket whose text is not a unit belongs to the name: ``heater (left)``.
    """
    match = _BRACKET.match(name)
    if match is None or not match["name"]:
        return name, None
    square = match["square"] is not None
    text = (match["square"] if square else match["round"]).strip()
    unit = _unit(text, square)
    return (name, None) if unit is None else (match["name"].rstrip("_ "), unit)


def bare_name(name: str) -> str:
    """A column's name without the unit behind it."""
    return split_header(name)[0]


def _unit(text: str, square: bool) -> str | None:
    if text == "" and not square:
        return None
    spelled = _SPELLINGS.get(text.lower(), text)
    if spelled == "1":
        return spelled
    if spelled.isdigit():  # a count such as "sensor (2)"
        return None
    try:
        return check_unit(spelled, "a header")
    except UnitError:
        return None
