"""What ``twinml sweep`` says of a finished sweep: metrics, table, lines and figures."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

PATHS = 256  # samples simulated again for the fan of their paths

if TYPE_CHECKING:
    from twinml.report.page import Page
    from twinml.sweep import MorrisEffects, SobolIndices, Sweep, Trajectories


def summary_metrics(done: Sweep) -> dict[str, Any]:
    """``sweep.*``: counts, moments, quantiles, probabilities and the digest of every row."""
    summary = done.summary
    metrics: dict[str, Any] = {
        "sweep.samples": summary["done"],
        "sweep.failed": summary["failed"],
    }
    for name, found in summary["quantities"].items():
        for what in ("mean", "sd", "min", "max"):
            if what in found:
                metrics[f"sweep.{name}.{what}"] = found[what]
        for percent, value in found.get("quantiles", {}).items():
            metrics[f"sweep.{name}.q{percent}"] = value
    for name, listed in summary["exceedance"].items():
        for found in listed:
            if "probability" in found:
                stem = f"sweep.{name}.above_{_number(found['threshold'])}"
                metrics[f"{stem}.probability"] = found["probability"]
                metrics[f"{stem}.low"], metrics[f"{stem}.high"] = found["low"], found["high"]
    if summary["weights"] is not None:
        metrics["sweep.effective_samples"] = summary["weights"]["effective"]
    # of the columns' digests, which one pass over the rows can form for all columns at once
    total = hashlib.sha256()
    for name, digest in summary["digests"].items():
        total.update(f"{name} {digest}\n".encode())
    metrics["sweep.sha256"] = total.hexdigest()
    return metrics


def _number(value: float) -> str:
    """A threshold inside a dotted key: 2.5 becomes 2_5."""
    return f"{value:g}".replace(".", "_")


def sensitivity_metrics(indices: SobolIndices) -> dict[str, Any]:
    """``sensitivity.<quantity>.<input>.total`` and its companions.

    The label of a group lists its members; its first word is the key, and the members follow
    where several groups begin with it.
    """
    return _by_factor("sensitivity", indices.factors, indices.to_mapping())


def morris_metrics(effects: MorrisEffects) -> dict[str, Any]:
    """``morris.<quantity>.<input>.mean_size`` and its companions."""
    return _by_factor("morris", effects.factors, effects.to_mapping())


def _by_factor(
    stem: str, factors: Sequence[str], found: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    first = [factor.partition("(")[0] for factor in factors]
    key = {
        factor: word if first.count(word) == 1 else re.sub(r"\W+", "_", factor).strip("_")
        for factor, word in zip(factors, first, strict=True)
    }
    return {
        f"{stem}.{quantity}.{key[factor]}.{kind}": value
        for quantity, by_factor in found.items()
        for factor, numbers in by_factor.items()
        for kind, value in numbers.items()
    }


def summary_table(done: Sweep) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and rows of the table that ends a sweep."""
    summary = done.summary
    rows = [
        [name, summary["units"][name], found.get("mean"), found.get("sd"),
         *(found.get("quantiles", {}).get(q) for q in ("5", "50", "95")), found.get("max")]
        for name, found in summary["quantities"].items()
    ]  # fmt: skip
    return ("quantity", "unit", "mean", "s.d.", "5 %", "50 %", "95 %", "max"), rows


def risk_lines(done: Sweep) -> list[tuple[str, str]]:
    """One line per probability: what is exceeded and how likely."""
    lines = []
    for name, listed in done.summary["exceedance"].items():
        for found in listed:
            if "probability" in found:
                lines.append(
                    (
                        f"P({name} > {found['threshold']:g})",
                        f"= {found['probability']:.3g}, {100 * found['level']:g} % interval "
                        f"{found['low']:.3g} to {found['high']:.3g}",
                    )
                )
    return lines


def not_finite_lines(done: Sweep) -> list[str]:
    """One line per quantity that some samples have no number for: its moments lack them."""
    lines = []
    for name, found in done.summary["quantities"].items():
        absent, of = found["not_finite"], found["count"] + found["not_finite"]
        if absent:
            rest = f"mean, s.d. and quantiles are of the other {found['count']:,}"
            lines.append(
                f"{name} is no finite number in {absent:,} of {of:,} samples (a time of something "
                f"that never happened is inf); {rest if found['count'] else 'it has no mean'}."
            )
    return lines


def reasons(done: Sweep) -> str:
    """Why samples failed, and how many for each reason."""
    return "; ".join(
        f"{found['count']:,} with {name} ({found['reason']})"
        for name, found in done.summary["failures"].items()
    )


def draw(
    done: Sweep,
    indices: SobolIndices | None,
    folder: Path,
    title: str,
    effects: MorrisEffects | None = None,
    paths: Trajectories | None = None,
) -> tuple[Page, list[tuple[str, Path]]]:
    """The page of a sweep and its figures; the tornado stands beside what else drives it."""
    from twinml.report.sweep import sweep_page

    bars = None if indices is None and effects is None else done.tornado()
    page = sweep_page(
        folder, done, indices=indices, bars=bars, effects=effects, paths=paths, title=title
    )
    drawn = ("distributions", "exceedance", "fan", "tornado", "sensitivity", "morris", "failures")
    found = [folder / f"{name}.png" for name in drawn]
    for path in found:
        if path not in page.figures:
            path.unlink(missing_ok=True)  # of the sweep before it was resumed with more rows
    return page, [("figure", path) for path in found if path in page.figures]
