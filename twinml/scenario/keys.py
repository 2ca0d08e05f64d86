"""Checks on plain mappings that a person wrote."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from twinml.errors import ScenarioError, nearest


def check_keys(
    data: Any, required: Iterable[str], optional: Iterable[str], where: str
) -> dict[str, Any]:
    """``data`` as a dict, refused when a key is missing or unknown.

    Raises:
        ScenarioError: Names the key, the nearest known one, and all that are known.
    """
    required, known = list(required), [*required, *optional]
    if not isinstance(data, Mapping):
        raise ScenarioError(
            f"{where} is {data!r}; expected a mapping with the keys {', '.join(known)}."
        )
    for key in data:
        if key not in known:
            raise ScenarioError(
                f"{where} has the unknown key '{key}'.{nearest(str(key), known)} "
                f"Known are {', '.join(known)}."
            )
    for key in required:
        if key not in data:
            given = ", ".join(map(str, data)) or "none"
            raise ScenarioError(f"{where} lacks the key '{key}'; given are: {given}. Add it.")
    return dict(data)


def check_number(value: Any, where: str) -> float:
    """``value`` as a finite float.

    Raises:
        ScenarioError: Not a number, or nan or infinite.
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ScenarioError(f"{where} is {value!r}; expected a finite number.")
    return float(value)
