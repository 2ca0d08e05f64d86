"""twinml: physics written once in torch, calibrated, swept, learned, exported.

Names are imported on first use, so that ``import twinml`` needs torch and numpy only and the
command line can print its help without either.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "State": "physics", "Parameter": "physics", "Input": "physics", "Output": "physics",
    "Physics": "physics", "Signal": "physics", "interp": "physics", "sqrt0": "physics",
    "event": "physics", "KernelPhysics": "physics", "field_op": "fields",
    "check_dimensions": "physics", "DimensionReport": "physics",
    "Change": "solve.change", "Solution": "solve.solution", "Status": "solve.status",
    "simulate": "engines", "Reduction": "solve.reduction", "Reduced": "solve.reduction",
    "Record": "data.record", "Table": "data.table", "Posterior": "data.posterior",
    "calibrate": "calibrate", "Calibration": "calibrate.calibration",
    "load_calibration": "calibrate.calibration",
    "Scenario": "scenario", "sweep": "sweep", "open_sweep": "sweep",
    "rare_event": "sweep.rare", "propose_tilt": "sweep.rare",
    "compare": "sweep",
    "fit": "surrogate", "load_surrogate": "surrogate",
    "export": "export", "verify": "export", "load_artifact": "export",
    "TwinmlError": "errors", "IntegrityError": "errors", "ParityError": "errors",
}  # fmt: skip
_MODULES = ("nn", "fields", "library", "errors", "units", "uncertainty")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"twinml.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(f"twinml.{_HOME[name]}"), name)
    raise AttributeError(f"module 'twinml' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*_HOME, *_MODULES, "__version__"])
