"""One process at a time compiles a kernel: the workers of a node begin together, all needing it."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOCK = ".lock-"
PAUSE, PATIENCE = 0.05, 600.0  # seconds: as long as a compiler is given


@contextmanager
def only_process(folder: Path, key: str) -> Iterator[None]:
    """Wait for another process that makes the same entry; one that has died holds nothing.

    Where the file system has no locks, and after PATIENCE, two processes compile beside each
    other, which costs time only.

    Raises:
        OSError: the folder takes no file.
    """
    path = folder / f"{LOCK}{key}"
    handle = _held(path)
    try:
        yield
    finally:
        if handle is not None:
            # removed while it is held: who waits sees that its file is another, and opens anew
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(handle)


def _held(path: Path) -> int | None:
    """The open, locked file, or None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return None
    limit = time.monotonic() + PATIENCE
    while True:
        handle = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
        while _is(path, handle):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > limit:
                    os.close(handle)
                    return None
                time.sleep(PAUSE)
            except OSError:
                os.close(handle)
                return None
            else:
                if _is(path, handle):
                    return handle
        os.close(handle)


def _is(path: Path, handle: int) -> bool:
    """Whether the path still names the open file."""
    with contextlib.suppress(OSError):
        return os.path.samestat(os.stat(path), os.fstat(handle))
    return False
