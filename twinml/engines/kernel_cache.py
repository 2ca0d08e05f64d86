"""Compiled kernels on disk: a folder that only this user writes, entries whole or absent.

An entry is a small JSON file that names its library by content (size and sha256), so two
processes that write the same entry at once cannot mix their files: whichever JSON stands, the
library it names is whole. The source stands beside it for people to read.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.engines.kernel_lock import LOCK

SCHEMA = "kernel/1"
_DAY = 24 * 3600.0
_STALE = _DAY
_UNUSED = 90 * _DAY
_BUILDING = ".build-"


@final
@dataclass(frozen=True)
class Entry:
    """A stored kernel whose library has been checked, byte for byte.

    Args:
        library: The compiled file; source: the unit's text.
        command: How it was compiled; seconds: how long that took.
        log: What the compiler told about a good result, where that is kept.
    """

    library: Path
    source: Path
    command: tuple[str, ...]
    seconds: float
    log: str = ""


@final
@dataclass(frozen=True)
class Cache:
    """A folder of compiled kernels.

    Args:
        folder: Absolute, without symbolic links.
        private: Whether it is temporary, for this process alone.
    """

    folder: Path
    private: bool = False

    def find(self, key: str) -> Entry | None:
        """The entry, when all of it is there as it was written."""
        try:
            record = json.loads(self._record(key).read_bytes())
            library = self.folder / Path(record["library"]).name
            content = library.read_bytes()
            source = self.folder / Path(record.get("source", f"{key}.cpp")).name
            entry = Entry(
                library, source, tuple(record["command"]), float(record["seconds"]),
                str(record.get("log", "")),
            )  # fmt: skip
            good = (
                record["schema"] == SCHEMA
                and record["size"] == len(content)
                and record["sha256"] == hashlib.sha256(content).hexdigest()
                and source.is_file()
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return entry if good else None

    def put(
        self, key: str, built: Path, source: Path, command: tuple[str, ...], seconds: float,
        log: str = "",
    ) -> Entry:  # fmt: skip
        """Take a built library and its source, files of this folder's ``building``, as an entry.

        They keep the endings of their names.

        Raises:
            OSError: the folder does not take it.
        """
        content = built.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        library = self.folder / f"{key}-{digest[:16]}{built.suffix}"
        kept = self.folder / f"{key}{source.suffix}"
        for path in (built, source):
            _flush(path)
        os.replace(source, kept)
        os.replace(built, library)
        record = {
            "schema": SCHEMA,
            "library": library.name,
            "source": kept.name,
            "size": len(content),
            "sha256": digest,
            "command": list(command),
            "seconds": seconds,
            "log": log,
        }
        write_whole(self._record(key), json.dumps(record, indent=1).encode())
        return Entry(library, kept, command, seconds, log)

    def drop(self, key: str) -> None:
        """Forget an entry."""
        with suppress(OSError):
            self._record(key).unlink()

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder to compile in, on the file system of the entries; removed afterwards."""
        self._sweep()
        folder = Path(tempfile.mkdtemp(prefix=_BUILDING, dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def keep_failure(self, key: str, source: Path, log: Path) -> tuple[Path, Path]:
        """Keep what did not compile, for people to read; (source, log), at the old place when
        the folder does not take them."""
        folder = self.folder / "failed"
        kept = folder / f"{key}{source.suffix}", folder / f"{key}.log"
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            os.replace(source, kept[0])
            os.replace(log, kept[1])
        except OSError:
            return source, log
        return kept

    def _record(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _sweep(self) -> None:
        """Remove folders of compilations killed long ago, and entries long unused.

        The time of last use is the file system's time of access, which grows by the day on
        most machines; where none is kept, an entry is compiled again after that time.
        """
        now = time.time()
        for folder in self.folder.glob(f"{_BUILDING}*"):
            with suppress(OSError):
                if now - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder, ignore_errors=True)
        for path in self.folder.glob(f"{LOCK}*"):
            with suppress(OSError):
                if now - path.stat().st_mtime > _STALE:
                    path.unlink()
        for path in (*self.folder.glob("*.json"), *self.folder.glob("failed/*.log")):
            with suppress(OSError):
                told = path.stat()
                if now - max(told.st_atime, told.st_mtime) > _UNUSED:
                    for part in path.parent.glob(f"{path.stem}*"):
                        part.unlink()


def write_whole(path: Path, content: bytes, must: bool = True) -> None:
    """Write a file so that a reader finds the old content, the new, or none: never a part.

    Raises:
        OSError: it could not be written, and it must.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with open(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        if temporary is not None:
            with suppress(OSError):
                os.unlink(temporary)
        if must or not isinstance(error, OSError):
            raise


def _flush(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
