"""``twinml train``: learn a surrogate with calibrated intervals from a sweep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, check_level
from twinml.cli.launcher.keys import LauncherKeys
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.errors import ConfigError
from twinml.run.directory import CHECKPOINT

if TYPE_CHECKING:
    from twinml.surrogate import Surrogate
    from twinml.surrogate.rows import Rows

SURROGATE = "surrogate.pt"


@dataclass(frozen=True)
class Train(Common):
    """Keys of ``twinml train``."""

    surrogate: dict[str, Any] = key({}, "which kind, and its options")
    launcher: LauncherKeys = key(LauncherKeys, "where it runs")
    sweep: str | None = key(None, "the sweep's run directory")
    inputs: list[str] = key([], "columns to predict from; everything that varies when empty")
    targets: list[str] = key([], "columns to predict; every quantity when empty")
    level: float = key(0.9, "share of new rows that each interval should hold")
    split: dict[str, Any] = key({}, "rows or shares of train, calibration, selection, test")


def train(config: Train, job: Job) -> Outcome:
    """Fits one surrogate, scores it on test rows and stores it."""
    from twinml.run.provenance import digest_file
    from twinml.surrogate.fitting import fit
    from twinml.surrogate.rows import prepare_rows
    from twinml.sweep import open_sweep

    if config.sweep is None:
        raise ConfigError(
            "Which sweep? Give sweep=<run directory>, as printed at the end of twinml sweep."
        )
    check_level(config.level)
    if "kind" not in config.surrogate:
        raise ConfigError("This surrogate has no kind: expected kind: mlp or kind: gp in its file.")
    sweep = open_sweep(config.sweep)
    inputs = config.inputs or list(sweep.inputs)
    targets = config.targets or list(sweep.quantities)
    run = job.start({"sweep": digest_file(Path(config.sweep) / "manifest.json")})
    kept = run.path / CHECKPOINT
    with job.console.progress(f"train {config.surrogate['kind']}") as advance, _keeping(job, kept):
        fitted = fit(
            sweep,
            inputs,
            targets,
            surrogate=config.surrogate,
            level=config.level,
            seed=config.seed,
            split=config.split or None,
            progress=lambda what, done, total: advance(done, total, what),
            checkpoint=kept,
        )
    path = run.path / SURROGATE
    fitted.save(path)
    rows = prepare_rows(sweep, inputs, targets, config.split or None, config.seed)
    figures = draw(fitted, rows, run.path)
    metrics = surrogate_metrics(fitted)
    columns, scores = score_table(fitted)
    notes = dropped_lines(rows)
    for line in notes:
        job.console.notice(line)
    return Outcome(
        metrics,
        columns,
        scores,
        f"{fitted.kind} on {fitted.training['rows']['train']:,} train rows, "
        f"scored on {fitted.training['rows'].get('test', 0):,} test rows",
        [("surrogate", path), *figures],
        headline={
            f"{target}.{name}": f"surrogate.{fitted.kind}.{target}.{name}"
            for target in fitted.targets
            for name in ("rmse", _coverage(fitted))
        },
        notes=notes,
    )


@contextmanager
def _keeping(job: Job, checkpoint: Path) -> Iterator[None]:
    """When a training is stopped, says how to go on."""
    if checkpoint.is_file():
        job.console.notice(f"going on from {checkpoint}, where it is of this same training.")
    try:
        yield
    except BaseException:
        if checkpoint.is_file():
            job.console.notice(
                f"the training is kept as far as it came; the same words with "
                f"out={checkpoint.parent} go on from there."
            )
        raise


def dropped_lines(rows: Rows) -> list[str]:
    """What the surrogate has not seen, where that is not a failure of the model."""
    absent = rows.dropped["not_finite"]
    if not absent:
        return []
    return [
        f"{absent:,} rows are left out for all targets, since '{rows.worst}' is no finite number "
        "there (inf: it never happened). The surrogate knows only the others; to learn from all "
        f"rows, leave '{rows.worst}' out by targets=[...]."
    ]


def surrogate_metrics(fitted: Surrogate) -> dict[str, Any]:
    """``surrogate.<kind>.<target>.<score>`` on test rows, and the rows that were used."""
    metrics: dict[str, Any] = {
        f"surrogate.{fitted.kind}.{target}.{name}": value
        for target, scores in fitted.metrics.items()
        for name, value in scores.items()
    }
    for target, scores in fitted.selection_metrics.items():
        metrics[f"surrogate.{fitted.kind}.{target}.selection_crps"] = scores["crps"]
    for part, count in fitted.training["rows"].items():
        metrics[f"surrogate.{fitted.kind}.rows.{part}"] = count
    for reason, count in fitted.training["dropped"].items():
        metrics[f"surrogate.{fitted.kind}.dropped.{reason}"] = count
    metrics[f"surrogate.{fitted.kind}.seconds"] = fitted.training["seconds"]
    return metrics


def score_table(fitted: Surrogate) -> tuple[tuple[str, ...], list[list[Any]]]:
    """Columns and rows of the table that ends a training."""
    columns = ("target", "unit", "rmse", "rmse / range", "R2", "CRPS", "coverage", "width")
    rows = [
        [
            target,
            fitted.target_units[target],
            scores["rmse"],
            scores["rmse"] / scores["range"] if scores["range"] else None,
            scores["r2"],
            scores["crps"],
            scores[_coverage(fitted)],
            scores["width"],
        ]
        for target, scores in fitted.metrics.items()
    ]
    return columns, rows


def _coverage(fitted: Surrogate) -> str:
    from twinml.surrogate.metrics import coverage_key

    return coverage_key(fitted.level)


def draw(fitted: Surrogate, rows: Rows, folder: Path) -> list[tuple[str, Path]]:
    """The figures of a training on its test rows: parity and coverage."""
    import numpy as np

    from twinml.report.risk import coverage_figure, parity_figure

    if len(rows.parts["test"]) == 0:
        return []
    key = _coverage(fitted)
    mean = fitted.predict(rows.parts["test"]).mean
    notes = {
        name: f"rmse {scores['rmse']:.4g}, coverage {scores[key]:.3f}"
        for name, scores in fitted.metrics.items()
    }
    parity = parity_figure(
        folder / "parity.png",
        fitted.targets,
        rows.y("test"),
        np.stack([mean[name] for name in fitted.targets], axis=1),
        fitted.target_units,
        notes,
    )
    covered = {
        name: (scores[key], scores[f"{key}_low"], scores[f"{key}_high"])
        for name, scores in fitted.metrics.items()
    }
    coverage = coverage_figure(folder / "coverage.png", {fitted.kind: covered}, fitted.level)
    return [("figure", parity), ("figure", coverage)]


TASK = Task(
    name="train",
    summary=(
        "Fits a surrogate to the rows of a sweep, calibrates its intervals on rows it has not "
        "seen, scores it on others, and writes surrogate.pt."
    ),
    schema=Train,
    run=train,
    groups=("experiment", "surrogate", "launcher"),
    needs=("surrogate",),
    examples=(
        "twinml train sweep=runs/sweep/2026-01-31/120000-a1b2c3 surrogate=gp",
        "twinml train sweep=runs/sweep/2026-01-31/120000-a1b2c3 -m surrogate=mlp,gp seed=1,2",
    ),
)
