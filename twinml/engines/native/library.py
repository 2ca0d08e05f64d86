"""From the text of a unit to a loaded library: out of memory, out of the cache, or compiled."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml import resources
from twinml.engines.native import building
from twinml.engines.native.cache import SCHEMA, Cache, Entry
from twinml.engines.native.compiler import Compiler, find_compiler
from twinml.engines.native.place import open_cache, private_cache
from twinml.engines.native.targets import check_target, current_target, machine_key
from twinml.errors import CompileError

_HEAD = 12
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})


@final
@dataclass(frozen=True, eq=False)
class Library:
    """A compiled unit, loaded.

    Args:
        handle: Calls into it release the interpreter's lock.
        target: Named instruction set it was compiled for.
        compiler: What compiled it.
        command: The words that did.
        compile_seconds: What that took, now or when the cache's entry was made.
        cached: Whether it came out of the cache.
        path: The library.
        source_path: The unit's text.
        key: Digest of text, headers, flags, compiler and target.
    """

    handle: ctypes.CDLL
    target: str
    compiler: Compiler
    command: tuple[str, ...]
    compile_seconds: float
    cached: bool
    path: Path
    source_path: Path
    key: str


_loaded: dict[str, Library] = {}
_failed: dict[str, tuple[str, str]] = {}
_lock = threading.Lock()
_busy: dict[str, threading.Lock] = {}


def _after_fork() -> None:
    """Locks held by another thread of the parent would never open in the child."""
    global _lock
    _lock = threading.Lock()
    _busy.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def load(text: str, target: str | None = None, headers: Path | None = None) -> Library:
    """The library of a unit, compiled when neither this process nor the cache has it.

    Args:
        text: A C++17 unit, which may include the headers.
        target: Of ``targets.TARGETS``; None for the one that is held, else the machine's best.
        headers: Folder of the reviewed headers; None for the ones shipped.

    Raises:
        ArgumentError: the target is unknown, or this machine cannot run it.
        NoCompilerError: there is no compiler.
        CompileError: the compiler failed, or what it made does not load.
    """
    target = current_target() if target is None else check_target(target)
    compiler = find_compiler()
    headers = resources.kernels() if headers is None else headers
    command = building.command_line(compiler, target, headers)
    key = _key(text, command, compiler, target, headers)
    known = _loaded.get(key)
    if known is not None:
        return known
    with _alone(key):
        known = _loaded.get(key)
        if known is not None:
            return known
        if key in _failed:  # a compiler that said no says no again
            raise CompileError(*_failed[key])
        entry, cached, cache = _entry(text, command, key)
        try:
            handle = ctypes.CDLL(str(entry.library))
        except OSError as error:
            cache.drop(key)
            raise CompileError(
                f"The compiled kernel does not load: {error}. It was made by "
                f"{building.shown(entry.command)}; expected a shared library for this machine. "
                "Name another compiler by TWINML_CXX, or another folder by TWINML_CACHE, or use "
                "engine='eager'."
            ) from error
        library = Library(
            handle, target, compiler, entry.command, entry.seconds, cached,
            entry.library, entry.source, key,
        )  # fmt: skip
        _loaded[key] = library
        return library


def _entry(text: str, command: tuple[str, ...], key: str) -> tuple[Entry, bool, Cache]:
    """The checked entry, whether it was there before, and the cache it is in."""
    cache = open_cache()
    for last in (False, True):
        found = cache.find(key)
        if found is not None:
            return found, True, cache
        try:
            return _compiled(cache, text, command, key), False, cache
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if last or cache.private or error.errno not in _NO_ROOM:
                raise CompileError(
                    f"The kernel cannot be stored in {cache.folder}: {reason}. Make room there, "
                    "or name another folder by TWINML_CACHE (temporary ones follow TMPDIR), or "
                    "use engine='eager'."
                ) from error
            cache = private_cache(str(cache.folder), reason)
    raise AssertionError("the second pass returns or raises")


def _compiled(cache: Cache, text: str, command: tuple[str, ...], key: str) -> Entry:
    with cache.building() as folder:
        unit, log = folder / building.UNIT, folder / building.LOG
        unit.write_text(text, encoding="utf-8")
        built = building.build(command, folder)
        if built.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if built.reason:
            source, log = cache.keep_failure(key, unit, log)
            _failed[key] = _told(built, source, log), built.log
            raise CompileError(*_failed[key])
        # Another process may have been faster; one entry is then read by both.
        return cache.find(key) or cache.put(
            key, folder / building.LIBRARY, unit, built.command, built.seconds
        )


def _told(built: building.Built, source: Path, log: Path) -> str:
    lines = [line for line in built.log.splitlines() if line.strip()]
    errors = [i for i, line in enumerate(lines) if "error" in line.lower()]
    first = errors[0] if errors else 0
    head = "\n".join(f"  {line[:300]}" for line in lines[first : first + _HEAD])
    return (
        f"The compiler {built.reason}; expected a library from the generated unit.\n"
        f"{head or '  (it said nothing)'}\n"
        f"  source: {source}\n  log: {log}\n  command: {building.shown(built.command)}\n"
        "Use engine='eager', or another compiler by TWINML_CXX; a unit that a good compiler "
        "refuses is a fault of twinml: please report it with these files."
    )


@contextmanager
def _alone(key: str) -> Iterator[None]:
    """One thread at a time for one key; other keys compile beside it."""
    with _lock:
        lock = _busy.setdefault(key, threading.Lock())
    with lock:
        yield


_digests: dict[Path, tuple[tuple[tuple[str, int, int], ...], str]] = {}


def headers_digest(folder: Path) -> str:
    """sha256 of all headers of a folder, read again when one was touched."""
    paths = sorted(folder.glob("*.h"))
    told = [(path, path.stat()) for path in paths]
    stamp = tuple((path.name, stat.st_size, stat.st_mtime_ns) for path, stat in told)
    known = _digests.get(folder)
    if known is None or known[0] != stamp:
        total = hashlib.sha256()
        for path in paths:
            content = path.read_bytes()
            total.update(f"{path.name} {len(content)}\n".encode())
            total.update(content)
        known = _digests[folder] = (stamp, total.hexdigest())
    return known[1]


def _key(
    text: str, command: tuple[str, ...], compiler: Compiler, target: str, headers: Path
) -> str:
    """Digest of all that the library follows from; of the headers what they say, not where."""
    parts = (
        SCHEMA,
        hashlib.sha256(text.encode()).hexdigest(),
        headers_digest(headers),
        compiler.version,
        [word for word in command if word != str(headers)],
        machine_key(target),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
