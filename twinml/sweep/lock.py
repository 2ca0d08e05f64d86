"""One process at a time in a sweep's folder, and no dead one for ever.

The file ``lock`` says who works: host, process, the time that process started, and a heartbeat.
On the owner's own host it is alive while a process of that number and start time is; a number
given to another process later is told from it by the start time. Elsewhere, or where processes
cannot be seen, it is alive while its heartbeat is younger than ``STALE`` seconds. A dead owner's
lock is taken over.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, final

from twinml.errors import LockedError, SweepError
from twinml.sweep.folder import AbstractFolder, LocalFolder

LOCK = "lock"
BEAT, STALE = 10.0, 60.0  # seconds; several beats may be lost to a slow disk


@final
class Lock:
    """Held by this process while it works in a folder.

    Args:
        folder: Of the sweep.
        tell: Told of an event ``lock_taken`` with the dead owner's facts.
    """

    def __init__(self, folder: AbstractFolder, tell: Callable[..., None]) -> None:
        self.folder, self.tell = folder, tell
        self.token = secrets.token_hex(8)
        self.lost = False
        self._ended = threading.Event()
        self._beater: threading.Thread | None = None

    def __enter__(self) -> Lock:
        """Take it.

        Raises:
            LockedError: A living process has it.
        """
        with _guarded(self.folder):
            before = read_owner(self.folder)
            if before is not None and alive(before):
                raise LockedError(_refusal(self.folder, before))
            self._write()
        if not isinstance(self.folder, LocalFolder):
            # no guard there: of two that wrote at once the last one has it
            time.sleep(0.2 if self.folder.shared else 0.0)
            owner = read_owner(self.folder)
            if owner is None or owner.get("token") != self.token:
                raise LockedError(_refusal(self.folder, owner or {}))
        if before is not None:
            self.tell("lock_taken", **{name: before.get(name) for name in ("host", "pid")})
        self._beater = threading.Thread(target=self._beat, daemon=True)
        self._beater.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._beater is not None:
            self._beater.join()
        with contextlib.suppress(OSError), _guarded(self.folder):
            if self._owned():
                self.folder.remove(LOCK)

    def check(self) -> None:
        """Refuse to go on without it: after a long standstill another may have taken it over.

        Raises:
            SweepError: Another process has it.
        """
        if self.lost:
            raise SweepError(
                f"{self.folder.location} was taken over by another process while this one stood "
                "still. What is finished is kept; look with twinml status who works there."
            )

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError), _guarded(self.folder):
                if not self._owned():
                    self.lost = True
                    return
                self._write()

    def _owned(self) -> bool:
        owner = read_owner(self.folder)
        return owner is not None and owner.get("token") == self.token

    def _write(self) -> None:
        content = {
            "schema": "lock/1",
            "host": socket.gethostname(),
            "space": _process_space(),
            "pid": os.getpid(),
            "started": started(os.getpid()),
            "heartbeat": time.time(),
            "token": self.token,
        }
        self.folder.write(LOCK, (json.dumps(content) + "\n").encode())


def read_owner(folder: AbstractFolder) -> dict[str, Any] | None:
    """Who has the lock, alive or dead; None where it is free. An unreadable lock has no owner."""
    try:
        found = json.loads(folder.read(LOCK))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def alive(owner: Mapping[str, Any]) -> bool:
    """Whether the owner still works, as far as this machine can tell."""
    if local(owner):
        begun = started(owner.get("pid", -1))
        return begun is not None and begun == owner.get("started")
    return time.time() - float(owner.get("heartbeat", 0.0)) < STALE


def local(owner: Mapping[str, Any]) -> bool:
    """Whether its processes can be seen from here."""
    here = owner.get("host") == socket.gethostname() and owner.get("space") == _process_space()
    return here and owner.get("started") is not None


def check_free(folder: AbstractFolder) -> None:
    """Refuse before any work what a living process has.

    Raises:
        LockedError: names it.
    """
    owner = read_owner(folder)
    if owner is not None and alive(owner):
        raise LockedError(_refusal(folder, owner))


def started(pid: int) -> str | None:
    """When a process of this machine started, in its own clock; None where there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return _exists(pid)
    # the name in parentheses may hold anything; the state follows it, the start is field 22
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else fields[19]


def _exists(pid: int) -> str | None:
    """Where there is no /proc: whether the process is there, without its start."""
    if os.path.isdir("/proc/self"):
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except (PermissionError, OverflowError):
        return "unknown"
    return "unknown"


def _process_space() -> str:
    """The numbering of processes: containers of one host may each have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


@contextlib.contextmanager
def _guarded(folder: AbstractFolder) -> Iterator[None]:
    """Reading and writing the lock as one step, among processes that share a local folder."""
    if not isinstance(folder, LocalFolder):
        yield
        return
    try:
        import fcntl
    except ImportError:  # Windows: renaming in one step is what there is
        yield
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.path, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refusal(folder: AbstractFolder, owner: Mapping[str, Any]) -> str:
    who = f"process {owner.get('pid')} on {owner.get('host')}"
    if local(owner):
        way = f"Wait for it, watch it with twinml status {folder.location}, or end it first."
    else:
        age = max(0.0, time.time() - float(owner.get("heartbeat", 0.0)))
        way = (
            f"Its last sign of life is {age:.0f} s old; {STALE:.0f} s after its last one the "
            f"sweep is free. Watch it with twinml status {folder.location}."
        )
    return (
        f"{folder.location} is in use by {who}, and two processes would compute the same rows "
        f"twice. {way}"
    )
