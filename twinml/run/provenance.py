"""What a run was made of: code, packages, machine, inputs."""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import inspect
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinml import __version__
from twinml.resources import PACKAGE

PACKAGES = ("torch", "numpy", "scipy", "pyarrow", "pint", "lightning", "gpytorch", "ray")


def provenance(
    *,
    task: str,
    command: Sequence[str],
    seed: int,
    choices: Mapping[str, str],
    inputs: Mapping[str, str],
) -> dict[str, Any]:
    """The block that opens a run, with status ``running``.

    Args:
        task: Word of the command line.
        command: The words as typed.
        seed: The seed that every draw of the run derives from.
        choices: Config group -> choice.
        inputs: Name -> sha256 of every file or source the run read.
    """
    return {
        "status": "running",
        "exit_code": None,
        "task": task,
        "command": list(command),
        "seed": seed,
        "choices": dict(choices),
        "inputs": dict(inputs),
        "started": now(),
        "git": git_state(Path.cwd()),
        "twinml_git": git_state(PACKAGE.parent) if (PACKAGE.parent / ".git").exists() else None,
        "packages": packages(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": device(),
        "threads": _threads(),
        "pid": os.getpid(),
    }


def now() -> str:
    """The time in UTC, to the second, as ISO 8601."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def packages() -> dict[str, str]:
    """Versions of what the numbers depend on, as far as installed."""
    found = {"twinml": __version__}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def git_state(folder: Path) -> dict[str, Any] | None:
    """Commit and whether tracked files differ from it; None outside a checkout or without git."""
    try:
        commit = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True, timeout=20
    )
    return done.stdout.strip()


def device() -> dict[str, Any]:
    """The processor and, where torch sees one, the accelerator."""
    import torch

    found: dict[str, Any] = {"cpu": _processor(), "cores": os.cpu_count()}
    if torch.cuda.is_available():
        found["cuda"] = [
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        ]
    return found


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _threads() -> int | None:
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else None


def digest_file(path: Path) -> str:
    """sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_source(thing: type) -> str:
    """sha256 of the source file that defines a class; of its name where there is no file."""
    try:
        file = inspect.getsourcefile(thing)
    except TypeError:
        file = None
    if file is None or not Path(file).is_file():
        return hashlib.sha256(thing.__qualname__.encode()).hexdigest()
    return digest_file(Path(file))
