"""Figures of what one pass over a sweep found: exceedance curves and where failures lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from twinml.report.style import BLUE, INK, MUTED, ORANGE, RED, figure, label, save

MOST_INPUTS = 6


def exceedance_figure(path: Path, summary: Mapping[str, Any]) -> Path:
    """P(quantity > x) of every quantity on a logarithmic axis, with its bands.

    Args:
        path: The PNG to write.
        summary: A sweep's summary.
    """
    curves = {name: curve for name, curve in summary["curves"].items() if curve}
    rows = max(1, (len(curves) + 1) // 2)
    percent = f"{100 * summary['level']:g} %"
    with figure(8.0, 2.9 * rows + 0.3) as made:
        axes = made.subplots(rows, 2, squeeze=False).ravel()
        for axis, (name, curve) in zip(axes, curves.items(), strict=False):
            weighted = summary["weights"] is not None
            x, p, low, high = stepped(curve, None if weighted else summary["done"])
            least = p[p > 0].min(initial=1.0) / 3  # weighted rows reach far below one in all
            floor = least if weighted else max(0.3 / max(summary["done"], 1), least)
            half = curve["half_width"]
            if half is not None:
                axis.fill_between(
                    x, np.maximum(p - half, floor), np.minimum(p + half, 1),
                    color=MUTED, alpha=0.15, lw=0, label=f"{percent}, whole curve",
                )  # fmt: skip
            axis.fill_between(
                x, np.maximum(low, floor), np.maximum(high, floor), color=BLUE, alpha=0.3, lw=0,
                label=f"{percent}, each threshold",
            )  # fmt: skip
            axis.plot(x, np.maximum(p, floor), color=BLUE, lw=1.6)
            for found in summary["exceedance"].get(name, ()):
                if found.get("probability"):
                    axis.plot(found["threshold"], found["probability"], "o", color=ORANGE, ms=5)
                    axis.vlines(
                        found["threshold"], max(found["low"], floor), found["high"], color=ORANGE,
                        lw=2,
                    )  # fmt: skip
            axis.set_yscale("log")
            axis.set_ylim(floor, 1.3)
            axis.set_xlabel(label(name, summary["units"][name]))
            axis.set_ylabel("P(more than that)")
        for axis in axes[len(curves) :]:
            axis.set_visible(False)
        handles, names = axes[0].get_legend_handles_labels()
        if handles:
            made.legend(handles, names, loc="outside lower center", ncols=2)
        return save(made, path)


def stepped(curve: Mapping[str, Any], rows: int | None) -> list[np.ndarray]:
    """x, probability, low and high of a curve's line.

    Between two values of the grid others may lie, over which the line runs straight. Where one row
    alone makes the difference there is none between, and the line is the step that it is. None
    for ``rows`` that are weighted, of which any difference may be one.
    """
    x, p, *band = (np.array(curve[key]) for key in ("x", "probability", "low", "high"))
    if rows is None:
        return [x, p, *band]
    single = np.flatnonzero((p[:-1] - p[1:]) * rows < 1.5)
    held = [np.insert(values, single + 1, values[single]) for values in (p, *band)]
    return [np.insert(x, single + 1, x[single + 1]), *held]


def failures_figure(path: Path, summary: Mapping[str, Any], units: Mapping[str, str]) -> Path:
    """Share of failed rows by tenths of each input, the strongest inputs first."""
    where = dict(list(summary["where"].items())[:MOST_INPUTS])
    rows = max(1, (len(where) + 1) // 2)
    overall = summary["failed"] / summary["done"]
    with figure(8.0, 2.6 * rows) as made:
        axes = made.subplots(rows, 2, squeeze=False, sharey=True).ravel()
        for axis, (name, found) in zip(axes, where.items(), strict=False):
            bins = found["bins"]
            share = [100 * b["failed"] / max(b["rows"], 1) for b in bins]
            colour = RED if found["notable"] else MUTED
            if bins[0]["from"] == bins[0]["to"]:
                axis.bar([f"{b['from']:g}" for b in bins], share, color=colour, alpha=0.8)
            else:
                edges = [bins[0]["from"], *(b["to"] for b in bins)]
                axis.stairs(share, edges, fill=True, color=colour, alpha=0.8)
            axis.axhline(100 * overall, color=INK, lw=1, ls="--")
            axis.set_xlabel(label(name, units.get(name, "1")))
            axis.set_ylabel("failed rows [%]")
        for axis in axes[len(where) :]:
            axis.set_visible(False)
        return save(made, path)


def difference_figure(path: Path, comparison: Any) -> Path:
    """Paired differences of every quantity: the mean with its interval, and the middle 90 %.
    Args:
        path: The PNG to write.
        comparison: A ``twinml.sweep.Comparison``.
    """
    found = {n: q for n, q in comparison.quantities.items() if q["pairs"]}
    with figure(8.0, 0.95 * len(found) + 0.9) as made:
        axes = made.subplots(len(found), 1, squeeze=False).ravel()
        for axis, (name, q) in zip(axes, found.items(), strict=True):
            low, high = q["quantiles"]["5"][0], q["quantiles"]["95"][0]
            axis.barh(0, high - low, left=low, height=0.5, color=BLUE, alpha=0.25)
            axis.hlines(0, q["low"], q["high"], color=ORANGE, lw=5)
            axis.plot(q["difference"], 0, "o", color=ORANGE, ms=6)
            axis.axvline(0, color=INK, lw=1)
            axis.set_yticks([0], [label(name, comparison.units[name])])
            axis.set_ylim(-0.6, 0.6)
            axis.grid(visible=False, axis="y")
        axes[-1].set_xlabel("scenario minus baseline, sample by sample")
        return save(made, path)
