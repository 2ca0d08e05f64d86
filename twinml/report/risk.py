"""Figures of a sweep: risk by an input, distributions, sensitivities."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from twinml.report.style import BLUE, INK, MUTED, ORANGE, figure, label, save

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.sweep.sensitivity import SobolIndices


def risk_figure(path: Path, curve: Table, by: str, unit: str, event: str, level: float) -> Path:
    """Probability of an event over one input, with its interval.

    Args:
        path: The PNG to write.
        curve: Result of ``exceedance_by``.
        by: Name of the input; ``unit`` its unit.
        event: The event in words, for the axis.
        level: Level of the interval.
    """
    with figure(8.0, 4.2) as made:
        axis = made.subplots()
        edges = np.append(curve["from"], curve["to"][-1])
        for low, high, shade, name in (
            (curve["lower"], curve["upper"], 0.25, f"{100 * level:g} % interval"),
        ):
            axis.fill_between(
                edges, np.append(low, low[-1]), np.append(high, high[-1]), step="post",
                color=ORANGE, alpha=shade, lw=0, label=name,
            )  # fmt: skip
        axis.stairs(
            curve["probability"],
            edges,
            color=ORANGE,
            lw=2,
            baseline=None,
            label="share of scenarios",
        )
        axis.set_ylim(0, 1.02)
        axis.set_xlim(edges[0], edges[-1])
        axis.set_xlabel(label(by, unit))
        axis.set_ylabel(f"P({event})")
        axis.legend(loc="best")
        return save(made, path)


def distribution_figure(
    path: Path,
    values: Mapping[str, np.ndarray],
    units: Mapping[str, str],
    weights: Mapping[str, np.ndarray] | None = None,
) -> Path:
    """Histogram of each quantity with its 5, 50 and 95 % quantiles.

    Args:
        path: The PNG to write.
        values: Quantity to values; those that are not finite are left out.
        weights: What each value stands for, of the same shape; one each when None.
    """
    rows = (len(values) + 1) // 2
    with figure(8.0, 2.5 * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False).ravel()
        for axis, (name, column) in zip(axes, values.items(), strict=False):
            keep = np.isfinite(column)
            finite = column[keep]
            mass = np.ones(len(finite)) if weights is None else weights[name][keep]
            # Few samples in many bins show noise, not a distribution.
            bins = min(60, max(8, int(np.sqrt(len(finite)))))
            axis.hist(finite, bins=bins, weights=mass, color=BLUE, alpha=0.75)
            for quantile in _quantiles(finite, mass, (0.05, 0.5, 0.95)):
                axis.axvline(quantile, color=INK, lw=1, ls="--")
            axis.set_xlabel(label(name, units[name]))
            axis.set_yticks([])
            axis.grid(visible=False)
        for axis in axes[len(values) :]:
            axis.set_visible(False)
        return save(made, path)


def _quantiles(values: np.ndarray, mass: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    if len(values) == 0:
        return np.empty(0)
    if (mass == mass[0]).all():
        return np.quantile(values, shares)
    order = np.argsort(values, kind="stable")
    below = np.cumsum(mass[order])
    index = np.searchsorted(below, np.asarray(shares) * below[-1])
    return values[order][np.minimum(index, len(values) - 1)]


def sensitivity_figure(path: Path, indices: SobolIndices) -> Path:
    """First-order and total Sobol indices of every quantity, with bootstrap intervals."""
    factors = [factor_label(factor) for factor in indices.factors]
    rows = (len(indices.quantities) + 1) // 2
    with figure(8.0, (0.55 * len(factors) + 1.1) * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False, sharey=True).ravel()
        place = np.arange(len(factors))[::-1]
        for j, (axis, quantity) in enumerate(zip(axes, indices.quantities, strict=False)):
            if not np.isfinite(indices.total[:, j]).any():
                axis.text(
                    0.5, 0.5, "no index: no finite values that vary", ha="center", va="center",
                    fontsize=9, color=MUTED, transform=axis.transAxes,
                )  # fmt: skip
            for shift, kind, colour in ((0.18, "first", BLUE), (-0.18, "total", ORANGE)):
                value = getattr(indices, kind)[:, j]
                low = getattr(indices, f"{kind}_low")[:, j]
                high = getattr(indices, f"{kind}_high")[:, j]
                axis.barh(
                    place + shift,
                    np.nan_to_num(value),
                    height=0.32,
                    color=colour,
                    alpha=0.85,
                    label={"first": "alone", "total": "with interactions"}[kind],
                )
                axis.hlines(place + shift, low, high, color=INK, lw=1.4)
            axis.set_title(label(quantity))
            axis.set_yticks(place, factors)
            axis.set_xlim(0, 1.05)
            axis.grid(visible=False, axis="y")
        for axis in axes[len(indices.quantities) :]:
            axis.set_visible(False)
        handles, names = axes[0].get_legend_handles_labels()
        made.legend(handles, names, loc="outside lower center", ncols=2)
        return save(made, path)


def factor_label(factor: str) -> str:
    """A factor for an axis; the members of a group below its first word."""
    kind, _, members = factor.partition("(")
    if kind == "table" and members:
        return f"table:\n{members.removesuffix(')').rpartition('/')[2]}"
    if kind in ("calibrated", "correlated", "constrained") and members:
        inside = members.removesuffix(")").split(",")
        return f"{kind}:\n" + ", ".join(label(name.strip()) for name in inside)
    return label(factor)


def parity_figure(
    path: Path,
    targets: Sequence[str],
    truth: np.ndarray,
    mean: np.ndarray,
    units: Mapping[str, str],
    notes: Mapping[str, str],
    most: int = 3000,
) -> Path:
    """Surrogate against simulation on rows it has not seen.

    Args:
        path: The PNG to write.
        targets: Names, m of them.
        truth, mean: Simulated and predicted values, (N, m).
        units: Unit per target.
        notes: A line per target, such as its RMSE and coverage.
        most: Points drawn; every k-th row where there are more.
    """
    rows = (len(targets) + 1) // 2
    step = max(1, len(truth) // most)
    with figure(8.0, 3.4 * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False).ravel()
        for j, (axis, name) in enumerate(zip(axes, targets, strict=False)):
            x, y = truth[::step, j], mean[::step, j]
            low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
            axis.plot([low, high], [low, high], color=MUTED, lw=1)
            few = len(x) <= 1000
            size, alpha = (6.0, 0.7) if few else (2.5, 0.5)
            axis.plot(x, y, ".", ms=size, alpha=alpha, color=BLUE, mew=0)
            axis.set_title(f"{label(name, units[name])}\n{notes[name]}", fontsize=9)
            axis.set_xlabel("simulated")
            axis.set_ylabel("surrogate")
        for axis in axes[len(targets) :]:
            axis.set_visible(False)
        return save(made, path)


def coverage_figure(
    path: Path, coverages: Mapping[str, Mapping[str, tuple[float, float, float]]], level: float
) -> Path:
    """Measured coverage of the intervals, per surrogate and target.

    Args:
        path: The PNG to write.
        coverages: Surrogate -> target -> (value, low, high).
        level: The level that the intervals promise.
    """
    targets = list(next(iter(coverages.values())))
    with figure(8.0, 0.5 * len(targets) * len(coverages) + 1.2) as made:
        axis = made.subplots()
        names, place = [], 0
        for colour, (kind, by_target) in zip(
            itertools.cycle((BLUE, ORANGE, INK)), coverages.items(), strict=False
        ):
            for target in targets:
                value, low, high = by_target[target]
                axis.hlines(place, low, high, color=colour, lw=2)
                axis.plot([value], [place], "o", color=colour, ms=6)
                names.append(f"{kind}: {label(target)}")
                place += 1
        axis.axvline(level, color=MUTED, lw=1.2)
        axis.axvspan(level - 0.02, level + 0.02, color=MUTED, alpha=0.12, lw=0)
        axis.set_yticks(range(place), names)
        axis.invert_yaxis()
        # Few test rows give wide intervals: nothing drawn may lie outside the axis.
        drawn = [end for by_target in coverages.values() for found in by_target.values()
                 for end in found]  # fmt: skip
        axis.set_xlim(
            max(0.0, min(level - 0.06, *drawn) - 0.01), min(1.0, max(level + 0.06, *drawn) + 0.01)
        )
        axis.set_xlabel(f"share of test rows inside the {100 * level:g} % interval")
        axis.grid(visible=False, axis="y")
        return save(made, path)
