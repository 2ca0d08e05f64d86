"""Keys that several tasks share."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from twinml.cli.schema import key
from twinml.errors import ConfigError

BESIDE = Path("..", "shared", "data")
MOST_SEED = 2**63


def records() -> str | None:
    """The folder of records: TWINML_DATA, else ``../shared/data`` where that exists."""
    return os.environ.get("TWINML_DATA") or (str(BESIDE) if BESIDE.is_dir() else None)


@dataclass(frozen=True)
class Paths:
    """Folders outside the project."""

    data: str | None = key(records, "folder of records, ${paths.data}; TWINML_DATA")


@dataclass(frozen=True)
class Common:
    """Keys of every task."""

    seed: int = key(0, "every random draw derives from it")
    out: str | None = key(None, "run directory; runs/<task>/<date>/<time>-<hex> when unset")
    dry_run: bool = key(False, "print the resolved configuration and stop")
    paths: Paths = key(Paths, "folders outside the project")

    def __post_init__(self) -> None:
        if self.out == "":
            raise ConfigError("'out=' names no folder. Name one, or leave out= away.")
        if not 0 <= self.seed < MOST_SEED:
            raise ConfigError(
                f"seed={self.seed} cannot be used: expected a whole number from 0 to 2**63 - 1."
            )


def check_level(level: float) -> None:
    """Refuses what is no probability, before any work.

    Raises:
        ConfigError: outside (0, 1).
    """
    if not 0 < level < 1:
        raise ConfigError(f"level={level:g} is no probability; expected one such as 0.9.")


@dataclass(frozen=True)
class MethodKeys:
    """How a simulation is integrated, where engine and type are not a choice."""

    method: str = key("auto", "auto, tsit5, dopri5, vern7, rodas5p, rk4, heun, euler ...")
    rtol: float = key(1e-6, "relative tolerance")
    atol: Any = key(1e-9, "absolute tolerance; a number or {state: number}")
    dt: float | None = key(None, "step of a fixed-step method or of noise")
    max_steps: int = key(100_000, "most attempted steps of one trajectory")
    max_step: float | None = key(None, "longest step, where a peak or event could be stepped over")
    max_events: int = key(100, "times that an event may happen in one trajectory")

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of a verb that these keys stand for."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class SolverKeys(MethodKeys):
    """How a simulation is integrated, and where."""

    engine: str = key("auto", "auto or the name of one engine")
    dtype: Literal["float64", "float32"] = key("float64", "float64 or float32")
    device: str | None = key(None, "torch device such as cpu or cuda:0")

    def arguments(self) -> dict[str, Any]:
        """The keyword arguments of ``simulate`` that these keys stand for."""
        import torch

        return {**super().arguments(), "dtype": getattr(torch, self.dtype)}


@dataclass(frozen=True)
class ExecutorKeys:
    """A file of ``configs/executor/``."""

    name: str = key("local", "who computes: local, ray")
    address: str | None = key(None, "ray: local, host:port, or slurm inside a job")
    cpus_per_worker: float | None = key(None, "ray: CPU slots that a worker occupies")
    gpus_per_worker: float | None = key(None, "ray: devices of a worker, such as 0.5")
    max_in_flight: int | None = key(None, "ray: shards given to one worker at a time")
    patience: float | None = key(None, "ray: seconds to wait for a first free worker")

    def arguments(self) -> dict[str, Any]:
        """The keys that are set, as the verb takes them; the executor knows which are its own."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}
