"""Run the compiler once, on one unit, in one folder."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.engines.native.compiler import Compiler

# A unit takes seconds; zig's first one on a slow disk may take a minute.
TIMEOUT = 600.0
UNIT, LIBRARY, LOG = "unit.cpp", "unit.so", "unit.log"
_FULL = ("No space left on device", "Disk quota exceeded", "NoSpaceLeft")
_KERNEL = 1 << 20


@final
@dataclass(frozen=True)
class Built:
    """What a run of the compiler left: no ``reason`` means that a library is there.

    Args:
        command: Its words.
        seconds: How long it ran.
        reason: Why there is no library, or "".
        log: What it said.
        full: Whether it failed for want of room on the disk.
    """

    command: tuple[str, ...]
    seconds: float
    reason: str
    log: str
    full: bool = False


def command_line(compiler: Compiler, target: str, headers: Path) -> tuple[str, ...]:
    """The command, with names of files relative to the folder it runs in.

    The maths library comes last: without fma in the target, the compiler calls it for fma().
    """
    flags = compiler.flags(target)
    return (*compiler.command, *flags, "-I", str(headers), "-o", LIBRARY, UNIT, "-lm")


def build(command: tuple[str, ...], folder: Path) -> Built:
    """Compile ``unit.cpp`` of a folder to ``unit.so`` there, all it says to ``unit.log``.

    The compiler runs in a process group of its own, which is ended as a whole after TIMEOUT
    seconds, and when this process is interrupted.
    """
    start = time.perf_counter()
    log = folder / LOG
    reason = ""
    with log.open("wb") as told:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=told,
                stderr=subprocess.STDOUT,
                env=_environment(os.environ, folder),
                start_new_session=True,
            )
        except OSError as error:
            return Built(command, 0.0, f"did not start: {error.strerror or error}", "")
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            reason = f"did not end within {TIMEOUT:g} s and was stopped"
        else:
            if code < 0:
                reason = f"was ended by {_signal(-code)}"
            elif code > 0:
                reason = f"ended with code {code}"
            elif not (folder / LIBRARY).is_file():
                reason = "ended well, but made no library"
        finally:
            if process.poll() is None:
                _end(process)
    text = log.read_text(errors="replace")
    full = bool(reason) and (any(words in text for words in _FULL) or _no_room(folder))
    return Built(command, time.perf_counter() - start, reason, text, full)


def shown(command: tuple[str, ...]) -> str:
    """The command as a person would type it."""
    return shlex.join(command)


def _environment(given: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Messages in English, and every temporary file where it is removed with the rest."""
    zig = str(folder.parent / "zig")
    return {
        "ZIG_GLOBAL_CACHE_DIR": zig,
        **given,
        "LC_ALL": "C",
        "TMPDIR": str(folder),
        "ZIG_LOCAL_CACHE_DIR": str(folder / "zig"),
    }


def _no_room(folder: Path) -> bool:
    """Whether a file of the size of a kernel finds no place; a full disk keeps no log either."""
    try:
        (folder / "probe").write_bytes(bytes(_KERNEL))
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    # The group first: the driver's children (cc1plus, ld) outlive the driver otherwise.
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()


def _signal(number: int) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
    return f"{name} (out of memory?)" if name == "SIGKILL" else name
