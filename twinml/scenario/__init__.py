"""What varies, what changes when, for how long, and which quantities come out."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from twinml.scenario.check import BoundScenario
    from twinml.scenario.design import DESIGNS
    from twinml.scenario.distribution import Distribution
    from twinml.scenario.scenario import Horizon, Scenario
    from twinml.scenario.yaml_file import load_yaml

# Imported on use: reading a YAML file needs neither numpy nor torch.
_HOMES = {
    "BoundScenario": "check", "DESIGNS": "design", "Distribution": "distribution",
    "Horizon": "scenario", "Scenario": "scenario", "load_yaml": "yaml_file",
}  # fmt: skip

__all__ = ["DESIGNS", "BoundScenario", "Distribution", "Horizon", "Scenario", "load_yaml"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
