"""A YAML file with the line of each key, and what is wrong at a place in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from twinml.scenario.yaml_file import load_yaml

Key = tuple[str, ...]


@dataclass(frozen=True)
class Problem:
    """Something wrong, and the key at which it is."""

    key: Key
    text: str


@dataclass(frozen=True)
class Source:
    """A file: its values, and the line on which each key stands."""

    path: Path
    values: dict[str, Any]
    lines: dict[Key, int]

    @classmethod
    def read(cls, path: Path) -> Source:
        """Read one file.

        Raises:
            ConfigError: it is no YAML with keys.
        """
        values = load_yaml(path)
        lines: dict[Key, int] = {}
        _collect(yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader), (), lines)
        return cls(path, values, lines)

    def line(self, key: Sequence[str]) -> int | None:
        """Line of a key, or of the nearest one around it."""
        for length in range(len(key), 0, -1):
            if tuple(key[:length]) in self.lines:
                return self.lines[tuple(key[:length])]
        return None

    def worded(self, problem: Problem) -> str:
        """``file:line: text``, as editors and compilers write it."""
        line = self.line(problem.key)
        return f"{self.path}:{'' if line is None else f'{line}:'} {problem.text}"


def _collect(node: Any, key: Key, lines: dict[Key, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            below = (*key, str(name.value))
            lines[below] = name.start_mark.line + 1
            _collect(value, below, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            below = (*key, str(index))
            lines[below] = value.start_mark.line + 1
            _collect(value, below, lines)
