"""Put a folder in place whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path

from twinml.errors import ArgumentError, ExportError
from twinml.export.manifest import FILE


def check_place(folder: Path, overwrite: bool) -> None:
    """Refuse a path that must not be written, before any work (ArgumentError)."""
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        raise ArgumentError(
            f"{folder} is a file; expected a folder that does not exist yet, where the artifact "
            "goes. Choose another path."
        )
    if not overwrite:
        raise ArgumentError(
            f"{folder} exists already. Choose another path, or pass overwrite=True to replace the "
            "artifact in it."
        )
    foreign = _not_ours(folder)
    if foreign:
        raise ArgumentError(
            f"{folder} is not replaced: {foreign}. overwrite replaces an artifact that twinml "
            "wrote, and nothing else. Choose another path or empty the folder yourself."
        )


def put_in_place(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files into a new folder beside ``folder``, then rename it.

    A reader finds the old folder or the new one complete; when an old one is replaced there is an
    instant with neither, since two folders cannot be exchanged in one portable step.

    Raises:
        ExportError: The file system refused; nothing is left behind.
    """
    mark = uuid.uuid4().hex[:8]
    fresh = folder.with_name(f".{folder.name}.{mark}.tmp")
    old = folder.with_name(f".{folder.name}.{mark}.old")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        fresh.mkdir()
        for name, data in files.items():
            with open(fresh / name, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        _sync(fresh)
        if folder.exists():
            folder.rename(old)
        try:
            fresh.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        _sync(folder.parent)
    except OSError as error:
        raise ExportError(
            f"{folder} cannot be written: {error.strerror} ({error.filename}). "
            "Check space and permissions, or choose another path."
        ) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable; systems that cannot open folders need no such call."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _not_ours(folder: Path) -> str:
    """Why this folder is no artifact, or an empty text. A damaged artifact is still one."""
    present = {entry.name for entry in folder.iterdir()}
    if not present:
        return ""
    try:
        values = json.loads((folder / FILE).read_bytes())
        is_artifact = str(values["schema"]).startswith("artifact/")
        listed = {FILE, *values["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return f"it has no {FILE} of an artifact"
    if not is_artifact:
        return f"its {FILE} is not of an artifact"
    extra = sorted(present - listed)
    return f"it also holds {', '.join(extra)}" if extra else ""
