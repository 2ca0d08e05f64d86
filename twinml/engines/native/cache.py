"""Compiled kernels on disk: a folder that only this user writes, entries whole or absent.

An entry is a small JSON file that names its library by content (size and sha256), so two
processes that write the same entry at once cannot mix their files: whichever JSON stands, the
library it names is whole. The source stands beside it for people to read.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import os
import shutil
import stat
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

SCHEMA = "kernel/1"
_STALE = 24 * 3600.0
_BUILDING = ".build-"


@final
@dataclass(frozen=True)
class Entry:
    """A stored kernel whose library has been checked, byte for byte."""

    library: Path
    source: Path
    command: tuple[str, ...]
    seconds: float


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
            source = self.folder / f"{key}.cpp"
            entry = Entry(library, source, tuple(record["command"]), float(record["seconds"]))
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
        self, key: str, built: Path, source: Path, command: tuple[str, ...], seconds: float
    ) -> Entry:
        """Take a built library and its source, files of this folder's ``building``, as an entry.

        Raises:
            OSError: the folder does not take it.
        """
        content = built.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        library = self.folder / f"{key}-{digest[:16]}.so"
        kept = self.folder / f"{key}.cpp"
        for path in (built, source):
            _flush(path)
        os.replace(source, kept)
        os.replace(built, library)
        record = {
            "schema": SCHEMA,
            "library": library.name,
            "size": len(content),
            "sha256": digest,
            "command": list(command),
            "seconds": seconds,
        }
        write_whole(self._record(key), json.dumps(record, indent=1).encode())
        return Entry(library, kept, command, seconds)

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
        kept = folder / f"{key}.cpp", folder / f"{key}.log"
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
        """Remove the folders of compilations that were killed long ago."""
        for folder in self.folder.glob(f"{_BUILDING}*"):
            with suppress(OSError):
                if time.time() - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder, ignore_errors=True)


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


# --- which folder ------------------------------------------------------------------------------

_lock = threading.Lock()
_open: dict[str, Cache] = {}
_private: Cache | None = None
_told: set[str] = set()


def _after_fork() -> None:
    """A child has its own lock, and leaves the parent's temporary folder to the parent."""
    global _lock, _private
    _lock = threading.Lock()
    _private = None
    for place in [place for place, cache in _open.items() if cache.private]:
        del _open[place]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def wanted_folder() -> Path:
    """TWINML_CACHE, else twinml in XDG_CACHE_HOME, else ~/.cache/twinml.

    Raises:
        OSError: there is no home folder.
    """
    named = os.environ.get("TWINML_CACHE", "").strip()
    if named:
        return Path(os.path.abspath(os.path.expanduser(named)))
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):  # the XDG specification has others ignored
        return Path(base, "twinml")
    try:
        return Path.home() / ".cache" / "twinml"
    except RuntimeError as error:
        raise OSError("this user has no home folder") from error


def open_cache() -> Cache:
    """The folder to use now; a private temporary one, with a warning, where that is not safe.

    Raises:
        OSError: not even a temporary folder can be made.
    """
    try:
        wanted = wanted_folder()
    except OSError as error:
        return private_cache("~/.cache/twinml", str(error))
    place = str(wanted)
    with _lock:
        known = _open.get(place)
    # A folder may be removed while the process runs (tidied by hand, or by a test).
    if known is not None and known.folder.is_dir():
        return known
    try:
        folder, reason = _prepared(wanted)
    except OSError as error:
        folder, reason = wanted, (error.strerror or str(error)).lower()
    cache = private_cache(place, reason) if reason else Cache(folder)
    with _lock:
        _open[place] = cache
    return cache


def private_cache(place: str, reason: str) -> Cache:
    """A temporary folder of this process instead of ``place``; says why, once."""
    global _private
    with _lock:
        if _private is None or not _private.folder.is_dir():
            _private = Cache(Path(tempfile.mkdtemp(prefix="twinml-")).resolve(), private=True)
            atexit.register(_remove, _private.folder, os.getpid())
        tell = place not in _told
        _told.add(place)
    if tell:
        warnings.warn(
            f"The kernel cache {place} is not used: {reason}. Kernels are compiled into a "
            "temporary folder and again by the next process. Correct that, or name another "
            "folder of your own by TWINML_CACHE.",
            UserWarning,
            stacklevel=2,
        )
    return _private


def _remove(folder: Path, process: int) -> None:
    """At exit: all but what did not compile, which an error's text may have pointed to."""
    if os.getpid() != process:
        return
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == "failed":
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink()
    with suppress(OSError):
        folder.rmdir()


def _prepared(wanted: Path) -> tuple[Path, str]:
    """The folder, made when it is missing, and why it must not be used, or ""."""
    wanted.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = wanted.resolve(strict=True)
    told = folder.stat()
    if told.st_uid != os.geteuid():
        return folder, f"it belongs to another user (id {told.st_uid}), who could put code there"
    if told.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return folder, (
            f"others may write to it (mode {stat.S_IMODE(told.st_mode):o}) and could put code "
            f"there; chmod 700 {folder} shuts it"
        )
    for parent in folder.parents:
        mode = parent.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return folder, f"anyone may exchange it, for {parent} is open to all"
    if not os.access(folder, os.W_OK | os.X_OK):
        return folder, "it is read-only"
    if hasattr(os, "ST_NOEXEC") and os.statvfs(folder).f_flag & os.ST_NOEXEC:
        return folder, "its file system is mounted noexec, so nothing there can be loaded"
    return folder, ""
