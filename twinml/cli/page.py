"""``report.html`` of a run: what came out, the figures, and what would make it again."""

from __future__ import annotations

from pathlib import Path

from twinml.cli.task import Job, Outcome
from twinml.report.page import Page

NAME = "report.html"
CAPTIONS = {
    "trajectory": "States and outputs over time.",
    "fit": "Measured values, the calibrated model, what its parameters leave open, and where a new "
    "measurement would fall. Below: measured minus model.",
    "distributions": "Distribution over all samples; dashed: 5, 50 and 95 % quantiles.",
    "sensitivity": "Sobol indices: the share of the variance that an input explains alone, and "
    "with its interactions; lines: bootstrap intervals.",
    "parity": "Surrogate against simulation, on test rows that it has not seen.",
    "coverage": "Share of test rows inside the intervals, with its own 95 % confidence interval; "
    "shaded: two points either side of what is promised.",
}


def write_page(outcome: Outcome, job: Job) -> Path | None:
    """Writes the run's page, unless the task wrote its own.

    Returns:
        The page; None without a run directory or where there is one already.
    """
    if job.run is None or (not job.resumed and (job.run.path / NAME).exists()):
        return None
    block = job.run.provenance()
    page = outcome.page or _begin(outcome, job)
    for note in outcome.notes:
        page.paragraph(note)
    page.heading("Metrics")
    page.table(("metric", "value"), [[name, value] for name, value in outcome.metrics.items()])
    page.heading("To make it again")
    page.code(f"twinml reproduce run={job.run.path}")
    git = block["git"] or block["twinml_git"] or {}
    page.facts(
        {
            "command": "twinml " + " ".join(block["command"]),
            "seed": str(block["seed"]),
            "started": block["started"],
            "commit": git.get("commit", "not in a git checkout")
            + (" with changes" if git.get("dirty") else ""),
            "packages": ", ".join(
                f"{name} {version}" for name, version in block["packages"].items()
            ),
            "python": f"{block['python']} on {block['platform']}",
            "processor": ", ".join([block["device"]["cpu"], *block["device"].get("cuda", [])]),
            **{f"sha256 of {name}": digest for name, digest in block["inputs"].items()},
        }
    )
    return page.write(job.run.path / NAME)


def _begin(outcome: Outcome, job: Job) -> Page:
    page = Page(f"twinml {job.task.name}", outcome.title)
    if outcome.rows:
        page.table(outcome.columns, outcome.rows)
    for _, path in outcome.written:
        if path.suffix == ".png":
            page.figure(path, CAPTIONS.get(path.stem, path.stem.replace("_", " ")))
    return page
