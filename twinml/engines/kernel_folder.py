"""Which folder holds the compiled kernels: one that only this user can write to.

Code in the folder is loaded into this process, so a folder where others could put some is not
used; a temporary folder of this process takes its place, and one warning says so.
"""

from __future__ import annotations

import atexit
import os
import shutil
import stat
import tempfile
import threading
import warnings
from contextlib import suppress
from pathlib import Path

from twinml.engines.kernel_cache import Cache
from twinml.errors import CompileError

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
        CompileError: not even a temporary folder can be made.
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
        folder, reason = prepared(wanted)
    except OSError as error:
        folder, reason = wanted, (error.strerror or str(error)).lower()
    cache = private_cache(place, reason) if reason else Cache(folder)
    with _lock:
        _open[place] = cache
    return cache


def private_cache(place: str, reason: str) -> Cache:
    """A temporary folder of this process instead of ``place``; says why, once.

    Raises:
        CompileError: none can be made.
    """
    global _private
    with _lock:
        if _private is None or not _private.folder.is_dir():
            _private = Cache(_temporary(place, reason), private=True)
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


def _temporary(place: str, reason: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="twinml-")).resolve()
    except OSError as error:
        raise CompileError(
            f"The kernel cache {place} is not used: {reason}; and no temporary folder can be made "
            f"instead: {error}. Make room, or name a folder of your own by TWINML_CACHE "
            "(temporary ones follow TMPDIR), or use engine='eager'."
        ) from error


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


def prepared(wanted: Path) -> tuple[Path, str]:
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
