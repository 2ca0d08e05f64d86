"""Where a user's own code failed: the file, line and text behind an exception."""

from __future__ import annotations

import os
import sysconfig
import traceback
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)
_LIBRARY = sysconfig.get_paths()["stdlib"]


def own_line(error: BaseException) -> str:
    """The user's own line in a traceback, and the error: the innermost frame that is theirs.

    Example: ``kiln.py, line 9: k = 1 / 0 -> ZeroDivisionError: division by zero``. Without such a
    frame, the error alone.
    """
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = f"{_shown(error.filename)}, line {error.lineno}: {(error.text or '').strip()}"
        return f"{place} -> {type(error).__name__}: {error.msg}"
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    place = own_place(error)
    return f"{place} -> {text}" if place else text


def own_place(error: BaseException) -> str | None:
    """File, line and text of the innermost frame outside this package, Python and its packages."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not _is_installed(frame.filename):
            return f"{_shown(frame.filename)}, line {frame.lineno}: {frame.line}"
    return None


def raised_in_own_code(error: BaseException) -> bool:
    """Whether the user's code, or what it called, raised; False for a fault of this package."""
    frames = traceback.extract_tb(error.__traceback__)
    last = max((i for i, f in enumerate(frames) if f.filename.startswith(_PACKAGE)), default=-1)
    return any(not _is_installed(frame.filename) for frame in frames[last + 1 :])


def _is_installed(file: str) -> bool:
    """Whether a frame's file is this package, an installed one or Python itself."""
    return file.startswith((_PACKAGE, "<frozen", _LIBRARY)) or "site-packages" in file


def _shown(file: str) -> str:
    """Relative to the working directory where the file lies below it."""
    below = os.path.relpath(file)
    return file if below.startswith(os.pardir) else below
