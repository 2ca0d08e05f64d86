"""The words after a task: flags, group choices, values, and what ``-m`` makes of several values.

Hydra's parser reads each word; what it means, and what is refused, is decided here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from twinml.cli.search import GROUPS
from twinml.errors import ConfigError


@dataclass(frozen=True)
class Word:
    """One override: ``choices`` are its values, several only for a multirun."""

    key: str
    choices: tuple[Any, ...]
    text: str

    @property
    def is_group(self) -> bool:
        return self.key in GROUPS


@dataclass(frozen=True)
class Arguments:
    """The words of a task, sorted by kind."""

    words: tuple[Word, ...] = ()
    multirun: bool = False
    help: bool = False
    config_dir: str | None = None


@dataclass(frozen=True)
class Selection:
    """One job's overrides: choices of groups, values of keys, and the texts that differ."""

    groups: dict[str, str | None] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    varied: dict[str, str] = field(default_factory=dict)


def parse(words: Sequence[str]) -> Arguments:
    """Sorts the words of a task.

    Raises:
        ConfigError: an unknown flag, a word that is no override, or a form that is not offered.
    """
    multirun = help = False
    config_dir: str | None = None
    overrides: list[Word] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word in ("-h", "--help"):
            help = True
        elif word in ("-m", "--multirun"):
            multirun = True
        elif word == "--config-dir" or word.startswith("--config-dir="):
            _, equals, value = word.partition("=")
            if not equals and not rest:
                raise ConfigError("--config-dir needs a folder: --config-dir DIR.")
            config_dir = value if equals else rest.pop(0)
        elif word.startswith("-"):
            raise ConfigError(
                f"Unknown option '{word}'. Options: -m (all combinations), --config-dir DIR, "
                "--help. Everything else is key=value, for example seed=1."
            )
        else:
            overrides.append(_override(word))
    several = [word for word in overrides if len(word.choices) > 1]
    if several and not multirun:
        word = several[0]
        raise ConfigError(
            f"'{word.text}' gives {word.key} {len(word.choices)} values. Add -m to run each of "
            f"them; a list is written {word.key}=[a,b], and text with commas {_quoted(word.text)}."
        )
    return Arguments(tuple(overrides), multirun, help, config_dir)


def _override(text: str) -> Word:
    if text[0] in "+~":
        name = text.lstrip("+~").partition("=")[0]
        what = "added" if text[0] == "+" else "deleted"
        raise ConfigError(
            f"'{text}': keys cannot be {what} here, a task's keys are fixed. "
            f"Set an existing one with {name}=value; 'twinml <task> --help' lists them."
        )
    if "=" not in text:
        raise ConfigError(
            f"'{text}' is not an override. Write key=value or group=choice, for example "
            f"seed=1 or twin=outbreak."
        )
    key, _, raw = text.partition("=")
    if key.split(".")[0].split("/")[0] == "hydra" or "@" in key:
        raise ConfigError(
            f"'{text}': keys of Hydra itself are not part of twinml; out=<folder> names the run "
            "directory, and 'twinml <task> --help' lists the keys."
        )
    return Word(key, _values(key, raw, text), text)


def _values(key: str, raw: str, text: str) -> tuple[Any, ...]:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_override(text)
    except HydraException as error:
        if "Unknown function" in str(error):  # an expression such as max(in_bed)
            return (raw,)
        raise ConfigError(
            f"'{text}' cannot be read as key=value. Text with spaces, commas, equals signs or "
            f"brackets is quoted, for twinml as well as for the shell: {_quoted(text)}."
        ) from error
    if not parsed.is_sweep_override():
        return (parsed.value(),)
    if not parsed.is_discrete_sweep():
        raise ConfigError(f"'{text}': an interval cannot be enumerated; use {key}=a,b or range().")
    try:
        return tuple(parsed._convert_value(v) for v in parsed.sweep_iterator())
    except HydraException as error:
        raise ConfigError(f"'{text}': {error}. Write the values out: {key}=a,b.") from error


def _quoted(text: str) -> str:
    """A word as a shell and twinml both take its value for text."""
    key, _, value = text.partition("=")
    plain = value.strip("'\"")
    return f"\"{key}='{plain}'\""


def selections(arguments: Arguments) -> list[Selection]:
    """Every combination of the given values, the last word varying fastest.

    Raises:
        ConfigError: a group's choice is not a name.
    """
    jobs = []
    for values in itertools.product(*(word.choices for word in arguments.words)):
        selection = Selection()
        for word, value in zip(arguments.words, values, strict=True):
            if word.is_group:
                if value is not None and not isinstance(value, str | int):
                    raise ConfigError(
                        f"'{word.text}': {word.key} takes the name of a choice, {word.key}=<name>."
                    )
                selection.groups[word.key] = None if value is None else str(value)
            else:
                selection.values[word.key] = value
            if len(word.choices) > 1:
                selection.varied[word.key] = str(value)
        jobs.append(selection)
    return jobs
