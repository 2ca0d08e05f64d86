"""The page of a study: fit, risk, sensitivity, surrogates, artifact, reproducibility."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.report.fit import fit_figure
from twinml.report.page import Page, shown
from twinml.report.risk import (
    coverage_figure,
    distribution_figure,
    parity_figure,
    risk_figure,
    sensitivity_figure,
)
from twinml.report.style import label

if TYPE_CHECKING:
    from twinml.calibrate import Calibration
    from twinml.data.record import Record
    from twinml.data.table import Table
    from twinml.export import Verification
    from twinml.physics import Physics
    from twinml.surrogate import Surrogate
    from twinml.sweep import SobolIndices, Sweep


@final
@dataclass(frozen=True, eq=False)
class Study:
    """Everything a study found."""

    title: str
    question: str
    twin: str
    model: Physics
    record: Record
    calibration: Calibration
    sweep: Sweep
    table: Table
    curve: Table
    by: str
    by_words: str
    event: str
    surrogates: Mapping[str, Surrogate]
    chosen: str
    choose: tuple[str, str]
    test: Table
    indices: SobolIndices
    verified: Verification
    tampering: tuple[int, int]
    checks: Sequence[tuple[str, float, float, Any, bool]]
    level: float
    seed: int
    provenance: Mapping[str, Any]
    command: str


def write_study(folder: Path, study: Study) -> Path:
    """Draw the figures into ``folder`` and write ``report.html`` there."""
    page = Page(study.title, f"Twin {study.twin}, {len(study.record)} measured samples")
    page.paragraph(study.question)
    page.cards(_headline(study))
    page.paragraph(_answer(study))
    _risk(page, study, folder)
    _fit(page, study, folder)
    _outcomes(page, study, folder)
    _sensitivity(page, study, folder)
    _surrogates(page, study, folder)
    _artifact(page, study)
    _checks(page, study)
    _reproducibility(page, study)
    return page.write(folder / "report.html")


def _amount(value: float, unit: str) -> str:
    """A number with its unit as one says it: 3.75 days, 20 kg."""
    if unit in ("1", ""):
        return f"{value:.3g}"
    plural = unit in ("second", "minute", "hour", "day", "week", "month", "year") and value != 1
    return f"{value:.3g} {unit}{'s' if plural else ''}"


def _percent(value: float) -> str:
    if value in (0.0, 1.0):
        return f"{100 * value:.0f} %"
    if 0 < value < 0.001:
        return "< 0.1 %"
    if 0.999 < value < 1:
        return "> 99.9 %"
    return f"{100 * value:.1f} %"


def _overall(study: Study) -> tuple[float, float, float]:
    from twinml.sweep.intervals import wilson_interval

    over, count = int(study.curve["over"].sum()), int(study.curve["count"].sum())
    low, high = wilson_interval(np.array(over), np.array(count), study.level)
    return over / count, float(low), float(high)


def _headline(study: Study) -> list[tuple[str, str]]:
    probability, low, high = _overall(study)
    first, last = study.curve["probability"][0], study.curve["probability"][-1]
    by, unit = study.by_words, study.table.units[study.by]
    ends = study.curve["centre"]
    target = study.choose[0]
    scores = study.surrogates[study.chosen].metrics[target]
    return [
        (
            _percent(probability),
            f"of all scenarios: {study.event} "
            f"({100 * study.level:g} % interval {_percent(low)} to {_percent(high)})",
        ),
        (
            f"{_percent(first)} to {_percent(last)}",
            f"the same, from {by} near {_amount(ends[0], unit)} to near {_amount(ends[-1], unit)}",
        ),
        (f"{study.table.columns['sample'].shape[0]:,}", "scenarios simulated, "
         f"{study.sweep.failed} failed"),
        (
            _percent(scores["rmse"] / scores["range"]),
            f"error of the exported surrogate for {label(target)}, share of its range",
        ),
    ]  # fmt: skip


def _answer(study: Study) -> str:
    """The latest value of the input at which the risk still stays under one in ten, in words."""
    curve = study.curve
    by, unit = study.by_words, study.table.units[study.by]
    sentences = []
    for limit, words in ((0.1, "one in ten"), (0.5, "one in two")):
        under = curve["upper"] < limit
        if under.all():
            sentences.append(f"The risk stays under {words} for every {by} considered.")
        elif under[0]:
            last = int(np.argmin(under)) - 1
            sentences.append(
                f"The risk stays under {words}, with {100 * study.level:g} % confidence, as long "
                f"as {by} is at most {_amount(curve['to'][last], unit)}."
            )
        elif under[-1]:
            first = len(under) - int(np.argmin(under[::-1]))
            sentences.append(
                f"The risk falls under {words} once {by} is at least "
                f"{_amount(curve['from'][first], unit)}."
            )
        else:
            sentences.append(f"No {by} considered brings the risk under {words}.")
    return " ".join(sentences)


def _risk(page: Page, study: Study, folder: Path) -> None:
    page.heading("The risk")
    unit = study.table.units[study.by]
    page.figure(
        risk_figure(
            folder / "risk.png", study.curve, study.by_words, unit, study.event, study.level
        ),
        f"Share of scenarios with {study.event}, by {study.by_words}; shaded: "
        f"{100 * study.level:g} % Wilson interval of each bin. The spread within a bin comes from "
        "everything else that varies, the calibrated parameters included.",
    )


def _fit(page: Page, study: Study, folder: Path) -> None:
    from twinml.calibrate import bands

    calibration, model, record = study.calibration, study.model, study.record
    times = record.time_in(model.time_unit)
    dense = np.union1d(np.linspace(times[0], times[-1], 281), times)
    drawn = bands(model, calibration, record, dense, study.level, seed=study.seed)
    units = {name: model.declared.outputs[name].unit for name in drawn}
    measured = {name: record.values_in(name, units[name]) for name in drawn}
    page.heading("The model on the record")
    page.figure(
        fit_figure(folder / "fit.png", drawn, times, measured, units, model.time_unit),
        "Measured values, the calibrated model, and two bands: what the parameters leave open, and "
        "where a new measurement would fall. Below: measured minus model.",
    )
    interval = calibration.interval(study.level)
    percent = f"{100 * study.level:g} %"
    page.table(
        ("quantity", "unit", "estimate", "standard error", f"{percent} from", f"{percent} to"),
        [
            [
                label(name), calibration.units[i], float(calibration.values[i]),
                float(calibration.std[i]), float(interval[i][0]), float(interval[i][1]),
            ]
            for i, name in enumerate(calibration.names)
        ],
    )  # fmt: skip
    fits = ", ".join(
        f"{label(n)} {shown(v)}{'' if units[n] == '1' else ' ' + units[n]}"
        for n, v in calibration.rmse.items()
    )
    strongest = _strongest(calibration)
    page.paragraph(
        f"Root mean square residual: {fits}. {calibration.agreeing} of the refined starts, out of "
        f"{calibration.starts} tried, end at this fit.{strongest}"
    )


def _strongest(calibration: Calibration) -> str:
    matrix = np.abs(np.tril(calibration.correlation, -1))
    if matrix.size < 4:
        return ""
    i, j = np.unravel_index(int(matrix.argmax()), matrix.shape)
    value = float(calibration.correlation[i, j])
    a, b = label(calibration.names[j]), label(calibration.names[i])
    return (
        f" {a} and {b} correlate at {value:.2f}; the scenarios draw all fitted quantities jointly."
    )


def _outcomes(page: Page, study: Study, folder: Path) -> None:
    page.heading("What comes out of the scenarios")
    names = study.sweep.quantities
    values = {name: study.table[name] for name in names}
    page.figure(
        distribution_figure(folder / "quantities.png", values, study.table.units),
        "Distribution over all scenarios; dashed: 5, 50 and 95 % quantiles.",
    )
    rows = []
    for name, facts in study.sweep.summary["quantities"].items():
        quantiles = facts.get("quantiles", {})
        rows.append(
            [label(name), study.table.units[name], facts.get("mean"), facts.get("sd"),
             *quantiles.values()]
        )  # fmt: skip
    page.table(("quantity", "unit", "mean", "s.d.", "5 %", "50 %", "95 %"), rows)


def _sensitivity(page: Page, study: Study, folder: Path) -> None:
    page.heading("What drives the outcome")
    page.figure(
        sensitivity_figure(folder / "sensitivity.png", study.indices),
        f"Sobol indices from {study.indices.samples:,} base samples: the share of the variance "
        "that an input explains alone, and with its interactions; lines: "
        f"{100 * study.indices.level:g} % bootstrap intervals. Calibrated quantities are "
        "correlated and count as one.",
    )


def _surrogates(page: Page, study: Study, folder: Path) -> None:
    target, score = study.choose
    chosen = study.surrogates[study.chosen]
    page.heading("Learned stand-ins")
    page.paragraph(
        f"{len(study.surrogates)} surrogates learned the quantities from the same rows; "
        f"{study.chosen} has the lower {score.upper()} of {label(target)} on the selection rows "
        f"and is exported. All figures here are on {len(study.test):,} test rows that neither "
        "training, nor calibration of the intervals, nor the choice has seen."
    )
    prediction = chosen.predict(study.test)
    coverage = _coverage_key(chosen)
    notes = {
        t: f"RMSE {shown(m['rmse'])} ({_percent(m['rmse'] / m['range'])} of range)"
        f"\ncoverage {_percent(m[coverage])}"
        for t, m in chosen.metrics.items()
    }
    page.figure(
        parity_figure(
            folder / "parity.png",
            chosen.targets,
            np.stack([study.test[t] for t in chosen.targets], axis=1),
            np.stack([prediction.mean[t] for t in chosen.targets], axis=1),
            study.table.units,
            notes,
        ),
        f"{study.chosen}: surrogate against simulation on test rows (a sample of them is drawn).",
    )
    page.figure(
        coverage_figure(
            folder / "coverage.png",
            {
                name: {
                    t: (m[coverage], m[f"{coverage}_low"], m[f"{coverage}_high"])
                    for t, m in s.metrics.items()
                }
                for name, s in study.surrogates.items()
            },
            study.level,
        ),
        f"Share of test rows inside the {100 * study.level:g} % intervals, with its own 95 % "
        "confidence interval; shaded: two points either side.",
    )
    page.table(
        ("surrogate", "quantity", "RMSE", "RMSE / range", "R2", "CRPS", "coverage", "mean width"),
        [
            [name, label(t), m["rmse"], m["rmse"] / m["range"] if m["range"] else None, m["r2"],
             m["crps"], m[coverage], m["width"]]
            for name, s in study.surrogates.items()
            for t, m in s.metrics.items()
        ],
    )  # fmt: skip


def _coverage_key(surrogate: Surrogate) -> str:
    from twinml.surrogate.metrics import coverage_key

    return coverage_key(surrogate.level)


def _artifact(page: Page, study: Study) -> None:
    verified = study.verified
    tried, accepted = study.tampering
    page.heading("The artifact")
    page.paragraph(
        f"{study.chosen} is exported as {verified.target}: one folder that needs only torch, with "
        "units, scaling, intervals and validity guard inside the model. It was read back and "
        f"compared with the surrogate on {verified.rows} rows at batch sizes "
        f"{', '.join(map(str, verified.batch_sizes))}: largest difference "
        f"{max(verified.largest.values()):.2g} of an output's largest magnitude. Of {tried} copies "
        f"with one flipped bit, {accepted} were accepted."
    )


def _checks(page: Page, study: Study) -> None:
    if not study.checks:
        return
    page.heading("Checks")
    page.table(
        ("figure", "from", "to", "measured", "holds"),
        [[name, low, high, value, good] for name, low, high, value, good in study.checks],
    )


def _reproducibility(page: Page, study: Study) -> None:
    block = study.provenance
    git = block.get("git") or block.get("twinml_git") or {}
    manifest = study.sweep.manifest
    page.heading("Reproducibility")
    page.facts(
        {
            "seed": study.seed,
            "record (sha256)": study.record.digest,
            "calibration (sha256)": study.calibration.posterior.digest,
            "sweep": f"design {study.sweep.scenario.design}, {study.sweep.done:,} samples, "
            f"engine {manifest['identity'].get('engine', '')}",
            "commit": f"{git.get('commit', 'not in a git checkout')}"
            + (" (with local changes)" if git.get("dirty") else ""),
            "packages": ", ".join(f"{k} {v}" for k, v in block.get("packages", {}).items()),
            "python": block.get("python"),
            "device": (block.get("device") or {}).get("cpu"),
            "started": block.get("started"),
        }
    )
    page.paragraph("To compute everything again and compare every figure bit for bit:")
    page.code(study.command)
