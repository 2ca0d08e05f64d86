"""Learned stand-ins with calibrated uncertainty."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOMES = {
    "GpOptions": "options",
    "MlpOptions": "options",
    "Prediction": "surrogate",
    "Surrogate": "surrogate",
    "fit": "fitting",
    "load_surrogate": "surrogate",
}

__all__ = ["GpOptions", "MlpOptions", "Prediction", "Surrogate", "fit", "load_surrogate"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
