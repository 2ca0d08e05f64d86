"""What a scenario draws, as a figure: marginals, pairs that hang together, and profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.report.style import BLUE, MUTED, ORANGE, figure, label, save

if TYPE_CHECKING:
    from twinml.scenario import BoundScenario

MOST_PANELS = 24
_BINS, _DOTS, _WIDE = 40, 1500, 3


def draw_scenario(
    bound: BoundScenario, values: Mapping[str, np.ndarray], path: Path, title: str
) -> Path:
    """Write one PNG with a panel for every varied quantity, correlated pair and profile.

    Args:
        values: What ``bound.draw`` gave, each (N,).
        path: Of the PNG.
        title: Above the panels.

    Returns:
        The path.
    """
    units = bound.units
    panels: list[Any] = []
    for name, column in values.items():
        if np.ptp(column) > 0:
            panels.append(lambda axis, n=name, v=column: _marginal(axis, n, v, units[n]))
    for one, other in _pairs(bound):
        panels.append(lambda axis, a=one, b=other: _pair(axis, a, b, values, units))
    for driven in bound.driven:
        panels.append(lambda axis, d=driven: _profile(axis, d, bound, values))
    panels = panels[:MOST_PANELS]
    rows = max(1, -(-len(panels) // _WIDE))
    with figure(11.0, 2.7 * rows + 0.5) as made:
        axes = made.subplots(rows, _WIDE, squeeze=False).ravel()
        for axis, draw in zip(axes, panels, strict=False):
            draw(axis)
        for axis in axes[len(panels) :]:
            axis.set_axis_off()
        made.suptitle(title, x=0.01, ha="left", fontweight="bold")
        return save(made, path)


def _pairs(bound: BoundScenario) -> list[tuple[str, str]]:
    tied = [(first, second) for first, row in bound.scenario.correlation.items() for second in row]
    moving = {name for factor in bound.factors for name in factor.names}
    for condition in bound.scenario.constraints:
        names = sorted(condition.names & moving)
        tied += [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    return list(dict.fromkeys(tied))


def _marginal(axis: Any, name: str, column: np.ndarray, unit: str) -> None:
    distinct = np.unique(column)
    if len(distinct) <= 12:
        shares = [(column == value).mean() for value in distinct]
        axis.bar([f"{value:g}" for value in distinct], shares, color=BLUE, width=0.6)
        axis.set_ylabel("share")
    else:
        # the far tails would leave the rest a few pixels wide
        low, high = np.quantile(column, [0.001, 0.999])
        axis.hist(column, bins=_BINS, range=(low, high), density=True, color=BLUE, alpha=0.85)
        for q, style in ((0.05, ":"), (0.5, "-"), (0.95, ":")):
            axis.axvline(np.quantile(column, q), color=ORANGE, linestyle=style, linewidth=1.4)
        axis.set_yticks([])
        axis.set_ylabel("density")
    axis.set_xlabel(label(name, unit))


def _pair(
    axis: Any, one: str, other: str, values: Mapping[str, np.ndarray], units: Mapping[str, str]
) -> None:
    axis.plot(values[one][:_DOTS], values[other][:_DOTS], ".", color=BLUE, markersize=2, alpha=0.6)
    axis.set_xlabel(label(one, units[one]))
    axis.set_ylabel(label(other, units[other]))


def _profile(
    axis: Any, driven: Any, bound: BoundScenario, values: Mapping[str, np.ndarray]
) -> None:
    signal = bound.arguments({name: column[:8] for name, column in values.items()})
    found = signal["inputs"][driven.name]
    rows = 1 if not driven.varying else 8
    for row in range(rows):
        times, heights = found.times.numpy(), found.values.numpy()
        if found.delay is not None:
            times = times + float(found.delay[row])
        for change in signal["changes"]:
            if change.target == driven.name and isinstance(change.at, float):  # the profile's
                value = change.value.numpy()[row]
                heights = heights * value if change.action == "multiply" else heights + value
        times = np.concatenate([[min(bound.start, times[0])], times, [max(bound.stop, times[-1])]])
        heights = np.concatenate([heights[:1], heights, heights[-1:]])
        draw = axis.step if found.kind == "hold" else axis.plot
        more = {"where": "post"} if found.kind == "hold" else {}
        color = BLUE if row == 0 else MUTED
        draw(times, heights, color=color, linewidth=1.6 if row == 0 else 0.7, **more)
    axis.set_xlim(bound.start, bound.stop)
    axis.set_xlabel(label("time", bound.model.time_unit))
    axis.set_ylabel(label(driven.name, bound.model.declared.unit(driven.name)))
