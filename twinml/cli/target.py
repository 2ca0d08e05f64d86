"""What a ``_target_`` of a configuration names, or the user's own line when it cannot be had."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twinml.errors import ConfigError, TwinmlError, nearest
from twinml.frames import own_line, own_place

_DOTTED = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")

_CORRECT = " Correct that line; TWINML_DEBUG=1 shows the whole traceback."


def import_target(target: str, wanted_by: str) -> Any:
    """What a ``_target_`` names.

    Raises:
        ConfigError: module or name missing, or the module fails while it is imported.
    """
    if not _DOTTED.fullmatch(target):
        written = target.replace(".py:", ".").replace("/", ".").replace(":", ".").strip(".")
        example = written if _DOTTED.fullmatch(written) else f"kiln.{written or 'Kiln'}"
        raise ConfigError(
            f"_target_: {target} of {wanted_by} is not of the form module.Class; for a class in a "
            f"file beside configs/, write the file's name without .py, such as {example}."
        )
    module_name, _, name = target.rpartition(".")
    _refuse_hidden(module_name.partition(".")[0], wanted_by)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            beside = [file.stem for file in Path.cwd().glob("*.py")]
            raise ConfigError(
                f"No module '{module_name}' for {wanted_by} (_target_: {target})."
                f"{nearest(module_name, beside)} Looked in the working directory {Path.cwd()} and "
                "the installed packages."
            ) from error
        raise _failed(module_name, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(module_name, error) from error
    if not hasattr(module, name):
        known = [n for n in vars(module) if not n.startswith("_")]
        raise ConfigError(
            f"Module '{module_name}' has no '{name}' for {wanted_by} (_target_: {target})."
            f"{nearest(name, known)} Write the name of the class as in the module."
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


def build_target(made: type, target: str, arguments: Mapping[str, Any]) -> Any:
    """An instance of what ``_target_`` names.

    Raises:
        ConfigError: the class does not take the arguments, or its own code fails.
    """
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "no arguments"
    try:
        model = made(**arguments)
    except TwinmlError:
        raise
    except Exception as error:
        if "before Module.__init__() call" in str(error):
            raise ConfigError(f"{_no_super(target)} It failed at {own_place(error)}.") from error
        advice = ""
        if isinstance(error, TypeError) and own_place(error) is None:
            advice = (
                f" Arguments stand beside _target_, as in {{_target_: {target}, name: value}}; one "
                "that has a default may be left out."
            )
        elif own_place(error) is not None:
            advice = _CORRECT
        raise ConfigError(
            f"{target} could not be built with {given}: {own_line(error)}.{advice}"
        ) from error
    if "_defaults" not in vars(model):
        raise ConfigError(_no_super(target))
    return model


def _no_super(target: str) -> str:
    return f"{target}.__init__ does not begin with super().__init__(). Add it as its first line."


def _failed(module: str, error: BaseException) -> ConfigError:
    if isinstance(error, TwinmlError):  # a class that contradicts itself: the text says it all
        return ConfigError(f"{own_place(error) or module} -> {error}")
    return ConfigError(f"{module} failed to import: {own_line(error)}.{_CORRECT}")
