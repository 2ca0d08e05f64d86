"""Words after a task: what is accepted, what is refused and with which text."""

from __future__ import annotations

import pytest

from twinml.cli.overrides import parse, selections
from twinml.errors import ConfigError


def values(*words: str) -> dict:
    (selection,) = selections(parse(words))
    return selection.values


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("samples=1_000_000", 1_000_000),
        ("rtol=1e-6", 1e-6),
        ("beta='1.8/day'", "1.8/day"),
        ("beta=1.8/day", "1.8/day"),
        ("names=[a,b]", ["a", "b"]),
        ("out=runs/a-b.c", "runs/a-b.c"),
        ("out=", ""),
        ("on=true", True),
        ("x=null", None),
        ("peak=max(in_bed)", "max(in_bed)"),
        ("atol={x: 1e-9}", {"x": 1e-9}),
    ],
)
def test_a_value_is_read_as_what_it_looks_like(word, expected):
    assert list(values(word).values()) == [expected]


def test_a_multirun_is_the_product_with_the_last_word_fastest():
    jobs = selections(parse(["-m", "surrogate=mlp,gp", "seed=1,2", "samples=5"]))
    assert [(j.groups["surrogate"], j.values["seed"]) for j in jobs] == [
        ("mlp", 1),
        ("mlp", 2),
        ("gp", 1),
        ("gp", 2),
    ]
    assert jobs[2].varied == {"surrogate": "gp", "seed": "1"}
    assert all(j.values["samples"] == 5 for j in jobs)


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=range(1,4)", [1, 2, 3]),
        ("seed=choice(3,1)", [3, 1]),
        ("x=range(0,1,0.5)", [0.0, 0.5]),
    ],
)
def test_range_and_choice_are_written_out(word, expected):
    jobs = selections(parse(["-m", word]))
    assert [next(iter(j.values.values())) for j in jobs] == expected


@pytest.mark.parametrize(
    ("word", "fragments"),
    [
        ("seed", ["'seed' is not an override", "key=value"]),
        ("+sed=1", ["cannot be added", "sed=value"]),
        ("++sed=1", ["cannot be added"]),
        ("~seed", ["cannot be deleted"]),
        ("seed=1,2", ["gives seed 2 values", "Add -m", "seed=[a,b]"]),
        ("--cfg", ["Unknown option '--cfg'", "--config-dir"]),
        ("--config-dir", ["--config-dir needs a folder"]),
        ("hydra.run.dir=x", ["Hydra itself"]),
        ("twin@model=x", ["Hydra itself"]),
        ("name='open", ["cannot be read", "\"name='open'\""]),
        ("x=interval(0,1)", ["interval cannot be enumerated"]),
    ],
)
def test_a_refused_word_says_what_to_write_instead(word, fragments):
    with pytest.raises(ConfigError) as caught:
        parse([word])
    for fragment in fragments:
        assert fragment in str(caught.value)
