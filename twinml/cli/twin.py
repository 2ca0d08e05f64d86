"""A twin's YAML: which model, its fixed values, its record and what to fit."""

from __future__ import annotations

from dataclasses import dataclass, fields
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from twinml import resources
from twinml.cli.console import Console
from twinml.cli.schema import key
from twinml.cli.target import build_target, import_target
from twinml.errors import ConfigError, DataError, nearest

if TYPE_CHECKING:
    from twinml.calibrate import Calibration
    from twinml.data.posterior import Posterior
    from twinml.data.record import Record
    from twinml.physics import Physics

# Records that ship with the package are named `package:<file>`.
SHIPPED = "package:"
NOT_SET = "${paths.data}"


@dataclass(frozen=True)
class TimeKeys:
    """Where time comes from: a column, or a period between rows."""

    column: str | None = key(None, "column that holds time")
    unit: str | None = key(None, "unit of that column or of period; the model's when unset")
    period: float | None = key(None, "time between rows, for a record without a time column")
    zone: str | None = key(None, "zone of datetimes without an offset: UTC, Europe/Berlin, +01:00")
    format: str | None = key(None, "datetimes that are not ISO 8601, such as %d.%m.%Y %H:%M:%S")


@dataclass(frozen=True)
class DataKeys:
    """The file of a record, and what holds for it."""

    path: str | list[str] | None = key(
        None, "CSV, Parquet or MAT file, several, or a pattern; package:<name> for a shipped one"
    )
    format: str | None = key(None, "csv, parquet or mat; by the file's ending when unset")
    experiments: str | list[str] | None = key(None, "column(s) that label the experiment of a row")
    experiment: str | None = key(None, "the one experiment to use")
    start: float | None = key(None, "first time to use, in time.unit since the first row")
    stop: float | None = key(None, "last time to use; what lies behind stays unseen")
    late: Literal["refuse", "sort", "set_aside"] = key(
        "refuse", "rows whose time runs backwards: refuse, sort, set_aside"
    )
    duplicates: Literal["refuse", "first", "last", "mean"] = key(
        "refuse", "rows of one time: refuse, first, last, mean"
    )
    missing: list[str] = key([], "texts that mark a missing sample, beside empty cells and nan")
    header_units: bool = key(True, "whether 'name [unit]' in a header states a unit")
    delimiter: str | None = key(
        None, "of text: comma, semicolon, tab, bar, space; found when unset"
    )
    decimal: str | None = key(None, "decimal mark of text, '.' or ','; found when unset")
    encoding: str | None = key(None, "of text, such as latin-1; utf-8 when unset")
    header: bool = key(True, "whether the first line of text names the columns")
    names: list[str] | None = key(None, "names of the columns of text without a header line")

    def rules(self) -> dict[str, Any]:
        """The keywords of ``Record.read`` that these keys stand for."""
        apart = ("path", "start", "stop")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in apart}


@dataclass(frozen=True)
class OutputKeys:
    """How an output was measured."""

    column: str = key("", "column of the record")
    unit: str | None = key(None, "unit of the column; the output's own when unset")
    noise: float | None = key(None, "measurement s.d.; estimated when unset")


@dataclass(frozen=True)
class InputKeys:
    """How an input was recorded."""

    column: str = key("", "column of the record")
    unit: str | None = key(None, "unit of the column; the input's own when unset")
    kind: Literal["hold", "linear"] = key("hold", "hold or linear between rows")
    missing: Literal["refuse", "fill"] = key(
        "refuse", "missing samples: refuse, or fill by kind (last value; line between neighbours)"
    )


@dataclass(frozen=True)
class CalibrateKeys:
    """What a calibration adjusts."""

    fit: list[str] = key([], "parameters to fit")
    fit_initial: list[str] = key([], "states whose initial value is fitted")


@dataclass(frozen=True)
class TwinKeys:
    """A file of ``configs/twin/``."""

    name: str = key("", "the twin's name; that of its file")
    model: dict[str, Any] = key({}, "class to build (_target_) and its arguments")
    parameters: dict[str, Any] = key({}, "values that replace defaults; text may carry a unit")
    time: TimeKeys = key(TimeKeys, "time axis of the record")
    data: DataKeys | None = key(None, "the record's file")
    outputs: dict[str, OutputKeys] = key({}, "output -> column, unit, noise")
    inputs: dict[str, InputKeys] = key({}, "input -> column, unit, kind")
    calibrate: CalibrateKeys = key(CalibrateKeys, "what to fit")
    calibration: str | None = key(None, "run or calibration.json that `calibrated` reads")
    dt: float | None = key(None, "step of a model with noise, in its time unit; or solver.dt")


def build_model(twin: TwinKeys) -> Physics:
    """The twin's model with its fixed values.

    Raises:
        ConfigError: the class cannot be imported or built; shows the user's own line.
    """
    from twinml.physics import Physics

    arguments = dict(twin.model)
    target = arguments.pop("_target_", None)
    if not isinstance(target, str):
        raise ConfigError(
            f"Twin '{twin.name}' names no class: expected model: {{_target_: module.Class}}."
        )
    made = import_target(target, f"twin '{twin.name}'")
    if not (isinstance(made, type) and issubclass(made, Physics)):
        raise ConfigError(
            f"{target} is not a Physics class; twin '{twin.name}' needs one. Name the class that "
            "derives from tw.Physics, as in class Kiln(tw.Physics)."
        )
    return build_target(made, target, arguments).set_defaults(**twin.parameters)


def noise_step(twin: TwinKeys, model: Physics, dt: float | None) -> float | None:
    """The step: ``solver.dt`` where given, else the twin's own for a model with noise.

    Raises:
        ConfigError: a model with noise and no step, or a twin's step without noise.
    """
    if not model.has_noise:
        if twin.dt is not None:
            raise ConfigError(
                f"Twin '{twin.name}' has dt={twin.dt:g}, the step of a model with noise, and "
                f"{type(model).__name__} has no noise(). Leave it out; solver.dt is the step of a "
                "fixed-step method."
            )
        return dt
    if dt is None and twin.dt is None:
        raise ConfigError(
            f"{type(model).__name__} has noise(): its steps are fixed, and the result depends on "
            f"them. Give solver.dt=<step in {model.time_unit}>, or dt: <step> in the file of twin "
            f"'{twin.name}', well below the shortest time constant of the equations."
        )
    return twin.dt if dt is None else dt


def data_path(twin: TwinKeys) -> Path | list[str]:
    """The file of the twin's record, or several and patterns as they are given.

    Raises:
        ConfigError: the twin has no record.
        DataError: the file does not exist.
    """
    if twin.data is None or not twin.data.path:
        raise ConfigError(f"Twin '{twin.name}' has no record: give one with data.path=<file.csv>.")
    given = twin.data.path
    several = [given] if isinstance(given, str) else given
    found = [_one_path(twin, path) for path in several]
    if len(found) == 1 and found[0].is_file():
        return found[0]
    return [str(path) for path in found]


def _one_path(twin: TwinKeys, path: str) -> Path:
    if NOT_SET in path:
        raise ConfigError(
            f"The record of twin '{twin.name}' is {path}, and paths.data is not set. Say where "
            "records lie: export TWINML_DATA=<folder>, or paths.data=<folder> on the command line."
        )
    if path.startswith(SHIPPED):
        return resources.data(path.removeprefix(SHIPPED))
    if Path(path).is_dir():
        raise DataError(
            f"The record of twin '{twin.name}', {path}, is a folder. Name the file in it, or a "
            f"pattern such as {Path(path, '*.csv')}, with data.path=<file.csv>."
        )
    if not Path(path).is_file() and not has_magic(path):
        raise DataError(
            f"The record of twin '{twin.name}', {path}, does not exist. Paths are relative to the "
            f"working directory {Path.cwd()}; give another with data.path=<file.csv>."
        )
    return Path(path)


def build_record(twin: TwinKeys, model: Physics) -> Record:
    """The twin's record: outputs and inputs by the model's names, with units.

    Raises:
        ConfigError: no record, or a column for something the model does not declare.
        DataError: the file cannot be read as the twin describes it.
    """
    from twinml.data.record import Record

    path = data_path(twin)
    assert twin.data is not None
    declared = model.declared
    for kind, given, known in (
        ("output", twin.outputs, declared.outputs),
        ("input", twin.inputs, declared.inputs),
    ):
        for name in given:
            if name not in known:
                raise ConfigError(
                    f"Twin '{twin.name}' reads {kind} '{name}', which {type(model).__name__} does "
                    f"not declare.{nearest(name, known)} Its {kind}s: {', '.join(known) or 'none'}."
                )
    columns = {**twin.outputs, **twin.inputs}
    time = twin.time
    if time.column is None and time.period is None:
        raise ConfigError(
            f"Twin '{twin.name}' does not say where time comes from: "
            "time: {column: <name>, unit: s}, or time: {period: <number>, unit: s}."
        )
    record = Record.read(
        path,
        time=time.column,
        time_unit=time.unit,
        columns={name: keys.column or name for name, keys in columns.items()},
        units={name: keys.unit for name, keys in columns.items() if keys.unit is not None},
        kinds={name: keys.kind for name, keys in twin.inputs.items()},
        period=time.period,
        zone=time.zone,
        time_format=time.format,
        fill=[name for name, keys in twin.inputs.items() if keys.missing == "fill"],
        # the file's own units come before the model's
        assumed={name: declared.unit(name) for name in columns},
        assumed_time=model.time_unit,
        **twin.data.rules(),
    )
    if twin.data.start is not None or twin.data.stop is not None:
        record = record.between(twin.data.start, twin.data.stop)
    return record


def record_digests(record: Record) -> dict[str, str]:
    """Name -> sha256 of what a run took from its record: the numbers, and the file as it lies."""
    file = {"record file": record.source_digest} if record.source_digest else {}
    return {"record": record.digest, **file}


def load_posterior(
    twin: TwinKeys, model: Physics, calibration: str | None
) -> tuple[Posterior | None, dict[str, str]]:
    """What ``calibrated`` quantities are drawn from, and its digest by name.

    Args:
        twin: Its ``calibration`` is used when none is given.
        model: What will be simulated.
        calibration: A calibrate run or a calibration.json; ``package:<file>`` for a shipped one.

    Raises:
        DataError: no such file, or a calibration of another model.
    """
    from twinml.calibrate import load_calibration

    source = calibration or twin.calibration
    if source is None:
        return None, {}
    path = Path(source)
    if source.startswith(SHIPPED):
        path = resources.data(source.removeprefix(SHIPPED))
    found = load_calibration(path)
    if found.model != type(model).__name__:
        raise DataError(
            f"The calibration in {source} is of {found.model}, but twin '{twin.name}' is a "
            f"{type(model).__name__}. Make one with 'twinml calibrate twin={twin.name}'."
        )
    if found.experiments:
        found = _one_start(twin, found, source)
    return found.posterior, {"calibration": found.posterior.digest}


def _one_start(twin: TwinKeys, found: Calibration, source: str) -> Calibration:
    """Of a fit of several experiments the part with the initial values to start from."""
    chosen = None if twin.data is None else twin.data.experiment
    if chosen is not None:
        return found.experiment(chosen)
    Console().notice(
        f"{source} was fitted to {len(found.experiments)} experiments with initial values of their "
        f"own ({', '.join(found.experiments)}); none is drawn, the model's or the scenario's are "
        "used. data.experiment=<name> takes those of one."
    )
    return found.shared()
