"""Plain values become a typed instance, or a text that names the full key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from twinml.cli.schema import build, defaults, key, leaves
from twinml.errors import ConfigError


@dataclass(frozen=True)
class Inner:
    rate: float = key(1.0, "a rate")
    unit: str | None = key(None, "its unit")


@dataclass(frozen=True)
class Outer:
    count: int = key(3, "how many")
    on: bool = key(False, "whether")
    mode: Literal["a", "b"] = key("a", "which")
    inner: Inner = key(Inner, "nested")
    names: list[str] = key([], "names")
    table: dict[str, Inner] = key({}, "by name")
    either: int | str = key("auto", "a number or a word")
    free: Any = key(None, "anything")


def test_defaults_are_plain_and_not_shared():
    first, second = defaults(Outer), defaults(Outer)
    assert first["inner"] == {"rate": 1.0, "unit": None}
    first["names"].append("x")
    assert second["names"] == []


def test_values_are_converted_where_nothing_is_lost():
    made = build(
        Outer,
        {
            "count": 4.0,
            "inner": {"rate": 2, "unit": 1},
            "table": {"x": {"rate": 3}},
            "either": 7,
            "free": {"a": [1]},
        },
    )
    assert made.count == 4 and isinstance(made.count, int)
    assert made.inner == Inner(2.0, "1") and made.table == {"x": Inner(3.0)}
    assert made.either == 7 and made.free == {"a": [1]}


@pytest.mark.parametrize(
    ("values", "fragments"),
    [
        ({"cuont": 1}, ["Unknown key 'cuont'", "Did you mean 'count'"]),
        ({"inner": {"rat": 1}}, ["Unknown key 'inner.rat'", "'inner.rate'", "under 'inner'"]),
        ({"table": {"x": {"uni": 1}}}, ["Unknown key 'table.x.uni'", "'table.x.unit'"]),
        ({"count": 1.5}, ["count=1.5", "a whole number"]),
        ({"count": True}, ["count=True", "a whole number"]),
        ({"count": "many"}, ["count='many'", "a whole number"]),
        ({"count": None}, ["count=null", "a whole number"]),
        ({"on": 1}, ["on=1", "true or false"]),
        ({"mode": "c"}, ["mode='c'", "a, b"]),
        ({"inner": 3}, ["inner=3", "they are rate and unit"]),
        ({"names": "x"}, ["names='x'", "[a,b]"]),
        ({"names": [["x"]]}, ["names[0]=['x']", "text"]),
        ({"inner": {"rate": "fast"}}, ["inner.rate='fast'", "a number"]),
    ],
)
def test_a_wrong_value_is_refused_by_its_full_key(values, fragments):
    with pytest.raises(ConfigError) as caught:
        build(Outer, values)
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_every_leaf_has_a_line_of_help():
    found = {name: text for name, _, text in leaves(Outer)}
    assert list(found)[:4] == ["count", "on", "mode", "inner.rate"]
    assert all(found.values())


def test_help_gives_the_default_of_the_place_not_of_the_type():
    @dataclass(frozen=True)
    class Place:
        inner: Inner = key(lambda: Inner(rate=5.0), "nested")

    assert next((name, value) for name, value, _ in leaves(Place)) == ("inner.rate", 5.0)
