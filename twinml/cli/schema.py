"""A task's keys are the fields of a dataclass; here a plain mapping becomes such an instance.

Supported field types: bool, int, float, str, ``Any``, ``X | None``, ``list[X]``, ``dict[str, X]``,
``Literal[...]`` and nested dataclasses. Every refusal names the full key.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal, Union

from twinml.errors import ConfigError, nearest


def key(default: Any, help: str) -> Any:
    """A field of a task's dataclass: its default and one line for ``--help``."""
    metadata = {"help": help}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    if isinstance(default, type) or callable(default):
        return dataclasses.field(default_factory=default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def fields(schema: type) -> dict[str, tuple[Any, dataclasses.Field]]:
    """Name -> (type, field) of a schema, in the order of declaration."""
    hints = typing.get_type_hints(schema)
    return {f.name: (hints[f.name], f) for f in dataclasses.fields(schema)}


def defaults(schema: type) -> dict[str, Any]:
    """The schema's default values as a plain nested mapping; unset optional groups are None."""
    out = {}
    for name, (_, field) in fields(schema).items():
        if field.default_factory is not dataclasses.MISSING:
            value = field.default_factory()
        else:
            value = None if field.default is dataclasses.MISSING else field.default
        nested = dataclasses.is_dataclass(value) and not isinstance(value, type)
        out[name] = dataclasses.asdict(value) if nested else value  # pyright: ignore
    return out


def inner(hint: Any) -> Any:
    """The type inside ``X | None``; other types as they are."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        rest = [a for a in typing.get_args(hint) if a is not type(None)]
        return rest[0] if len(rest) == 1 else hint
    return hint


def build(schema: type, values: Mapping[str, Any], path: str = "") -> Any:
    """An instance of ``schema`` from plain values.

    Raises:
        ConfigError: an unknown key, with the nearest known one, or a value of the wrong type.
    """
    known = fields(schema)
    for name in values:
        if name not in known:
            raise unknown_key(f"{path}{name}", known)
    made = {
        name: convert(hint, values[name], f"{path}{name}")
        for name, (hint, _) in known.items()
        if name in values
    }
    return schema(**made)


def groups_with(schema: type, name: str) -> list[str]:
    """Keys of ``schema`` that are groups of keys with one of that name."""
    found = []
    for group, (hint, _) in fields(schema).items():
        below = inner(hint)
        if dataclasses.is_dataclass(below) and name in fields(typing.cast(type, below)):
            found.append(group)
    return found


def unknown_key(full: str, known: Any) -> ConfigError:
    """The refusal of a key that nothing declares."""
    parent, _, name = full.rpartition(".")
    close = nearest(name, known)
    if close and parent:
        close = close.replace("'", f"'{parent}.", 1)
    where = f" under '{parent}'" if parent else ""
    return ConfigError(f"Unknown key '{full}'.{close} Keys{where}: {', '.join(known) or 'none'}.")


def convert(hint: Any, value: Any, path: str) -> Any:
    """``value`` as ``hint``, or the reason why not in the user's words."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        return _convert_union(typing.get_args(hint), value, path)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise ConfigError(
                f"{path}={value!r} is not one of {', '.join(map(str, choices))}."
                f"{nearest(str(value), map(str, choices))}"
            )
        return value
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            known = list(fields(typing.cast(type, hint)))
            listed = f"{', '.join(known[:-1])} and {known[-1]}" if len(known) > 1 else known[0]
            example = f"{{{known[0]}: ...}}"
            raise _wrong(path, value, f"keys below it, as in {example}; they are {listed}")
        return build(typing.cast(type, hint), value, f"{path}.")
    if origin is list:
        if not isinstance(value, list | tuple):
            raise _wrong(path, value, "a list such as [a,b]")
        (item,) = typing.get_args(hint)
        return [convert(item, v, f"{path}[{i}]") for i, v in enumerate(value)]
    if origin is dict:
        if not isinstance(value, Mapping):
            raise _wrong(path, value, "a mapping such as {a: 1}")
        item = typing.get_args(hint)[1]
        return {str(k): convert(item, v, f"{path}.{k}") for k, v in value.items()}
    return _convert_plain(hint, value, path)


def _convert_union(options: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in options:
        return None
    rest = [option for option in options if option is not type(None)]
    for option in rest[:-1]:
        try:
            return convert(option, value, path)
        except ConfigError:
            continue
    return convert(rest[-1], value, path)


def _convert_plain(hint: Any, value: Any, path: str) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and number and float(value).is_integer():
        return int(value)
    if hint is float and number:
        return float(value)
    if hint is str and isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    word = _WORDS[hint]
    if hint in (int, float) and isinstance(value, str) and value.strip()[:1].isdigit():
        word = f"{word}, without a unit or other text"
    raise _wrong(path, value, word)


_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
}


def _wrong(path: str, value: Any, expected: str) -> ConfigError:
    got = "null" if value is None else repr(value)
    return ConfigError(f"{path}={got} cannot be used: expected {expected}.")


def leaves(
    schema: type, path: str = "", given: Mapping[str, Any] | None = None
) -> Iterator[tuple[str, Any, str]]:
    """Every key of a schema as (full key, default, help), groups of keys flattened.

    ``given`` are the defaults of the place that holds the schema, which may differ from its own.
    """
    values = {**defaults(schema), **(given or {})}
    for name, (hint, field) in fields(schema).items():
        plain = inner(hint)
        if dataclasses.is_dataclass(plain):
            yield from leaves(typing.cast(type, plain), f"{path}{name}.", values[name])
        else:
            yield f"{path}{name}", values[name], field.metadata.get("help", "")


def key_type(schema: type, key: str) -> Any:
    """The type of a dotted key, without ``| None``; None for an unknown key."""
    hint: Any = schema
    for part in key.split("."):
        known = fields(typing.cast(type, hint)) if dataclasses.is_dataclass(hint) else {}
        if part not in known:
            return None
        hint = inner(known[part][0])
    return hint
