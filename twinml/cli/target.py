"""What a ``_target_`` of a configuration names, or the user's own line when it cannot be had."""

from __future__ import annotations

import importlib
import traceback
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


def own_line(error: Exception) -> str:
    """The user's own line in a traceback: the innermost frame outside the package and Python."""
    package = str(resources.PACKAGE)
    text = f"{type(error).__name__}: {error}"
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}: {(error.text or '').strip()} -> {text}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith((package, "<frozen")) and "site-packages" not in str(
            Path(frame.filename)
        ):
            return f"{frame.filename}, line {frame.lineno}: {frame.line} -> {text}"
    return text
