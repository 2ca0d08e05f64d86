"""``twinml demo``: the whole chain on a measured record, from the fit to the report."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.cli.common import Common, ExecutorKeys, SolverKeys, check_level
from twinml.cli.schema import key
from twinml.cli.task import Job, Outcome, Task
from twinml.cli.tasks.calibrate import fit_record, tight
from twinml.cli.tasks.export import TargetKeys
from twinml.cli.tasks.sweep import check_base_samples, solver_arguments
from twinml.cli.tasks.sweep_outcome import sensitivity_metrics, summary_metrics
from twinml.cli.tasks.train import SURROGATE, surrogate_metrics
from twinml.cli.twin import TwinKeys, build_model, build_record
from twinml.errors import ConfigError, WorkError, nearest

if TYPE_CHECKING:
    from twinml.data import Table
    from twinml.surrogate import Surrogate
    from twinml.sweep import Sweep


@dataclass(frozen=True)
class ChooseKeys:
    """How one surrogate is chosen, on the selection rows."""

    target: str = key("", "quantity that decides")
    score: str = key("crps", "score that decides, the lower the better")


@dataclass(frozen=True)
class RiskKeys:
    """The risk that the report draws."""

    quantity: str = key("", "quantity whose exceedance is the risk")
    threshold: float = key(0.0, "above this it counts")
    by: str = key("", "varied input on the horizontal axis")
    by_words: str = key("", "that input in words")
    bins: int = key(16, "bins over that input")
    event: str = key("", "the event in words")


@dataclass(frozen=True)
class TextKeys:
    """Words of the report."""

    title: str = key("", "title")
    question: str = key("", "what the study asks")


@dataclass(frozen=True)
class Demo(Common):
    """Keys of ``twinml demo``."""

    twin: TwinKeys | None = key(None, "what to calibrate and sweep")
    scenario: Any = key(None, "what varies")
    solver: SolverKeys = key(SolverKeys, "how the sweep integrates")
    executor: ExecutorKeys = key(ExecutorKeys, "who computes the sweep")
    target: TargetKeys = key(TargetKeys, "format of the artifact")
    surrogates: dict[str, Any] = key({}, "the surrogates that compete, kind and options")
    samples: int = key(100_000, "scenarios")
    workers: int | None = key(None, "processes; one per core when unset")
    starts: int = key(64, "starting points of the calibration")
    sensitivity_samples: int = key(1024, "base samples of the Sobol indices")
    split: dict[str, Any] = key({}, "rows of train, calibration, selection, test")
    level: float = key(0.9, "probability of every interval")
    choose: ChooseKeys = key(ChooseKeys, "how one surrogate is chosen")
    risk: RiskKeys = key(RiskKeys, "the risk that the report draws")
    text: TextKeys = key(TextKeys, "words of the report")
    checks: dict[str, Any] = key({}, "metric -> [low, high] that must hold")


def demo(config: Demo, job: Job) -> Outcome:
    """Runs every stage in order; a check that fails is reported and ends with exit 1."""
    from twinml.export import export, flipped_bits, verify
    from twinml.report.study import Study, write_study
    from twinml.run.provenance import digest_source
    from twinml.scenario import Scenario
    from twinml.surrogate.rows import prepare_rows
    from twinml.sweep import exceedance_by, sweep

    if config.twin is None or not config.scenario or not config.surrogates:
        raise ConfigError(
            "A demo needs a twin, a scenario and surrogates: add experiment=outbreak."
        )
    _check_choices(config)
    model = build_model(config.twin)
    record = build_record(config.twin, model)
    scenario = Scenario.from_mapping(
        config.scenario, where=f"scenario {job.composed.choices.get('scenario', '')}".strip()
    )
    for name, known in (
        (config.risk.quantity, scenario.quantities),
        (config.choose.target, scenario.quantities),
        (config.risk.by, scenario.vary),
    ):
        if name not in known:
            raise ConfigError(f"'{name}' is not among {list(known)}.{nearest(name, known)}")
    run = job.start({"model": digest_source(type(model)), "record": record.digest})
    clock = Clock(job)
    with clock.stage("calibrate"):
        calibration = fit_record(
            job, config.twin, model, record, config.starts, config.seed, tight()
        )
        calibration.save(run.path)
    with clock.stage("sweep"), job.console.progress("sweep") as advance:
        done = sweep(
            model, scenario, config.samples, seed=config.seed, executor=config.executor.name,
            workers=config.workers, out=run.path / "sweep", calibration=calibration,
            progress=lambda rows, total, failed: advance(rows, total, f"{failed} failed"),
            **solver_arguments(config.solver),
        )  # fmt: skip
    table = done.table()
    fitted: dict[str, Surrogate] = {}
    for name, options in config.surrogates.items():
        with clock.stage(f"train {name}"):
            fitted[name] = _fit(config, job, done, table, name, options)
    chosen = min(
        fitted,
        key=lambda n: fitted[n].selection_metrics[config.choose.target][config.choose.score],
    )
    fitted[chosen].save(run.path / SURROGATE)
    with clock.stage("export"):
        artifact = export(fitted[chosen], run.path / "artifact", config.target.name)
        verified = verify(artifact.path)
        tried, accepted = flipped_bits(artifact.path)
    with clock.stage("sensitivity"):
        indices = done.sensitivity(config.sensitivity_samples)
    metrics: dict[str, Any] = {
        **calibration.metrics(config.level),
        **summary_metrics(done),
        **{k: v for s in fitted.values() for k, v in surrogate_metrics(s).items()},
        **_chosen_metrics(fitted[chosen], chosen, config.choose.target),
        "export.largest_difference": max(verified.largest.values()),
        "export.bytes": verified.bytes,
        "export.sha256": _digest(artifact.path / "manifest.json"),
        "export.flipped_bits_tried": tried,
        "export.flipped_bits_accepted": accepted,
        **sensitivity_metrics(indices),
    }
    checks = judged(config.checks, metrics)
    with clock.stage("report"):
        report = write_study(
            run.path,
            Study(
                title=config.text.title or config.twin.name,
                question=config.text.question,
                twin=config.twin.name,
                model=model,
                record=record,
                calibration=calibration,
                sweep=done,
                table=table,
                curve=exceedance_by(
                    table, config.risk.quantity, config.risk.threshold, config.risk.by,
                    config.risk.bins, config.level,
                ),
                by=config.risk.by,
                by_words=config.risk.by_words or config.risk.by,
                event=config.risk.event or f"{config.risk.quantity} > {config.risk.threshold:g}",
                surrogates=fitted,
                chosen=chosen,
                choose=(config.choose.target, config.choose.score),
                test=prepare_rows(
                    table, done.inputs, done.quantities, config.split or None, config.seed
                ).parts["test"],
                indices=indices,
                verified=verified,
                tampering=(tried, accepted),
                checks=checks,
                level=config.level,
                seed=config.seed,
                provenance=run.provenance(),
                command=f"twinml reproduce run={run.path}",
            ),
        )  # fmt: skip
    metrics.update(clock.metrics())
    failed = [name for name, _, _, _, good in checks if not good]
    outcome = Outcome(
        metrics,
        ("check", "from", "to", "measured", "holds"),
        [[n, low, high, value, "yes" if good else "NO"] for n, low, high, value, good in checks],
        f"{config.text.title}: {len(checks) - len(failed)} of {len(checks)} checks hold",
        [("report", report), ("artifact", artifact.path), ("sweep", done.path)],
        headline=("fit.rmse", "surrogate.chosen.relative_rmse"),
    )
    if failed:
        run.write_metrics(metrics)
        job.console.table(outcome.columns, outcome.rows, outcome.title)
        unknown = [name for name in failed if name not in metrics]
        hint = ""
        if unknown:
            hint = f" No figure is called '{unknown[0]}'.{nearest(unknown[0], metrics)}"
        raise WorkError(
            f"{len(failed)} of {len(checks)} checks do not hold: {', '.join(failed)}.{hint} The "
            f"report with every figure is {report}."
        )
    return outcome


class Clock:
    """Seconds per stage, told as they pass."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        begin = time.perf_counter()
        yield
        self.seconds[name] = time.perf_counter() - begin
        self.job.console.notice(f"{name}: {self.seconds[name]:.1f} s")

    def metrics(self) -> dict[str, float]:
        return {f"demo.{n.replace(' ', '_')}.seconds": s for n, s in self.seconds.items()}


def _check_choices(config: Demo) -> None:
    for name, limits in config.checks.items():
        good = isinstance(limits, (list, tuple)) and len(limits) == 2
        if not good or any(isinstance(x, bool) or not isinstance(x, (int, float)) for x in limits):
            raise ConfigError(f"checks.{name}={limits!r} cannot be used: expected [low, high].")
    check_level(config.level)
    check_base_samples("sensitivity_samples", config.sensitivity_samples)
    counts = {part: size for part, size in config.split.items() if isinstance(size, int)}
    if config.split and sum(counts.values()) > config.samples:
        raise ConfigError(
            f"split asks for {sum(counts.values()):,} rows and samples={config.samples:,} gives "
            "fewer. Give more samples, or a smaller split={train: ..., calibration: ..., "
            "selection: ..., test: ...}."
        )
    for part in ("train", "calibration", "selection", "test"):
        if config.split and not config.split.get(part):
            raise ConfigError(
                f"split has no {part} rows; a demo needs train, calibration, selection and test. "
                "Give all four, in rows or in shares."
            )
    if config.choose.score not in ("crps", "rmse"):
        raise ConfigError(f"choose.score={config.choose.score!r} cannot be used: crps or rmse.")
    kinds = [options.get("kind") for options in config.surrogates.values() if options]
    twice = [kind for kind in kinds if kinds.count(kind) > 1]
    if twice:
        # Figures are filed by kind, so a second one would overwrite the first.
        raise ConfigError(f"surrogates holds '{twice[0]}' twice; a demo compares one of each kind.")


def _fit(config: Demo, job: Job, done: Sweep, table: Table, name: str, options: Any) -> Surrogate:
    from twinml.surrogate import fit

    with job.console.progress(f"train {name}") as advance:
        return fit(
            table, done.inputs, done.quantities, surrogate=options, level=config.level,
            seed=config.seed, split=config.split or None,
            progress=lambda what, at, total: advance(at, total, what),
        )  # fmt: skip


def _chosen_metrics(chosen: Surrogate, name: str, target: str) -> dict[str, Any]:
    scores = chosen.metrics[target]
    return {
        "surrogate.chosen.name": name,
        "surrogate.chosen.target": target,
        "surrogate.chosen.relative_rmse": scores["rmse"] / scores["range"],
    }


def judged(
    checks: dict[str, Any], metrics: dict[str, Any]
) -> list[tuple[str, float, float, Any, bool]]:
    """Each check with what was measured and whether it holds; what was not measured does not."""
    rows = []
    for name, (low, high) in checks.items():
        value = metrics.get(name)
        rows.append((name, low, high, value, value is not None and low <= value <= high))
    return rows


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


TASK = Task(
    name="demo",
    summary=(
        "The whole chain on a measured record: calibrate, sweep, train two surrogates, choose, "
        "test, export, verify, and write report.html. Exit 1 when a check does not hold."
    ),
    schema=Demo,
    run=demo,
    groups=("experiment", "twin", "scenario", "solver", "executor", "target", "surrogate"),
    examples=("twinml demo", "twinml demo experiment=outbreak samples=20_000 split={}"),
)
