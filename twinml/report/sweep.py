"""The page of a sweep: what comes out, how likely, what drives it, what failed and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.report.curves import exceedance_figure, failures_figure
from twinml.report.influence import fan_figure, morris_figure, tornado_figure
from twinml.report.page import Page
from twinml.report.risk import distribution_figure, factor_label, sensitivity_figure
from twinml.report.style import label

if TYPE_CHECKING:
    import numpy as np

    from twinml.sweep import MorrisEffects, SobolIndices, Sweep, Tornado, Trajectories


def write_sweep(
    folder: Path,
    sweep: Sweep,
    *,
    indices: SobolIndices | None = None,
    bars: Tornado | None = None,
    effects: MorrisEffects | None = None,
    paths: Trajectories | None = None,
) -> Path:
    """Draw the figures into ``folder`` and write a self-contained ``report.html`` there.

    Args:
        sweep: With at least one finished row.
        indices, bars, effects, paths: What ``sweep.sensitivity``, ``.tornado``, ``.morris`` and
            ``.trajectories`` gave; what is None has no section.
    """
    page = sweep_page(folder, sweep, indices=indices, bars=bars, effects=effects, paths=paths)
    return page.write(folder / "report.html")


def sweep_page(
    folder: Path,
    sweep: Sweep,
    *,
    indices: SobolIndices | None = None,
    bars: Tornado | None = None,
    effects: MorrisEffects | None = None,
    paths: Trajectories | None = None,
    title: str = "A sweep",
) -> Page:
    """The page of ``write_sweep``, to which more can be added before it is written."""
    summary = sweep.summary
    done, samples = summary["done"], summary["samples"]
    part = "" if done == samples else f", {done:,} of {samples:,} samples finished"
    page = Page(title, f"{sweep.manifest['model']}, design {sweep.scenario.design}{part}")
    _headline(page, summary)
    _outcomes(page, sweep, summary, folder)
    if paths is not None:
        page.heading("Over time")
        names = _shown(sweep, paths)
        page.figure(
            fan_figure(folder / "fan.png", paths, names),
            f"Quantile bands over {len(paths.samples):,} samples simulated again; thin lines: "
            "five of them"
            + ("." if summary["weights"] is None else ", drawn where the tilt put them."),
        )
    _influence(page, summary, folder, indices, bars, effects)
    _failures(page, sweep, summary, folder)
    page.heading("How to read the intervals")
    page.paragraph(_sentence(summary["treatment"]))
    page.paragraph(f"Level {100 * summary['level']:g} %. {_sentence(summary['bands'])}")
    return page


def _headline(page: Page, summary: dict[str, Any]) -> None:
    cards = [(f"{summary['done']:,}", f"samples, {summary['failed']:,} of them failed")]
    for name, listed in summary["exceedance"].items():
        for found in listed:
            if found.get("probability") is not None:
                cards.append(
                    (
                        f"{found['probability']:.3g}",
                        f"probability that {label(name)} is over {found['threshold']:g} "
                        f"({100 * found['level']:g} %: {found['low']:.3g} to {found['high']:.3g})",
                    )
                )
    if summary["weights"] is not None:
        weights = summary["weights"]
        cards.append(
            (
                f"{weights['effective']:,.0f}",
                "effective samples of these weighted ones; mean weight "
                f"{weights['mean']:.3g} +- {weights['mean_error']:.2g}, which should be 1",
            )
        )
    page.cards(cards)


def _outcomes(page: Page, sweep: Sweep, summary: dict[str, Any], folder: Path) -> None:
    page.heading("What comes out")
    found = sweep.statistics
    if found is not None:
        ordered = {name: found.ordered(name) for name in summary["quantities"]}
        page.figure(
            distribution_figure(
                folder / "distributions.png",
                {name: one.values for name, one in ordered.items()},
                summary["units"],
                {name: one.weights for name, one in ordered.items()},
            ),
            "Distribution over all samples; dashed: 5, 50 and 95 % quantiles.",
        )
    page.table(
        ("quantity", "unit", "mean", "from", "to", "s.d.", "5 %", "50 %", "95 %", "min", "max",
         "no number"),
        [
            [label(name), summary["units"][name],
             *(q.get(key) for key in ("mean", "mean_low", "mean_high", "sd")),
             *(q.get("quantiles", {}).get(p) for p in ("5", "50", "95")),
             q.get("min"), q.get("max"), q["not_finite"]]
            for name, q in summary["quantities"].items()
        ],
    )  # fmt: skip
    page.heading("How likely more than that is")
    page.figure(
        exceedance_figure(folder / "exceedance.png", summary),
        "Probability of more than the value on the axis; blue: interval at each threshold, grey: "
        "band for the whole curve at once. Dots: the thresholds asked for.",
    )
    rows = [
        [label(name), one["threshold"], one.get("probability"), one.get("low"), one.get("high"),
         *one.get("if_failed", (None, None))]
        for name, listed in summary["exceedance"].items()
        for one in listed
    ]  # fmt: skip
    if rows:
        page.table(
            ("quantity", "over", "probability", "from", "to", "had no failed row been", "had all"),
            rows,
        )


def _influence(
    page: Page,
    summary: dict[str, Any],
    folder: Path,
    indices: SobolIndices | None,
    bars: Tornado | None,
    effects: MorrisEffects | None,
) -> None:
    if indices is not None or bars is not None or effects is not None:
        page.heading("What drives it")
    if bars is not None:
        page.figure(
            tornado_figure(folder / "tornado.png", bars, summary["units"]),
            f"One input at a time from its low (blue) to its high (orange) quantile, "
            f"{100 * bars.level:g} % between them, the others at their medians. Green: inputs "
            "without an order of their own, drawn together; the bar is the range of the draws.",
        )
    if indices is not None:
        page.figure(
            sensitivity_figure(folder / "sensitivity.png", indices),
            f"Sobol indices from {indices.samples:,} base samples: the share of the variance that "
            "an input explains alone, and with its interactions; lines: "
            f"{100 * indices.level:g} % bootstrap intervals.",
        )
        page.note(left_out("Base samples", indices.quantities, indices.used, indices.samples))
    if effects is not None:
        page.figure(
            morris_figure(folder / "morris.png", effects),
            f"Morris' elementary effects from {effects.trajectories} trajectories, in the "
            "quantity's unit per unit of probability: mean size with its bootstrap interval; "
            "diamonds: standard deviation, large where an input acts non-linearly or with others.",
        )
        fewest = effects.used.min(axis=0)
        page.note(left_out("Effects", effects.quantities, fewest, effects.trajectories))


def left_out(what: str, quantities: Sequence[str], used: np.ndarray, of: int) -> str:
    """A sentence about the quantities that some simulations gave no number for; "" if none."""
    short = [
        f"{label(name)} has {count:,} of {of:,}"
        for name, count in zip(quantities, used.tolist(), strict=True)
        if count < of
    ]
    if not short:
        return ""
    return f"{what} that failed or have no finite value somewhere are left out: {'; '.join(short)}."


def _failures(page: Page, sweep: Sweep, summary: dict[str, Any], folder: Path) -> None:
    if not summary["failed"] and not summary["mended"]:
        return
    page.heading("What failed")
    if summary["mended"]:
        listed = ", ".join(f"{count:,} by {name}" for name, count in summary["mended"].items())
        page.paragraph(f"Rows that failed at first and were saved: {listed}.")
    if not summary["failed"]:
        return
    page.table(
        ("status", "rows", "meaning"),
        [[name, found["count"], found["reason"]] for name, found in summary["failures"].items()],
    )
    page.paragraph(where_in_words(summary))
    if summary["where"]:
        units = sweep.rows(0, 1).units
        page.figure(
            failures_figure(folder / "failures.png", summary, units),
            "Share of failed rows by tenths of each input; dashed: of all rows. Red where chance "
            "would rarely set failed and good rows so far apart.",
        )


def where_in_words(summary: dict[str, Any]) -> str:
    """One sentence: the input along which failed rows stand apart most, and where they lie."""
    notable = {name: found for name, found in summary["where"].items() if found["notable"]}
    if not notable:
        return "Failed rows do not stand apart from the others along any single input."
    name, found = next(iter(notable.items()))
    worst = max(found["bins"], key=lambda one: one["failed"])
    share = worst["failed"] / summary["failed"]
    place = (
        f"{worst['from']:.4g}"
        if worst["from"] == worst["to"]
        else f"{worst['from']:.4g} to {worst['to']:.4g}"
    )
    others = [factor_label(other) for other in list(notable)[1:4]]
    rest = f" They stand apart along {', '.join(others)} too." if others else ""
    return (
        f"Failed rows stand apart most along {name}: {100 * share:.0f} % of them have it at "
        f"{place}, where {100 * worst['failed'] / max(worst['rows'], 1):.3g} % of the rows fail."
        f"{rest}"
    )


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _shown(sweep: Sweep, paths: Trajectories) -> tuple[str, ...]:
    """What the quantities are made from, else everything; at most eight."""
    used = {name for q in sweep.scenario.quantities.values() for name in q.names}
    chosen = tuple(name for name in paths.names if name in used)
    return (chosen or paths.names)[:8]
