"""The page of two sweeps side by side."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from twinml.report.curves import difference_figure
from twinml.report.page import Page
from twinml.report.style import label

if TYPE_CHECKING:
    from twinml.sweep import Comparison


def write_comparison(path: Path, found: Comparison) -> Path:
    """Write one self-contained page of paired differences, scenario minus baseline."""
    percent = f"{100 * found.level:g} %"
    page = Page("A scenario against its baseline", f"{found.b} minus {found.a}")
    page.paragraph(
        f"{found.rows:,} samples, paired by their number: both draw the same "
        f"{', '.join(found.paired) or 'noise'}. {sum(found.failed.values()):,} pairs are left out "
        "because one side failed."
    )
    quantities = found.quantities
    if any(q["pairs"] for q in quantities.values()):
        with TemporaryDirectory() as folder:
            page.figure(
                difference_figure(Path(folder) / "difference.png", found),
                f"Orange: mean difference with its {percent} interval; blue: the middle 90 % of "
                "the samples' differences.",
            )
    page.table(
        ("quantity", "unit", "baseline", "scenario", "difference", "from", "to", "P(lower)",
         "P(higher)", "variance ratio"),
        [
            [label(name), found.units[name],
             *(q.get(key) for key in ("a", "b", "difference", "low", "high")),
             q["lower"].get("probability"), q["higher"].get("probability"),
             q.get("variance_ratio")]
            for name, q in quantities.items()
        ],
    )  # fmt: skip
    page.paragraph(
        "Variance ratio: how many times more samples would be needed for the same interval, had "
        "the two sweeps not shared their draws."
    )
    rows = [
        [f"{label(name)} over {one['threshold']:g}",
         *(one.get(key) for key in ("a", "b", "difference", "low", "high"))]
        for name, q in quantities.items()
        for one in q["over"]
    ]  # fmt: skip
    if rows:
        page.heading("Probabilities")
        page.table(("event", "baseline", "scenario", "difference", "from", "to"), rows)
    if found.settings or found.identity or found.only_a or found.only_b:
        page.heading("What differs")
        page.table(
            ("what", "baseline", "scenario"),
            [
                *([name, f"{a:g}", f"{b:g}"] for name, (a, b) in found.settings.items()),
                *([name, "drawn", "-"] for name in found.only_a),
                *([name, "-", "drawn"] for name in found.only_b),
                *([name, _short(a), _short(b)] for name, (a, b) in found.identity.items()),
            ],
        )
    return page.write(path)


def _short(value: object) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
