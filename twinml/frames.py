"""Where a user's own code failed: the file, line and text behind an exception."""

from __future__ import annotations

import linecache
import os
import sys
import sysconfig
import traceback
from pathlib import Path

_PACKAGE = str(Path(__file__).parent)
_SHIPPED = str(Path(__file__).parent / "library") + os.sep
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


def calling_place() -> str:
    """File, line and text of the innermost running frame that is a model's, shipped ones included.

    "" where there is none.
    """
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if _is_model(file):
            line = linecache.getline(file, frame.f_lineno).strip()
            return f"{_shown(file)}, line {frame.f_lineno}" + (f": {line}" if line else "")
        frame = frame.f_back
    return ""


def model_place(error: BaseException) -> str:
    """As ``calling_place``, from a traceback."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if _is_model(frame.filename):
            return f"{_shown(frame.filename)}, line {frame.lineno}: {frame.line}"
    return ""


def raised_in_own_code(error: BaseException) -> bool:
    """Whether the user's code, or what it called, raised; False for a fault of this package."""
    frames = traceback.extract_tb(error.__traceback__)
    last = max((i for i, f in enumerate(frames) if f.filename.startswith(_PACKAGE)), default=-1)
    return any(not _is_installed(frame.filename) for frame in frames[last + 1 :])


def _is_model(file: str) -> bool:
    """Whether a file holds a model's equations: the user's text, or the library's."""
    return file.startswith(_SHIPPED) or not _is_installed(file)


def _is_installed(file: str) -> bool:
    """Whether a frame's file is this package, an installed one or Python itself."""
    return file.startswith((_PACKAGE, "<frozen", _LIBRARY)) or "site-packages" in file


def _shown(file: str) -> str:
    """Relative to the working directory where the file lies below it."""
    below = os.path.relpath(file)
    return file if below.startswith(os.pardir) else below
