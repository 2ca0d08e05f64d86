"""``twinml export``: write a trained surrogate as an artifact that needs only torch."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinml.cli.common import Common
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.tasks.train import SURROGATE
from twinml.errors import ConfigError, DataError


@dataclass(frozen=True)
class TargetKeys:
    """A file of ``configs/target/``."""

    name: str = key("torchscript", "format of the artifact")


@dataclass(frozen=True)
class Export(Common):
    """Keys of ``twinml export``; ``out`` is the artifact's folder."""

    out: str | None = key(None, "the artifact's folder; dist/<surrogate's first target> when unset")
    target: TargetKeys = key(TargetKeys, "format of the artifact")
    run: str | None = key(None, "the run directory of twinml train or twinml demo")
    overwrite: bool = key(False, "replace an artifact that is already there")


def export(config: Export, job: Job) -> Outcome:
    """Writes and verifies one artifact."""
    from twinml.export import export as write_artifact
    from twinml.run import open_run
    from twinml.run.provenance import digest_file
    from twinml.surrogate import load_surrogate

    if config.run is None:
        raise ConfigError(
            "Which surrogate? Give run=<run directory>, as printed at the end of twinml train."
        )
    trained = open_run(config.run).path / SURROGATE
    if not trained.is_file():
        raise DataError(
            f"The run in {config.run} holds no {SURROGATE}; expected a run of twinml train."
        )
    surrogate = load_surrogate(trained)
    out = Path(config.out) if config.out else Path("dist") / surrogate.targets[0]
    _check_place(out, config.overwrite)
    job.start({SURROGATE: digest_file(trained)})
    artifact = write_artifact(surrogate, out, config.target.name, overwrite=config.overwrite)
    metrics, checked = summary(artifact.path)
    return Outcome(
        metrics,
        list(checked[0]),
        [list(row.values()) for row in checked],
        f"{surrogate.kind} as {config.target.name}, verified",
        [("artifact", artifact.path)],
        headline=("export.bytes", "export.largest_difference"),
    )


def _check_place(out: Path, overwrite: bool) -> None:
    """Refuses a place that holds something, or cannot be written, before any work.

    Raises:
        ConfigError: with what to type instead.
    """
    if out.exists() and not overwrite:
        raise ConfigError(
            f"out={out} exists already. Name a new folder, or add overwrite=true to replace the "
            "artifact in it."
        )
    there = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise ConfigError(
            f"out={out} cannot be written: {error.strerror}. Choose another with out=<folder>."
        ) from error


def summary(path: Path) -> tuple[dict[str, Any], list[dict[str, str]]]:
    """Metrics and table rows of an artifact, read back and verified."""
    from twinml.export import verify

    verified = verify(path)
    metrics = {
        "export.bytes": verified.bytes,
        "export.largest_difference": max(verified.largest.values()),
    }
    return metrics, verified.table()


TASK = Task(
    name="export",
    summary=(
        "Writes the surrogate of a training run as a folder that needs only torch, with units, "
        "scaling, intervals and guard inside the model, and verifies it."
    ),
    schema=Export,
    run=export,
    groups=("target",),
    needs=("target",),
    examples=("twinml export run=runs/train/2026-01-31/120000-a1b2c3 out=dist/outbreak",),
    out_is_run=False,
)
