"""Every unknown key and every value of a wrong type, not only the first."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from twinml.cli import schema as schemas
from twinml.cli.lint.place import Key, Problem
from twinml.errors import ConfigError


def key_problems(hint: Any, value: Any, key: Key = ()) -> Iterator[Problem]:
    """What does not fit the type ``hint``, place by place."""
    plain = schemas.inner(hint)
    nested = dataclasses.is_dataclass(plain)
    if nested and isinstance(value, Mapping):
        known = schemas.fields(typing.cast(type, plain))
        for name, item in value.items():
            below = (*key, str(name))
            if name in known:
                yield from key_problems(known[name][0], item, below)
            else:
                yield Problem(below, str(schemas.unknown_key(".".join(below), known)))
        return
    if typing.get_origin(plain) is dict and isinstance(value, Mapping):
        for name, item in value.items():
            yield from key_problems(typing.get_args(plain)[1], item, (*key, str(name)))
        return
    try:
        schemas.convert(hint, value, ".".join(key))
    except ConfigError as error:
        yield Problem(key, str(error))


def without(values: Mapping[str, Any], keys: list[Key]) -> dict[str, Any]:
    """The values with some keys left out, so that the rest can be checked further."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if (str(name),) in keys:
            continue
        below = [key[1:] for key in keys if len(key) > 1 and key[0] == str(name)]
        out[str(name)] = without(value, below) if below and isinstance(value, Mapping) else value
    return out
