from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinml.expression import parse
from twinml.scenario import Scenario
from twinml.scenario.interval import interval

TEXTS = [
    "a + 2*b", "a*b - b", "a / (b + 5)", "-a**2", "abs(a)", "min(a, b) * max(a, 1)",
    "exp(a) - sqrt(abs(b))", "(a > b) * b", "log(b + 9)", "a / b",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TEXTS), st.floats(-3, 3), st.floats(0, 4), st.floats(0, 1), st.floats(0, 1))
def test_a_value_never_leaves_its_interval(text, low, width, u, v):
    known = {"a": (low, low + width), "b": (-2.0, 3.0)}
    expression = parse(text)
    value = float(expression.evaluate({"a": low + u * width, "b": -2.0 + 5.0 * v}))
    bottom, top = interval(expression, known)
    slack = 1e-9 * (1 + abs(value))
    assert np.isnan(value) or bottom - slack <= value <= top + slack


def test_a_better_sentence_or_tag_keeps_the_digest_and_a_bound_does_not():
    base = {"horizon": {"start": 0, "stop": 3}, "quantities": {"p": "max(x)"}}
    plain = Scenario.from_mapping(base)
    told = Scenario.from_mapping({**base, "description": "What  if?", "tags": ["rare", "rare"]})
    assert (told.description, told.tags) == ("What if?", ("rare",))
    assert told.digest == plain.digest and told != plain
    assert Scenario.from_mapping(told.to_mapping()) == told
    assert set(plain.to_mapping()) == {
        "horizon", "vary", "changes", "quantities", "design", "except", "exceedance",
    }  # fmt: skip
    assert Scenario.from_mapping({**base, "design": "halton"}).digest != plain.digest


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("tags", ["basline"], "Did you mean 'baseline'"),
        ("tags", 3, "expected a list"),
        ("description", 3, "expected text"),
        ("profiles", [], "expected inputs with a file"),
        ("correlations", {}, "Did you mean 'correlation'"),
    ],
)
def test_new_keys_refuse_what_they_cannot_read(key, value, message):
    from twinml.errors import ScenarioError

    base = {"horizon": {"start": 0, "stop": 3}, "quantities": {"p": "max(x)"}}
    with pytest.raises(ScenarioError, match=message):
        Scenario.from_mapping({**base, key: value})
