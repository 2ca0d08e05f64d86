"""A task's configuration: Hydra joins the chosen files, the command line's values go on top.

Hydra sees only group choices. Values are applied here, against the task's dataclass, so that
every refusal can name the key, the nearest known one and the file.
"""

from __future__ import annotations

import copy
import dataclasses
import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinml.cli import schema as schemas
from twinml.cli.overrides import Selection
from twinml.cli.search import GROUPS, SearchPath, shown
from twinml.errors import ConfigError, nearest
from twinml.scenario.yaml_file import load_yaml

# Short keys of the command line for the parts of a twin that are often changed.
ALIASES = {
    "parameters": "twin.parameters",
    "data": "twin.data",
    "fit": "twin.calibrate.fit",
    "fit_initial": "twin.calibrate.fit_initial",
}


@dataclass(frozen=True)
class Composed:
    """A resolved configuration: typed, plain, and where it came from.

    ``choices`` and ``files`` stand in the same order; ``given`` are the keys of the command line.
    """

    typed: Any
    plain: dict[str, Any]
    choices: dict[str, str]
    files: tuple[Path, ...]
    given: tuple[str, ...] = ()

    def blame(self, group: str) -> str:
        """The words that name a group's file, unless the command line changed the group."""
        if any(name == group or name.startswith(f"{group}.") for name in self.given):
            return ""
        found = [
            file
            for (name, _), file in zip(self.choices.items(), self.files, strict=False)
            if group_of(name) == group
        ]
        return f"{shown(found[0])}: " if found else ""


def compose(
    schema: type, task: str, groups: tuple[str, ...], selection: Selection, search: SearchPath
) -> Composed:
    """Joins defaults, chosen files and values into one resolved configuration.

    Raises:
        ConfigError: unknown group, choice or key; wrong type; an unset ``${...}``.
    """
    for group, choice in selection.groups.items():
        if group not in groups:
            raise ConfigError(
                f"{task} takes no {group}.{nearest(group, groups)} Its groups: {', '.join(groups)}."
            )
        if choice == "":
            known = ", ".join(search.options(group))
            raise ConfigError(f"'{group}=' names no {group}. Give one of: {known}.")
        if choice is not None:
            load_yaml(shown(search.find(group, choice)))
    merged, choices = _join(task, selection, search)
    files = tuple(search.find(group_of(g), c) for g, c in choices.items())
    raw = schemas.defaults(schema)
    for name, value in merged.items():
        raw[name] = _overlay(raw.get(name), value)
    if isinstance(raw.get("twin"), dict) and "twin" in choices:
        raw["twin"].setdefault("name", choices["twin"])
    given = {_written_out(name, schema): value for name, value in selection.values.items()}
    for name, value in given.items():
        _set(raw, schema, name, value)
    plain = _resolve(raw)
    try:
        typed = schemas.build(schema, plain)
    except ConfigError as error:
        raise ConfigError(f"{_blame(str(error), files, selection)}{error}") from None
    return Composed(typed, dataclasses.asdict(typed), choices, files, tuple(given))


def _join(
    task: str, selection: Selection, search: SearchPath
) -> tuple[dict[str, Any], dict[str, str]]:
    """Hydra's part: the defaults list of ``<task>.yaml`` with the chosen groups."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
    from hydra.core.plugins import Plugins
    from hydra.errors import HydraException
    from hydra.types import RunMode
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    Plugins.instance()  # registers the readers of pkg:// and file://
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    for folder in search.folders:
        path.append("main", f"file://{folder}")
    path.append("schema", "structured://")
    words = [f"{g}={'null' if c is None else c}" for g, c in selection.groups.items()]
    try:
        loader = ConfigLoaderImpl(config_search_path=path)
        joined = loader.load_configuration(task, overrides=words, run_mode=RunMode.RUN)
        chosen = OmegaConf.to_container(joined.hydra.runtime.choices)
        plain = OmegaConf.to_container(joined, resolve=False)
    except (HydraException, OmegaConfBaseException) as error:
        raise _worded(error, task, search) from error
    except ValueError as error:  # Hydra cannot leave out a group whose default is a file
        unset = [group for group, choice in selection.groups.items() if choice is None]
        if not unset:
            raise
        raise ConfigError(
            f"{unset[0]}=null cannot be used: {task} needs one. Choose among "
            f"{', '.join(search.options(unset[0]))}."
        ) from error
    except Exception:  # what a reader of YAML makes of a broken file; here it is named
        for file in _all_files(search):
            load_yaml(shown(file))
        raise
    assert isinstance(plain, dict) and isinstance(chosen, dict)
    plain.pop("hydra", None)
    picked = {
        str(g): str(c)
        for g, c in chosen.items()
        if c is not None and not str(g).startswith("hydra/")
    }
    return {str(k): v for k, v in plain.items()}, picked


def _all_files(search: SearchPath) -> list[Path]:
    """Every file that a defaults list can lead to."""
    top = [file for folder in search.folders for file in sorted(folder.glob("*.yaml"))]
    return [*top, *(file for group in GROUPS for file in search.options(group).values())]


def group_of(choice: str) -> str:
    """The group behind a choice's name: ``surrogate@surrogates.gp`` is of group surrogate."""
    return choice.partition("@")[0]


def _worded(failure: Exception, task: str, search: SearchPath) -> ConfigError:
    """Hydra's complaint about the files themselves, without its own vocabulary."""
    lines = [line.strip() for line in str(failure).splitlines() if line.strip()]
    kept = [line for line in lines if not line.startswith(("Config search", "provider=", "See "))]
    folders = ", ".join(shown(folder) for folder in search.folders)
    foreign = re.search(r"In '([^/']+)/([^']+)': Could not override '([^']+)'", " ".join(kept))
    if foreign:
        group, choice, other = foreign.groups()
        file = search.find(group, choice)
        if "@" in other and group == "experiment":
            return ConfigError(
                f"{shown(file)} does not begin with the line '# @package _global_', without which "
                "what it chooses and sets does not reach the task. Add it as the first line."
            )
        return ConfigError(
            f"{group}={choice} chooses a {other}, which {task} does not take: it is made for "
            f"another task (see {shown(file)}). Leave it out, or run the task it names."
        )
    lost = re.search(r"Could not find '([^/']+)/([^']+)'", " ".join(kept))
    if lost and lost[1] in GROUPS:
        try:
            search.find(lost[1], lost[2])
        except ConfigError as error:
            return ConfigError(
                "The configuration files do not fit together: a defaults list names "
                f"{lost[1]}/{lost[2]}. {error}"
            )
    return ConfigError(
        f"The configuration files do not fit together: {'; '.join(kept[:4])}. "
        f"Check the defaults lists of the files chosen; they are looked for in: {folders}."
    )


def _overlay(base: Any, top: Any) -> Any:
    if isinstance(base, Mapping) and isinstance(top, Mapping):
        out = dict(base)
        for name, value in top.items():
            out[name] = _overlay(out.get(name), value)
        return out
    return copy.deepcopy(top)


def _written_out(name: str, schema: type) -> str:
    known = schemas.fields(schema)
    head, dot, tail = name.partition(".")
    if head in ALIASES and head not in known and "twin" in known:
        return f"{ALIASES[head]}{dot}{tail}"
    return name


def _set(raw: dict[str, Any], schema: type, full: str, value: Any) -> None:
    """Sets one dotted key, refusing what neither schema nor chosen file knows."""
    hint: Any = schema
    node: Any = raw
    parts = _parts(full, raw)
    for depth, part in enumerate(parts):
        hint, known, is_open = _children(hint, node)
        path = ".".join(parts[: depth + 1])
        if depth == 1 and parts[0] in GROUPS and not raw.get(parts[0]):
            raise ConfigError(f"'{full}' needs a {parts[0]} first: add {parts[0]}=<name>.")
        if part not in known and not is_open:
            if depth == 0 and (below := schemas.groups_with(schema, part)):
                named = " or ".join(f"'{group}.{full}'" for group in below)
                raise ConfigError(f"Unknown key '{full}'. Did you mean {named}?")
            raise schemas.unknown_key(path, known)
        last = depth == len(parts) - 1
        if last:
            node[part] = value
            return
        if node.get(part) is None:
            node[part] = {}
        if not isinstance(node[part], dict):
            raise ConfigError(f"'{full}': {path} is a single value ({node[part]!r}), not a group.")
        hint, node = hint.get(part, Any) if isinstance(hint, dict) else Any, node[part]


def _parts(full: str, raw: Mapping[str, Any]) -> list[str]:
    """A dotted key split along the configuration, whose own keys may hold dots (initial.x)."""
    rest, node, parts = full.split("."), raw, []
    while rest:
        taken = 1
        for count in range(len(rest), 1, -1):
            if isinstance(node, Mapping) and ".".join(rest[:count]) in node:
                taken = count
                break
        parts.append(".".join(rest[:taken]))
        rest = rest[taken:]
        node = node.get(parts[-1]) if isinstance(node, Mapping) else None
    return parts


def _children(hint: Any, node: Any) -> tuple[dict[str, Any], list[str], bool]:
    """Types by name, known names, and whether new names may be set below this place."""
    hint = schemas.inner(hint)
    present = list(node) if isinstance(node, Mapping) else []
    if dataclasses.is_dataclass(hint):
        types = {name: t for name, (t, _) in schemas.fields(typing.cast(type, hint)).items()}
        return types, list(types), False
    if typing.get_origin(hint) is dict:
        item = typing.get_args(hint)[1]
        return dict.fromkeys(present, item), present, True
    # Without a declared shape: the verb that takes the mapping knows its names, and says so.
    return {}, present, True


def _resolve(raw: dict[str, Any]) -> dict[str, Any]:
    """Replaces ``${...}``; ``${paths.data}`` stays as it is while it is not set.

    Raises:
        ConfigError: a reference to something that does not exist.
    """
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    if (raw.get("paths") or {}).get("data") is None:
        raw = _keep_literally(raw, "${paths.data}")
    try:
        plain = OmegaConf.to_container(OmegaConf.create(raw), resolve=True)
    except OmegaConfBaseException as error:
        text = str(error).splitlines()[0]
        where = f" of {error.full_key}" if error.full_key else ""
        raise ConfigError(
            f"A reference{where} leads nowhere: {text}. Correct the name inside ${{...}}."
        ) from error
    assert isinstance(plain, dict)
    return {str(k): v for k, v in plain.items()}


def _keep_literally(node: Any, reference: str) -> Any:
    """Escapes a reference that has no value, so that only a task that needs it complains."""
    if isinstance(node, Mapping):
        return {name: _keep_literally(value, reference) for name, value in node.items()}
    if isinstance(node, list):
        return [_keep_literally(value, reference) for value in node]
    return node.replace(reference, f"\\{reference}") if isinstance(node, str) else node


def _blame(text: str, files: tuple[Path, ...], selection: Selection) -> str:
    """Which file holds the refused key, when it did not come from the command line."""
    quoted = text.split("'")[1] if text.startswith("Unknown key '") else text.split("=")[0]
    if any(quoted.endswith(key) or f"{key}." in quoted for key in selection.values):
        return ""
    leaf = quoted.split("[")[0].rpartition(".")[2]
    holders = [f for f in files if any(_names(line, leaf) for line in f.read_text().splitlines())]
    return f"{', '.join(shown(f) for f in holders)}: " if holders else ""


def _names(line: str, key: str) -> bool:
    return line.split("#")[0].strip().strip("{- ").startswith(f"{key}:") or f"{key}:" in line
