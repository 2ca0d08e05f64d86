"""The figure of a record: every column over time, with what should be looked at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from twinml.data.header import split_header
from twinml.data.quality.clock import GAP
from twinml.data.quality.column import Values
from twinml.data.quality.report import ColumnReport, Report
from twinml.report.style import BLUE, GREEN, MUTED, ORANGE, RED, broken, figure, save
from twinml.units import convert

_PANELS = 30
_COLOURS = (BLUE, ORANGE, GREEN, "#7a4fa3", "#1f8a8a", "#8a6d1f")


def record_figure(path: Path, report: Report) -> Path:
    """One panel per column of numbers; the first ``_PANELS`` of them.

    Grey bands are gaps in time, orange ticks missing samples, red dots spikes and values out of
    range, a red line a run in which a column is stuck; dotted lines are the declared range.

    Args:
        path: The PNG to write.
        report: What was found.
    """
    shown = [column for column in report.columns if column.name in report.data][:_PANELS]
    across = 1 if len(shown) <= 6 else 2 if len(shown) <= 14 else 3
    down = max(1, math.ceil(len(shown) / across))
    time, unit = _readable(report)
    with figure(9.0 if across == 1 else 4.8 * across, max(3.2, 1.65 * down + 0.9)) as made:
        grid = made.subplots(down, across, sharex=True, squeeze=False)
        axes = list(grid.T.flat) if across > 1 else list(grid[:, 0])
        for axis, column in zip(axes, shown, strict=False):
            _panel(axis, time, report, column)
        for axis in axes[len(shown) :]:
            axis.set_visible(False)
        last = axes[len(shown) - 1] if shown else axes[0]
        for axis in {*grid[-1], last}:
            axis.tick_params(labelbottom=True)
            axis.set_xlabel(f"time [{unit}]" if unit != "1" else "row")
        names = list(report.groups)
        if 1 < len(names) <= len(_COLOURS):
            handles = [
                made.axes[0].plot([], [], color=_COLOURS[i], lw=2)[0] for i in range(len(names))
            ]
            made.legend(handles, names, loc="outside upper right", ncols=len(names), fontsize=9)
        rest = len(report.data) - len(shown)
        title = Path(report.source).name + (f" (and {rest} more columns)" if rest > 0 else "")
        made.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
        return save(made, path)


def _panel(axis: Any, time: np.ndarray, report: Report, column: ColumnReport) -> None:
    values = report.data[column.name]
    found = column.values
    assert found is not None
    many = len(report.groups) > len(_COLOURS)
    groups = list(report.groups.values()) or [np.arange(len(values))]
    for index, rows in enumerate(groups):
        colour = BLUE if many or len(groups) == 1 else _COLOURS[index]
        t, v = broken(time[rows], values[rows])
        few = len(rows) <= 60
        axis.plot(
            t, v, color=colour, lw=1.0, alpha=0.35 if many else 1.0,
            marker="." if few and not many else None, ms=5,
            drawstyle="steps-post" if found.behaviour == "held" else "default",
        )  # fmt: skip
    if len(groups) == 1:
        _bands(axis, time[groups[0]])
    _marks(axis, time, values, found, column)
    named = column.name
    if column.unit not in (None, "1") and split_header(named)[1] is None:
        named = f"{named} [{column.unit}]"
    axis.set_title(named + (f"  ({column.used})" if column.used else ""), fontsize=9, pad=3)
    axis.tick_params(labelsize=8)
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.margins(x=0.01)


def _marks(
    axis: Any, time: np.ndarray, values: np.ndarray, found: Values, column: ColumnReport
) -> None:
    odd = sorted({*found.spikes, *column.outside})
    if odd:
        axis.plot(time[odd], values[odd], "o", color=RED, ms=4, zorder=4)
    if found.behaviour == "stuck":
        rows = np.arange(found.run_row, min(found.run_row + found.run, len(time)))
        rows = rows[values[rows] == found.run_value]
        axis.plot(time[rows], values[rows], color=RED, lw=2.5, zorder=3)
    missing = np.flatnonzero(np.isnan(values) & np.isfinite(time))
    if len(missing) and found.count:
        foot = np.full(len(missing), found.low)
        axis.plot(time[missing], foot, "|", color=ORANGE, ms=8, zorder=3)
    for bound in column.bounds:
        if math.isfinite(bound) and found.count:
            span = (found.high - found.low) or 1.0
            if found.low - span <= bound <= found.high + span:
                axis.axhline(bound, color=MUTED, lw=1, ls=":")
    if not found.count:
        axis.text(0.5, 0.5, "no values", transform=axis.transAxes, ha="center", color=MUTED)


def _bands(axis: Any, time: np.ndarray) -> None:
    """Grey where no row was recorded."""
    step = np.diff(time)
    if not len(step) or not (step > 0).any():
        return
    wide = np.flatnonzero(step > GAP * np.median(step[step > 0]))
    for row in wide[:200]:
        axis.axvspan(time[row], time[row + 1], color=MUTED, alpha=0.18, lw=0)


def _readable(report: Report) -> tuple[np.ndarray, str]:
    """The time axis in a unit that gives numbers of a readable size."""
    time, unit = report.axis, report.time_unit
    longest = np.nanmax(time) if np.isfinite(time).any() else 0.0
    if unit == "s":
        for coarse, seconds in (("day", 3 * 86_400), ("h", 3 * 3_600)):
            if longest > seconds:
                return convert(time, "s", coarse, "the time axis"), coarse
    return time, unit
