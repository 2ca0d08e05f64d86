"""``twinml calibrate``: fit a twin's parameters to its record."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, MethodKeys, check_level
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.twin import TwinKeys, build_model, build_record, record_digests
from twinml.errors import ConfigError

if TYPE_CHECKING:
    from twinml.calibrate import Calibration
    from twinml.data.record import Record
    from twinml.physics import Physics


FIGURES = 12  # experiments drawn


def tight() -> MethodKeys:
    """Tolerances for a fit: its Jacobian should carry no noise of the steps."""
    return MethodKeys(rtol=1e-8, atol=1e-10)


@dataclass(frozen=True)
class Calibrate(Common):
    """Keys of ``twinml calibrate``."""

    twin: TwinKeys | None = key(None, "what to calibrate")
    solver: MethodKeys = key(tight, "how to integrate")
    starts: int = key(64, "starting points to try")
    level: float = key(0.9, "probability of the intervals")


def calibrate(config: Calibrate, job: Job) -> Outcome:
    """Fits once, from several starts, and stores ``calibration.json``."""
    from twinml.data.quality.doubts import doubts
    from twinml.run.provenance import digest_source

    assert config.twin is not None
    check_level(config.level)
    twin = config.twin
    with job.blaming("twin"):
        model = build_model(twin)
    record = build_record(twin, model)
    if not twin.calibrate.fit and not twin.calibrate.fit_initial:
        raise ConfigError(
            f"Twin '{twin.name}' names nothing to fit: give fit=[...] with some of "
            f"{', '.join(model.declared.parameters)}, and fit_initial=[...] for initial values."
        )
    run = job.start({"model": digest_source(type(model)), **record_digests(record)})
    aside = _set_aside(record, run.path)
    doubtful = [f"Record: {text}." for text in doubts(record)]
    for line in doubtful:
        job.console.notice(line)
    fitted = fit_record(job, twin, model, record, config.starts, config.seed, config.solver)
    path = fitted.save(run.path)
    figures = draw(fitted, model, record, config.level, run.path)
    return Outcome(
        {**fitted.metrics(config.level), **record.metrics()},
        *estimates(fitted, config.level),
        f"{twin.name}: {', '.join(_quality(fitted))}",
        [("calibration", path), *figures, *aside],
        headline=tuple(
            name
            for name in fitted.metrics(config.level)
            if name.endswith(".value") or name.endswith("rmse")
        ),
        notes=(*(f"Record: {note}." for note in record.notes), *doubtful),
    )


def fit_record(
    job: Job,
    twin: TwinKeys,
    model: Physics,
    record: Record,
    starts: int,
    seed: int,
    solver: MethodKeys,
) -> Calibration:
    """The verb with the twin's own choices, under a progress bar."""
    from twinml.calibrate import calibrate as fit

    noise = {name: keys.noise for name, keys in twin.outputs.items() if keys.noise is not None}
    with job.console.progress(f"calibrate {twin.name}") as advance:
        fitted = fit(
            model,
            record,
            fit=twin.calibrate.fit,
            fit_initial=twin.calibrate.fit_initial,
            starts=starts,
            seed=seed,
            noise=noise or None,
            progress=advance,
            **solver.arguments(),
        )
    if not fitted.converged:
        job.console.notice(
            "the best start met no stopping rule; look at the fit, give more starts."
        )
    return fitted


def _set_aside(record: Record, folder: Path) -> list[tuple[str, Path]]:
    """Rows of the file that the record's rules left out, kept beside the fit."""
    if not len(record.set_aside):
        return []
    path = folder / "set_aside.parquet"
    record.set_aside.write_parquet(path)
    return [("rows set aside", path)]


def estimates(fitted: Calibration, level: float) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and rows of the table that ends a calibration."""
    percent = f"{100 * level:g} %"
    interval = fitted.interval(level)
    rows = [
        [name, unit, float(value), float(std), float(ends[0]), float(ends[1])]
        for name, unit, value, std, ends in zip(
            fitted.names, fitted.units, fitted.values, fitted.std, interval, strict=True
        )
    ]
    return ("quantity", "unit", "value", "s.d.", f"{percent} low", f"{percent} high"), rows


def _quality(fitted: Calibration) -> list[str]:
    residuals = [f"rmse of {name} {value:.5g}" for name, value in fitted.rmse.items()]
    return [*residuals, f"{fitted.starts} starts screened, {fitted.agreeing} ended here"]


def draw(
    fitted: Calibration, model: Physics, record: Record, level: float, folder: Path
) -> list[tuple[str, Path]]:
    """A figure of the fit per experiment: measured values on both bands, residuals below."""
    import numpy as np

    from twinml.calibrate import bands
    from twinml.report.fit import fit_figure

    names = record.experiments[:FIGURES] if len(record.experiments) > 1 else ("",)
    drawn = []
    for name in names:
        one = record.experiment(name) if name else record
        safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
        times = one.time_in(model.time_unit)
        # The samples themselves belong to it: between others a residual at a jump is wrong. The
        # others show what the model does between distant samples and over a gap.
        dense = np.union1d(np.linspace(times[0], times[-1], 241), times)
        found = bands(model, fitted, one, dense, level)
        outputs = model.declared.outputs
        path = fit_figure(
            folder / (f"fit_{safe}.png" if name else "fit.png"),
            found,
            times,
            {output: one.values_in(output, outputs[output].unit) for output in found},
            {output: outputs[output].unit for output in found},
            model.time_unit,
        )
        drawn.append((f"figure {name}".strip(), path))
    return drawn


TASK = Task(
    name="calibrate",
    summary=(
        "Fits the parameters and initial values that the twin names to its record, from several "
        "starts, and writes calibration.json with the joint uncertainty."
    ),
    schema=Calibrate,
    run=calibrate,
    groups=("experiment", "twin", "solver"),
    needs=("twin",),
    examples=(
        "twinml calibrate twin=outbreak",
        "twinml calibrate twin=outbreak fit=[beta] parameters.gamma=0.45 starts=8",
    ),
)
