"""From the text of a unit to a loaded library: out of memory, out of the cache, or compiled."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml import resources
from twinml.engines.kernel_cache import SCHEMA, Cache, Entry
from twinml.engines.kernel_store import alone, headers_digest, stored
from twinml.engines.native import building
from twinml.engines.native.compiler import Compiler, find_compiler
from twinml.engines.native.targets import check_target, current_target, machine_key
from twinml.errors import CompileError

_HEAD = 12


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
    with alone(key):
        known = _loaded.get(key)
        if known is not None:
            return known
        if key in _failed:  # a compiler that said no says no again
            raise CompileError(*_failed[key])
        entry, cached, cache = stored(key, lambda cache: _compiled(cache, text, command, key))
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
