"""What a ``_target_`` of a configuration names, or the user's own line when it cannot be had."""

from __future__ import annotations

import importlib
import importlib.util
import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twinml import resources
from twinml.errors import ConfigError, nearest


def import_target(target: str, wanted_by: str) -> Any:
    """What a ``_target_`` names.

    Raises:
        ConfigError: module or name missing, or the module fails while it is imported.
    """
    module_name, _, name = target.rpartition(".")
    if not module_name:
        raise ConfigError(f"_target_: {target} of {wanted_by} names no module; write module.Class.")
    _refuse_hidden(module_name.partition(".")[0], wanted_by)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(
                f"No module '{module_name}' for {wanted_by} (_target_: {target}). "
                f"Looked in the working directory {Path.cwd()} and the installed packages."
            ) from error
        raise ConfigError(f"{module_name}.py failed to import: {own_line(error)}") from error
    except Exception as error:
        raise ConfigError(f"{module_name}.py failed to import: {own_line(error)}") from error
    if not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise ConfigError(
            f"Module '{module_name}' has no '{name}' for {wanted_by}.{nearest(name, known)}"
        )
    return getattr(module, name)


def _refuse_hidden(name: str, wanted_by: str) -> None:
    """Refuses a module of the working directory that an installed one of its name hides."""
    own = next((p for p in (Path(f"{name}.py"), Path(name, "__init__.py")) if p.is_file()), None)
    if own is None:
        return
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    if found is None or found.origin is None or Path(found.origin).resolve() == own.resolve():
        return
    raise ConfigError(
        f"{own} of {wanted_by} cannot be imported: '{name}' is also {found.origin}, which goes "
        "first so that nothing else breaks. Rename your file, and its name in _target_."
    )


def own_line(error: Exception) -> str:
    """The user's own line in a traceback: the innermost frame outside the package and Python."""
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {(error.text or '').strip()} -> {text}"
    own = _innermost(error, lambda file: not _is_installed(file))
    return f"{own} -> {text}" if own else text


def raised_in_own_code(error: Exception) -> str | None:
    """The user's line, when it is the very place that raised; None for the package's own bugs."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = str(resources.PACKAGE)
    last_of_ours = max(
        (i for i, f in enumerate(frames) if f.filename.startswith(inside)), default=-1
    )
    if all(_is_installed(frame.filename) for frame in frames[last_of_ours + 1 :]):
        return None
    return _innermost(error, lambda file: not _is_installed(file))


def _innermost(error: Exception, wanted: Callable[[str], bool]) -> str | None:
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if wanted(frame.filename):
            return f"{frame.filename}, line {frame.lineno}: {frame.line}"
    return None


def _is_installed(file: str) -> bool:
    """Whether a frame's file is the package, an installed one or Python itself."""
    library = sysconfig.get_paths()["stdlib"]
    return file.startswith((str(resources.PACKAGE), "<frozen", library)) or "site-packages" in file
