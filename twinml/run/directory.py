"""The folder of one run: ``config.yaml``, ``metrics.json``, ``provenance.json`` and the results.

``provenance.json`` is written first with status ``running`` and last with ``done`` or ``failed``,
so a folder whose process was killed is recognised by what it says.
"""

from __future__ import annotations

import datetime
import json
import math
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from twinml.data.atomic import replacing
from twinml.errors import DataError, InputError, IntegrityError

SCHEMA, CONFIG_SCHEMA, METRICS_SCHEMA = "run/1", "config/1", "metrics/1"
CONFIG, METRICS, PROVENANCE = "config.yaml", "metrics.json", "provenance.json"
LAUNCHED = "slurm"  # what a batch system needs of a run: there before the run itself
CHECKPOINT = "training.ckpt"  # of a training that was stopped: the same one goes on from it


@dataclass(frozen=True)
class RunDirectory:
    """One run's folder, open for writing or read back."""

    path: Path
    # Folders that were made for it, innermost first.
    made: tuple[Path, ...] = field(default=(), compare=False)

    @classmethod
    def create(
        cls,
        task: str,
        out: str | Path | None = None,
        *,
        resume: bool = False,
        now: datetime.datetime | None = None,
    ) -> RunDirectory:
        """Makes the folder ``runs/<task>/<date>/<time>-<6 hex>/``, or ``out``.

        Args:
            task: Word of the command line.
            out: A folder of the user's choice; new, empty, or left by a run that failed before
                it wrote a result.
            resume: ``out`` may hold an earlier run of the same task.
            now: Time for the name; local time when None.

        Raises:
            InputError: ``out`` holds something, or the folder cannot be made.
        """
        if out is None:
            moment = now or datetime.datetime.now()
            stem = f"{moment:%H%M%S}-{secrets.token_hex(3)}"
            path = Path("runs", task, f"{moment:%Y-%m-%d}", stem)
        else:
            path = Path(out)
        made: tuple[Path, ...] = ()
        try:
            made = tuple(folder for folder in (path, *path.parents) if not folder.exists())
            if path.is_file():
                raise InputError(
                    f"out={path} is a file; a run is a folder with its configuration and results. "
                    "Name a new folder, or leave out= away to get one under runs/."
                )
            if not resume and path.exists() and _taken(path):
                raise InputError(
                    f"out={path} is not empty, and a run never overwrites another. "
                    "Name a new folder, or leave out= away to get one under runs/."
                )
            path.mkdir(parents=True, exist_ok=True)
            probe = path / ".writable"
            probe.touch()
            probe.unlink()
        except OSError as error:
            _remove_empty(made)
            raise InputError(
                f"The run directory {path} cannot be written: {error.strerror}. "
                "A run keeps its configuration and results there; choose another with out=<folder>."
            ) from error
        return cls(path, made)

    def write_config(self, config: Mapping[str, Any]) -> None:
        """Stores the resolved configuration."""
        content = {"schema": CONFIG_SCHEMA, **config}
        self._write(CONFIG, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))

    def write_metrics(self, metrics: Mapping[str, Any]) -> None:
        """Stores flat, dotted metrics; numbers that JSON lacks become null."""
        clean = {name: _jsonable(value) for name, value in metrics.items()}
        self._write_json(METRICS, {"schema": METRICS_SCHEMA, **clean})

    def write_provenance(self, block: Mapping[str, Any]) -> None:
        """Stores the provenance block with its schema."""
        self._write_json(PROVENANCE, {"schema": SCHEMA, **block})

    def update_provenance(self, **changes: Any) -> None:
        """Changes some fields of the stored block, the status above all."""
        self.write_provenance({**self.provenance(), **changes})

    def discard(self) -> bool:
        """Removes the folder, and those made for it, when the run ended before it wrote a result.

        Returns:
            Whether nothing of the run is left.
        """
        names = {file.name for file in self.path.iterdir()}
        if not names <= {CONFIG, PROVENANCE}:
            return False
        for name in names:
            (self.path / name).unlink()
        _remove_empty(self.made)
        return True

    def config(self) -> dict[str, Any]:
        """The stored configuration.

        Raises:
            DataError: there is none.
            IntegrityError: another version of the format wrote it, or it is no YAML.
        """
        try:
            content = yaml.safe_load(self._read(CONFIG))
        except yaml.YAMLError as error:
            text = " ".join(str(error).split())
            raise IntegrityError(
                f"{self.path / CONFIG} is not valid YAML ({text}): it was cut or changed. Restore "
                "it, or run the task again."
            ) from error
        if not isinstance(content, dict):
            raise IntegrityError(f"{self.path / CONFIG} holds no keys: it was cut or changed.")
        return self._without_schema(CONFIG, content, CONFIG_SCHEMA)

    def metrics(self) -> dict[str, Any]:
        """The stored metrics.

        Raises:
            DataError: there are none.
            IntegrityError: another version of the format wrote them, or they are no JSON.
        """
        return self._without_schema(METRICS, self._read_json(METRICS), METRICS_SCHEMA)

    def provenance(self) -> dict[str, Any]:
        """The stored provenance block.

        Raises:
            IntegrityError: another version of the format wrote it.
        """
        block = self._read_json(PROVENANCE)
        if block.get("schema") != SCHEMA:
            raise IntegrityError(
                f"{self.path / PROVENANCE} has schema {block.get('schema')!r}; this version of "
                f"twinml reads {SCHEMA!r}. It was written by "
                f"twinml {block.get('packages', {}).get('twinml', '(unknown)')}."
            )
        return block

    def _without_schema(self, name: str, content: dict[str, Any], known: str) -> dict[str, Any]:
        found = content.pop("schema", None)
        if found not in (known, None):  # the first runs carried none
            raise IntegrityError(
                f"{self.path / name} has schema {found!r}; this version of twinml reads {known!r}."
            )
        return content

    def _write(self, name: str, text: str) -> None:
        with replacing(self.path / name) as temporary:
            temporary.write_text(text, encoding="utf-8")

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._write(name, json.dumps(content, indent=2, ensure_ascii=False) + "\n")

    def _read(self, name: str) -> str:
        try:
            return (self.path / name).read_text(encoding="utf-8")
        except OSError as error:
            raise DataError(
                f"{self.path / name} cannot be read: {error.strerror}. "
                "The run may have stopped before writing it; look at provenance.json beside it."
            ) from error

    def _read_json(self, name: str) -> dict[str, Any]:
        try:
            content = json.loads(self._read(name))
        except json.JSONDecodeError as error:
            raise IntegrityError(
                f"{self.path / name} is not valid JSON ({error}): it was cut or changed. Restore "
                "it, or run the task again."
            ) from error
        if not isinstance(content, dict):
            raise IntegrityError(f"{self.path / name} holds no named values: it was changed.")
        return content


def open_run(path: str | Path, *, finished: bool = True) -> RunDirectory:
    """An existing run's folder.

    Args:
        path: Folder written by a task.
        finished: Refuse a run that failed or never ended.

    Raises:
        DataError: not a run directory, or not finished.
    """
    run = RunDirectory(Path(path))
    if not (run.path / PROVENANCE).is_file():
        if not run.path.exists():
            why = "does not exist"
        else:
            why = f"is not a run directory (no {PROVENANCE})"
        raise DataError(
            f"{path} {why}. Tasks write one and print its path at the end; by default it lies "
            "under runs/<task>/<date>/."
        )
    status = run.provenance().get("status")
    if finished and status != "done":
        raise DataError(
            f"The run in {path} has status '{status}': it did not finish, and its results may be "
            "partial. Run it again, or see its provenance.json."
        )
    return run


def _taken(path: Path) -> bool:
    """Whether a folder holds anything but the record of a run that failed without a result."""
    names = {file.name for file in path.iterdir()} - {LAUNCHED}
    names = {name for name in names if not name.startswith((CHECKPOINT, f".{CHECKPOINT}."))}
    if not names:
        return False
    if not names <= {CONFIG, PROVENANCE}:
        return True
    try:
        return json.loads((path / PROVENANCE).read_text(encoding="utf-8"))["status"] != "failed"
    except (OSError, ValueError, KeyError, TypeError):
        return True


def _remove_empty(folders: Iterable[Path]) -> None:
    """Removes folders, innermost first, up to the first that holds something."""
    for folder in folders:
        try:
            folder.rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            return


def _jsonable(value: Any) -> Any:
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
