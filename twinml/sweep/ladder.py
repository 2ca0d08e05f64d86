"""The ladder: what a failed row is tried with next, before it stays failed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from twinml.solve.methods import DENSE_STATES
from twinml.sweep.task import SolverSettings

FIRST = "first"
# Rungs by their number in the table's column ``rung``; 0 is the sweep's own settings.
RUNGS = (FIRST, "tighter", "stiff", "float64", "float64 stiff")


def ladder(settings: SolverSettings, states: int) -> dict[str, SolverSettings]:
    """Rungs in the order of trial: a tighter step, the stiff method, then both in float64.

    Each rung meets the tolerances asked for or tighter ones, so a row that it saves is as good as
    the others. float64 is a rung only where the sweep computes in float32.

    Nothing where the step is fixed: another one is another result, and with noise another path.
    """
    if settings.dt is not None:
        return {}
    rungs = {"tighter": _tighter(settings)}
    stiff = states <= DENSE_STATES
    if stiff:
        rungs["stiff"] = _stiff(settings)
    if settings.dtype == "float32":
        wide = replace(settings, dtype="float64", max_steps=4 * settings.max_steps)
        rungs["float64"] = wide
        if stiff:
            rungs["float64 stiff"] = replace(wide, method="rodas5p")
    return rungs


def _tighter(settings: SolverSettings) -> SolverSettings:
    atol = settings.atol
    least = 1e-12 if settings.dtype == "float64" else 1e-6
    return replace(
        settings,
        rtol=min(settings.rtol, max(settings.rtol * 1e-2, least)),
        atol={name: x * 1e-2 for name, x in atol.items()}
        if isinstance(atol, Mapping)
        else atol * 1e-2,
        max_steps=4 * settings.max_steps,
    )


def _stiff(settings: SolverSettings) -> SolverSettings:
    return replace(settings, method="rodas5p", max_steps=4 * settings.max_steps)
