"""Where configuration files are looked for: --config-dir, ./configs, the package.

The first match wins.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from twinml import resources
from twinml.errors import ConfigError, nearest

GROUPS = (
    "experiment",
    "twin",
    "scenario",
    "surrogate",
    "solver",
    "executor",
    "launcher",
    "target",
    "logger",
)


@dataclass(frozen=True)
class SearchPath:
    """The folders that are searched, best first."""

    folders: tuple[Path, ...]

    @classmethod
    def of(cls, config_dir: str | None = None) -> SearchPath:
        """The search path for this process's working directory.

        Raises:
            ConfigError: ``--config-dir`` names no folder.
        """
        folders = []
        if config_dir is not None:
            if not Path(config_dir).is_dir():
                raise ConfigError(
                    f"--config-dir {config_dir} is not a folder. "
                    "Give one that holds group folders such as twin/ or scenario/."
                )
            folders.append(Path(config_dir).resolve())
        local = Path("configs").resolve()
        folders += [folder for folder in (local, resources.configs()) if folder.is_dir()]
        return cls(tuple(dict.fromkeys(folders)))

    def groups(self) -> list[str]:
        """The groups that have at least one choice."""
        return [group for group in GROUPS if self.options(group)]

    def options(self, group: str) -> dict[str, Path]:
        """Choice -> the file that is used for it, sorted by name."""
        found: dict[str, Path] = {}
        for folder in self.folders:
            for file in sorted(f for f in (folder / group).rglob("*.yaml") if f.is_file()):
                name = file.relative_to(folder / group).with_suffix("").as_posix()
                found.setdefault(name, file)
        return dict(sorted(found.items()))

    def find(self, group: str, choice: str) -> Path:
        """The file behind ``group=choice``.

        Raises:
            ConfigError: there is none; names the nearest, the known ones and the folders.
        """
        options = self.options(group)
        if choice in options:
            return options[choice]
        looked = ", ".join(shown(folder / group) for folder in self.folders)
        raise ConfigError(
            f"No {group} '{choice}'.{nearest(choice, options)} "
            f"Known: {', '.join(options) or 'none'}. Looked for {choice}.yaml in: {looked}."
        )

    def shadowed(self, group: str, choice: str) -> Path | None:
        """The package's file that a user's file of the same name hides, if any."""
        packaged = resources.configs() / group / f"{choice}.yaml"
        hidden = packaged.is_file() and self.find(group, choice) != packaged
        return packaged if hidden else None


def flat_keys(search: SearchPath, group: str) -> dict[str, dict[str, object]]:
    """Choice -> key -> value, where every file of a group is a plain list of values; else {}.

    These are the keys of a group whose schema is known to its owner alone, such as a surrogate's.
    """
    found: dict[str, dict[str, object]] = {}
    for choice, file in search.options(group).items():
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError):
            return {}
        if not isinstance(content, dict):
            return {}
        if any(isinstance(value, list | dict) for value in content.values()):
            return {}
        found[choice] = {str(k): v for k, v in content.items() if k != "kind"}
    return found


def shown(path: Path) -> str:
    """A path relative to the working directory where that is shorter."""
    try:
        return str(path.relative_to(Path.cwd())) or "."
    except ValueError:
        return str(path)


def known_choices(path: SearchPath, groups: Iterable[str]) -> dict[str, list[str]]:
    """Group -> its choices, for help texts."""
    return {group: list(path.options(group)) for group in groups}
