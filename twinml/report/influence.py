"""Figures of what moves a sweep's quantities: tornado bars, elementary effects, fans of paths."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinml.report.risk import factor_label
from twinml.report.style import BLUE, GREEN, INK, MUTED, ORANGE, figure, label, save

if TYPE_CHECKING:
    from twinml.sweep import MorrisEffects, Tornado, Trajectories

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)


def tornado_figure(path: Path, bars: Tornado, units: dict[str, str]) -> Path:
    """How far each factor alone moves every quantity from its centre, the longest bar on top."""
    rows = (len(bars.quantities) + 1) // 2
    with figure(8.0, (0.42 * len(bars.factors) + 1.2) * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False).ravel()
        for j, (axis, quantity) in enumerate(zip(axes, bars.quantities, strict=False)):
            low, high, centre = bars.low[:, j], bars.high[:, j], bars.centre[j]
            finite = np.isfinite(low) & np.isfinite(high)
            width = np.where(finite, high, 0.0) - np.where(finite, low, 0.0)
            order = np.argsort(np.abs(width), kind="stable")
            for place, i in enumerate(order):
                for end, colour in ((low[i], BLUE), (high[i], ORANGE)):
                    if np.isfinite(end) and np.isfinite(centre):
                        colour = GREEN if bars.drawn[i] else colour
                        axis.barh(place, end - centre, left=centre, color=colour, alpha=0.85,
                                  height=0.6)  # fmt: skip
                    else:
                        absent = "never" if np.isinf([end, centre]).any() else "no number"
                        axis.text(0.98, place, absent, ha="right", va="center", fontsize=8,
                                  color=MUTED, transform=axis.get_yaxis_transform())  # fmt: skip
            if np.isfinite(centre):
                axis.axvline(centre, color=INK, lw=1)
            axis.set_yticks(range(len(order)), [factor_label(bars.factors[i]) for i in order])
            axis.set_ylim(-0.6, len(order) - 0.4)
            axis.set_xlabel(label(quantity, units.get(quantity, "1")))
            axis.grid(visible=False, axis="y")
        for axis in axes[len(bars.quantities) :]:
            axis.set_visible(False)
        return save(made, path)


def morris_figure(path: Path, effects: MorrisEffects) -> Path:
    """Mean size of each factor's effects with its bootstrap interval."""
    rows = (len(effects.quantities) + 1) // 2
    place = np.arange(len(effects.factors))[::-1]
    with figure(8.0, (0.42 * len(effects.factors) + 1.2) * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False, sharey=True).ravel()
        for j, (axis, quantity) in enumerate(zip(axes, effects.quantities, strict=False)):
            axis.barh(place, np.nan_to_num(effects.mean_size[:, j]), color=BLUE, height=0.5)
            axis.hlines(
                place, effects.mean_size_low[:, j], effects.mean_size_high[:, j], color=INK, lw=1.4
            )
            axis.plot(effects.deviation[:, j], place, "D", color=ORANGE, ms=5)
            if not np.isfinite(effects.mean_size[:, j]).any():
                axis.text(0.5, 0.5, "no number", ha="center", va="center", fontsize=9,
                          color=MUTED, transform=axis.transAxes)  # fmt: skip
            axis.set_yticks(place, [factor_label(factor) for factor in effects.factors])
            axis.set_title(label(quantity))
            axis.grid(visible=False, axis="y")
        for axis in axes[len(effects.quantities) :]:
            axis.set_visible(False)
        return save(made, path)


def fan_figure(path: Path, paths: Trajectories, names: tuple[str, ...] | None = None) -> Path:
    """Quantile bands over time of some samples' states or outputs, with a few of the paths."""
    names = paths.names if names is None else names
    rows = (len(names) + 1) // 2
    with figure(8.0, 2.7 * rows + 0.3) as made:
        axes = made.subplots(rows, 2, squeeze=False, sharex=True).ravel()
        for axis, name in zip(axes, names, strict=False):
            outer, inner, middle, upper, highest = paths.band(name, SHARES)
            axis.fill_between(
                paths.t, outer, highest, color=BLUE, alpha=0.18, lw=0, label="5 to 95 %"
            )
            axis.fill_between(
                paths.t, inner, upper, color=BLUE, alpha=0.3, lw=0, label="25 to 75 %"
            )
            axis.plot(paths.t, paths[name][:5].T, color=MUTED, lw=0.7, alpha=0.8)
            axis.plot(paths.t, middle, color=INK, lw=1.8, label="median")
            # a path on its way to infinity must not flatten the others
            low, high = np.nanmin(outer), np.nanmax(highest)
            room = 0.5 * (high - low)
            if room > 0:
                bottom, top = axis.get_ylim()
                axis.set_ylim(max(bottom, low - room), min(top, high + room))
            axis.set_ylabel(label(name, paths.units[name]))
            axis.set_xlim(paths.t[0], paths.t[-1])
        for axis in axes[len(names) :]:
            axis.set_visible(False)
        for axis in axes[: len(names)]:
            axis.tick_params(labelbottom=True)
            axis.set_xlabel(f"time [{paths.time_unit}]")
        handles, texts = axes[0].get_legend_handles_labels()
        made.legend(handles, texts, loc="outside lower center", ncols=3)
        return save(made, path)
