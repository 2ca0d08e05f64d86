"""Around every compiler of kernels: look into the cache, else compile into it."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from twinml.engines.kernel_cache import Cache, Entry
from twinml.engines.kernel_folder import open_cache, private_cache
from twinml.engines.kernel_lock import only_process
from twinml.errors import CompileError

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM})
_lock = threading.Lock()
_busy: dict[str, threading.Lock] = {}
_digests: dict[Path, tuple[tuple[tuple[str, int, int], ...], str]] = {}


def _after_fork() -> None:
    """Locks held by another thread of the parent would never open in the child."""
    global _lock
    _lock = threading.Lock()
    _busy.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def alone(key: str) -> Iterator[None]:
    """One thread at a time for one key; other keys compile beside it."""
    with _lock:
        lock = _busy.setdefault(key, threading.Lock())
    with lock:
        yield


def stored(key: str, compiled: Callable[[Cache], Entry]) -> tuple[Entry, bool, Cache]:
    """The checked entry of a key, whether it was there before, and the cache it is in.

    Args:
        key: Digest of all that the entry follows from.
        compiled: Makes the entry in a cache; raises OSError where that does not take it.

    Raises:
        CompileError: it cannot be compiled, or stored anywhere.
    """
    cache = open_cache()
    for last in (False, True):
        found = cache.find(key)
        if found is not None:
            return found, True, cache
        try:
            with only_process(cache.folder, key):
                found = cache.find(key)
                return (found, True, cache) if found else (compiled(cache), False, cache)
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
