"""The figure of a calibration: record, bands, residuals."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinml.report.style import BLUE, INK, MUTED, broken, figure, label, save

if TYPE_CHECKING:
    from twinml.calibrate import Band


def fit_figure(
    path: Path,
    bands: Mapping[str, Band],
    time: np.ndarray,
    measured: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    time_unit: str,
) -> Path:
    """Measured points on the parameter band and the predictive band, residuals below.

    Args:
        path: The PNG to write.
        bands: Band per output, on any time axis.
        time: Times of the measured values, (T,).
        measured: Values per output, (T,), in ``units``.
        units: Unit per output.
        time_unit: Unit of all times.
    """
    count = len(bands)
    with figure(8.0, 4.6 * count) as made:
        grid = made.add_gridspec(2 * count, 1, height_ratios=[3, 1] * count)
        for index, (name, band) in enumerate(bands.items()):
            upper = made.add_subplot(grid[2 * index])
            lower = made.add_subplot(grid[2 * index + 1], sharex=upper)
            percent = f"{100 * band.level:g} %"
            upper.fill_between(
                band.t, *band.predictive, color=BLUE, alpha=0.15, lw=0,
                label=f"{percent} predictive band (with noise)",
            )  # fmt: skip
            upper.fill_between(
                band.t, *band.parameter, color=BLUE, alpha=0.35, lw=0,
                label=f"{percent} parameter band",
            )  # fmt: skip
            upper.plot(band.t, band.best, color=BLUE, lw=2, label="calibrated model")
            values = measured[name]
            dense = len(values) > 200
            upper.plot(
                time, values, ".", ms=2 if dense else 8, color=INK, label="measured", zorder=3
            )
            upper.set_ylabel(label(name, units[name]))
            upper.legend(loc="best", fontsize=9)
            upper.tick_params(labelbottom=False)
            residual = values - np.interp(time, band.t, band.best)
            lower.axhline(0, color=MUTED, lw=1)
            if dense:
                lower.plot(*broken(time, residual), color=INK, lw=0.8)
            else:
                lower.vlines(time, 0, residual, color=INK, lw=2)
            lower.set_ylabel(label("residual", units[name]))
        lower.set_xlabel(f"time since the first sample [{time_unit}]")
        return save(made, path)


def trajectory_figure(
    path: Path,
    time: np.ndarray,
    values: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    time_unit: str,
    events: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """One panel per quantity over time, with a line at each event.

    Args:
        path: The PNG to write.
        time: Times, (T,).
        values: Values per quantity, (T,).
        units: Unit per quantity.
        time_unit: Unit of the times.
        events: Times per event, (M,).
    """
    with figure(8.0, 1.9 * len(values) + 0.5) as made:
        axes = made.subplots(len(values), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (name, row) in zip(axes, values.items(), strict=True):
            axis.plot(time, row, color=BLUE, lw=1.8)
            axis.set_ylabel(label(name, units[name]))
        for number, (name, moments) in enumerate((events or {}).items()):
            style = ("--", ":", "-.")[number % 3]
            for axis in axes:
                for index, moment in enumerate(moments):
                    named = None if index or axis is not axes[0] else f"event {name}"
                    axis.axvline(moment, color=MUTED, lw=0.8, ls=style, label=named, zorder=0)
        if any(len(moments) for moments in (events or {}).values()):
            axes[0].legend(loc="best", fontsize=9)
        axes[-1].set_xlabel(f"time [{time_unit}]")
        return save(made, path)
