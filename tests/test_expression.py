from __future__ import annotations

import math
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from twinml.errors import ExpressionError
from twinml.expression import (
    Binary,
    Comparison,
    Elementwise,
    Functional,
    Name,
    Negate,
    Number,
    check_names,
    parse,
)

VALUES = {"x": torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64), "initial.y": 4.0, "beta": 0.5}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1_000 + 1e-6", 1000.000001),
        ("-2 ** 2", -4.0),
        ("2 ** -1", 0.5),
        ("2 ** 3 ** 2", 512.0),
        ("1 - 2 - 3", -4.0),
        ("8 / 4 / 2", 1.0),
        ("beta * (1 - initial.y)", -1.5),
        ("max(1, beta, 3) - min(1, beta)", 2.5),
        ("abs(-2) + sqrt(9) + log(exp(1))", 6.0),
        ("(beta < 1) + (beta == 0.5) + (beta >= 1)", 2.0),
        (7, 7.0),
        ("1 / 0", math.inf),
        ("9 ** 9 ** 9 ** 9", math.inf),
    ],
)
def test_arithmetic_follows_python_precedence(text, expected):
    assert parse(text).evaluate(VALUES).item() == pytest.approx(expected)


def test_rows_broadcast_and_numbers_follow_the_tensors_dtype():
    values = {"x": torch.tensor([1.0, 2.0], dtype=torch.float32)}
    assert parse("max(x, 1.5) * 2 + (x > 1)").evaluate(values).tolist() == [3.0, 5.0]
    assert parse("max(x, 1.5) * 2").evaluate(values).dtype is torch.float32


def test_functionals_are_listed_once_in_order_and_looked_up():
    expr = parse("max(x) + at(x, 3) * max( x ) - time_above(x, capacity * 2)")
    assert [f.text for f in expr.functionals] == [
        "max(x)", "at(x, 3)", "time_above(x, capacity * 2)",
    ]  # fmt: skip
    assert expr.functionals[2].extra == parse("capacity*2")
    assert expr.names == {"x", "capacity"}
    assert parse("population - final(s)").outer_names == {"population"}
    given_values = {f: torch.tensor([2.0, 3.0]) for f in expr.functionals}
    assert expr.evaluate({}, given_values).tolist() == [4.0, 9.0]
    with pytest.raises(ExpressionError, match="needs a simulated path"):
        expr.evaluate(VALUES)


def test_first_time_keeps_its_comparison():
    (functional,) = parse("first_time(x > 2 * y)").functionals
    assert functional.kind == "first_time"
    assert functional.argument == Comparison(">", Name("x"), parse("2*y"))


@pytest.mark.parametrize("text", ["min(x, 1)", "max(1, x)", "x > 1", "x != 1", "1 < x", "x * 0"])
def test_a_nan_is_never_swallowed(text):
    value = parse(text).evaluate({"x": torch.tensor([math.nan, 2.0])})
    assert value.isnan().tolist() == [True, False]


def test_gradients_pass_through():
    x = torch.tensor([2.0], requires_grad=True)
    parse("max(x, 1) ** 2 / 2").evaluate({"x": x}).sum().backward()
    assert x.grad.tolist() == [2.0]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("__import__('os').system('x')", "not part of the language"),
        ("open('f')", "open"),
        ("x[0]", r"'x\[0\]' \(Subscript\)"),
        ("(x + 1).real", "Attribute"),
        ("lambda: 1", "Lambda"),
        ("f'{x}'", "JoinedStr"),
        ("'text'", "Constant"),
        ("True", "Constant"),
        ("1j", "Constant"),
        ("x if y else z", "IfExp"),
        ("[x]", "List"),
        ("x ^ 2", r"written \*\*"),
        ("x // 2", "BinOp"),
        ("1 < x < 3", "one comparison at a time"),
        ("x > 1 and x < 3", "Multiply two comparisons"),
        ("(y := 3)", "NamedExpr"),
        ("at(x, time=3)", "Call"),
        ("max(*x)", "Starred"),
        ("maxx(x)", "Did you mean 'max'"),
        ("time_above(x)", r"time_above 1 arguments; write time_above\(x, threshold\)"),
        ("max()", r"write max\(x\)"),
        ("sqrt(1, 2)", r"write sqrt\(x\)"),
        ("first_time(x)", r"e.g. first_time\(x > 3\)"),
        ("first_time(x == 3)", "comparison with"),
        ("max(final(x))", r"'final\(x\)' stands inside max"),
        ("at(x, time_of_max(y))", "stands inside at"),
        ("max(x", "never closed"),
        ("x +", "cannot be read"),
        ("x; y", "cannot be read"),
        ("max(x) # peak", "'#'"),
        ("", "empty"),
        ("1e999", "beyond float64"),
        ("9" * 900, "beyond float64"),
        (math.inf, "uses 'inf'"),
        (True, "bool"),
        (None, "NoneType"),
        ("x" * 2000, "2000 characters"),
        ("-" * 900 + "1", "nests more than 100"),
        ("(" * 400 + "1" + ")" * 400, "cannot be read|nests more"),
        ("+".join("x" * 300), "nests more than 100"),
        ("x\0", "cannot be read"),
    ],
)
def test_what_is_outside_the_language_is_refused_by_name(text, part):
    with pytest.raises(ExpressionError, match=part) as caught:
        check_names(parse(text, where="quantity q"), ["x", "y"], "quantity q")
    assert str(caught.value).startswith("quantity q: ")


def test_a_change_value_cannot_look_at_the_path():
    with pytest.raises(ExpressionError, match="looks at a whole path"):
        parse("1 - max(x)", where="change 1", allow_functionals=False)


def test_unknown_names_list_the_known_and_the_nearest():
    with pytest.raises(ExpressionError, match=r"Did you mean 'in_bed'.*in_bed, population"):
        check_names(parse("max(in_bad)"), ["population", "in_bed"], "quantity peak")
    with pytest.raises(ExpressionError, match="unknown"):
        parse("gamma").evaluate(VALUES)


_LEAVES = st.one_of(
    st.floats(0, 1e300, allow_nan=False).map(Number),
    st.sampled_from(["x", "initial.y", "beta"]).map(Name),
)


def _grown(inner):
    pair = st.tuples(inner, inner)
    return st.one_of(
        st.builds(Negate, inner),
        st.builds(lambda o, p: Binary(o, *p), st.sampled_from(["+", "-", "*", "/", "**"]), pair),
        st.builds(lambda o, p: Comparison(o, *p), st.sampled_from(["<", ">=", "!="]), pair),
        st.builds(lambda p: Elementwise("max", p), pair),
        st.builds(lambda a: Elementwise("abs", (a,)), inner),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(_LEAVES, _grown, max_leaves=12))
def test_printing_and_parsing_give_the_same_tree(tree):
    for expr in (tree, Functional("time_above", tree, Name("x"))):
        again = parse(expr.text)
        assert again == expr
        assert hash(again) == hash(expr)
    assert pickle.loads(pickle.dumps(tree)).text == tree.text
