"""Where a run goes: a folder of this machine, and for the rows of a sweep an address as well."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twinml.errors import ConfigError, DataError
from twinml.run.directory import PROVENANCE, open_run

if TYPE_CHECKING:
    from twinml.cli.compose import Composed
    from twinml.cli.task import Task

_LOCAL = re.compile(r"^(out|resume|sweep)=(['\"]?)(?:file|local)://")


def of_this_machine(words: Sequence[str]) -> list[str]:
    """The words with ``file:///a/b`` written as the path it names."""
    return [_LOCAL.sub(r"\1=\2", word) for word in words]


def is_address(place: object) -> bool:
    """Whether it names something other than a folder of this machine."""
    return isinstance(place, str) and "://" in place


def check_places(task: Task, composed: Composed, *, several: bool, launched: bool) -> None:
    """Refuses an address where only a folder will do.

    Raises:
        ConfigError: names the key.
    """
    for name in ("out", "resume"):
        place = composed.plain.get(name)
        if not is_address(place):
            continue
        why = None
        if not task.takes_address:
            why = f"twinml {task.name} writes to a folder of this machine. Name one"
        elif str(place).startswith("memory://"):
            why = (
                "the memory of this process ends with this command. Name a folder, or an address "
                "that lasts"
            )
        elif several:
            why = "with -m every run needs a place of its own. Name a folder"
        elif launched:
            why = (
                "launcher=slurm keeps the job's script and log in the run directory. Name a "
                "folder that all nodes share"
            )
        if why is not None:
            raise ConfigError(f"{name}={place} cannot be used here: {why}.")


def earlier_run(named: str) -> Mapping[str, Any] | None:
    """The record of the run that ``resume=`` names; None where rows lie there without one.

    Raises:
        DataError: There is no such folder or address.
        MissingDependencyError: The address needs a package that is not there.
    """
    if is_address(named):
        return _remote_record(named)
    if not Path(named).is_dir():
        raise DataError(
            f"resume={named} is not a folder. Name the run directory of an earlier run, as "
            "printed at its end, or leave resume= away to begin one."
        )
    if not (Path(named) / PROVENANCE).is_file():
        return None
    return open_run(named, finished=False).provenance()


def _remote_record(address: str) -> Mapping[str, Any] | None:
    from twinml.sweep.folder import open_folder

    folder = open_folder(address)
    if not reached(address, lambda: folder.exists(PROVENANCE)):
        return None
    try:
        found = json.loads(folder.read(PROVENANCE))
        return {"task": found["task"], "command": found["command"]}
    except (ValueError, KeyError, TypeError):
        raise DataError(
            f"{address}/{PROVENANCE} is no record of a run: it was cut or changed. Give all words "
            "of the sweep again in a new out=, or restore it."
        ) from None


def reached(address: str, ask: Any) -> Any:
    """The answer of an address.

    Raises:
        ConfigError: It gives none: no network, no rights, no such store.
    """
    from twinml.errors import TwinmlError

    try:
        return ask()
    except TwinmlError:
        raise
    except Exception as error:  # every store has errors of its own
        text = " ".join(str(error).split())
        raise ConfigError(
            f"{address} cannot be reached ({type(error).__name__}: {text}). Check the address and "
            "this machine's rights to it, or name a local folder."
        ) from error
