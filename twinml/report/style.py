"""How figures look, and how they become files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from twinml.data.quality.clock import GAP

INK, MUTED, GRID = "#1d2733", "#66727f", "#dde3e9"
BLUE, ORANGE, GREEN, RED = "#1f5fa8", "#c8641b", "#2f7d4f", "#b3261e"
DPI = 150

_SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "figure.facecolor": "white",
}


@contextmanager
def figure(width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of the given size in inches, drawn off screen."""
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with matplotlib.rc_context(_SETTINGS):
        made = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(made)
        yield made


def save(made: Any, path: Path) -> Path:
    """Write a PNG; the same figure gives the same bytes."""
    made.savefig(path, dpi=DPI, metadata={"Software": None})
    return path


def label(name: str, unit: str = "1") -> str:
    """Axis label: the name in words, its unit unless it is a plain number."""
    words = name.replace("_", " ").replace("initial.", "initial ")
    return words if unit in ("1", "") else f"{words} [{unit}]"


def broken(time: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A line that is interrupted where rows are absent."""
    step = np.diff(time)
    if not len(step) or not (step > 0).any():
        return time, values
    wide = np.flatnonzero(step > GAP * np.median(step[step > 0])) + 1
    return np.insert(time, wide, np.nan), np.insert(values, wide, np.nan)
