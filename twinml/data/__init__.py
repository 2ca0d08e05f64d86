"""What verbs hand to each other, with their files: tables, records, posteriors."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {"Table": "table", "split_rows": "split", "replacing": "atomic"}

__all__ = ["Table", "replacing", "split_rows"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
