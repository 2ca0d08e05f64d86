"""The keys of ``configs/launcher/`` and what is refused of them before any job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from twinml.cli.schema import key
from twinml.errors import ConfigError

CLOCK = re.compile(r"(\d+-)?\d+(:\d\d){0,2}")  # 30:00, 4:00:00, 2-12, 2-12:00:00
SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|min|h|d)")
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86400}
MEMORY = re.compile(r"\d+(\.\d+)?[KMGT]?B?", re.IGNORECASE)


@dataclass(frozen=True)
class LauncherKeys:
    """A file of ``configs/launcher/``."""

    name: Literal["local", "slurm"] = key("local", "where it runs: here, or as a job")
    partition: str | None = key(None, "Slurm partition")
    account: str | None = key(None, "account that is charged")
    nodes: int = key(1, "machines; more than one needs executor=ray")
    ntasks: int | None = key(None, "tasks of the job; one on each node when unset")
    cpus_per_task: int | None = key(None, "CPU cores of each task, so of each node")
    gpus_per_node: int | None = key(None, "GPUs of each node")
    mem: str | None = key(None, "memory of each node, such as 16G")
    time: Any = key(None, "time limit such as 4h or '4:00:00'; it stops cleanly a minute before")
    wait: bool = key(False, "follow the job to its end and return its exit code")
    setup: list[str] = key([], "shell lines before the run, such as [module load cuda]")
    extra: list[str] = key([], "further options of sbatch, such as ['--qos=long']")

    def __post_init__(self) -> None:
        for name in ("nodes", "ntasks", "cpus_per_task", "gpus_per_node"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"launcher.{name}={value} cannot be used: expected at least 1.")
        for name in ("partition", "account"):
            value = getattr(self, name)
            if value is not None and not re.fullmatch(r"[^\s'\"]+", value):
                raise ConfigError(
                    f"launcher.{name}={value!r} cannot be used: expected one name without spaces."
                )
        if self.mem is not None and not MEMORY.fullmatch(self.mem):
            raise ConfigError(
                f"launcher.mem={self.mem!r} cannot be used: expected a size such as 16G or 800M."
            )
        for option in self.extra:
            if not option.startswith("-") or "\n" in option:
                raise ConfigError(
                    f"launcher.extra holds {option!r}; expected options of sbatch as they stand "
                    "after #SBATCH, such as '--qos=long'."
                )
        _ = self.limit

    @property
    def limit(self) -> str | None:
        """The time limit as Slurm writes it.

        Raises:
            ConfigError: it is no length of time, or has no unit.
        """
        if self.time is None:
            return None
        text = str(self.time).strip()
        span = SPAN.fullmatch(text)
        if span:
            seconds = round(float(span[1]) * SECONDS[span[2]])
            hours, rest = divmod(max(seconds, 60), 3600)
            return f"{hours}:{rest // 60:02d}:{rest % 60:02d}"
        if not isinstance(self.time, str) or text.isdigit() or not CLOCK.fullmatch(text):
            raise ConfigError(
                f"launcher.time={text} cannot be used: expected a length with its unit, such as "
                "90min, 4h or 2d, or Slurm's own '4:00:00' (in a YAML file with its quotes, "
                "without which YAML makes one number of it)."
            )
        return text
