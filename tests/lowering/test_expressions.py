"""Quantities' expressions as programs have the values that the expressions have."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.expression import parse
from twinml.lowering import evaluate, lower
from twinml.lowering.derive import tangent
from twinml.lowering.expression import lower_expression
from twinml.lowering.functionals import plan_functionals

SPECIAL = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.5, 0.3, 5e-324]


class Pair(tw.Physics):
    x = tw.State("1", initial=1.0)
    z = tw.State("1", initial=1.0, size=2)
    k = tw.Parameter("1", default=1.0)
    u = tw.Input("1", default=0.0)
    total = tw.Output("1")
    gain = tw.Output("1")

    def rhs(self, x, z):
        return {"x": -x, "z": -z}

    def outputs(self, x, z, k, u, t):
        return {"total": x + z[..., 1], "gain": k * x + u * t}


@pytest.mark.parametrize("text", [
    "x", "t", "-x + k / u", "x - 2 * u", "x ** 2", "x ** -0.5", "2 ** x", "x ** u", "x > u",
    "(x <= u) * (x != k)", "x == x", "min(x, u, 0)", "max(x, k)", "abs(x)", "exp(log(x))",
    "sqrt(x) + c", "gain * total", "1 / 3 + x", "3 < 2", "max(1, 2) - x",
])  # fmt: skip
def test_values_are_those_of_the_expression(text):
    model = Pair()
    declared = model.declared
    program = lower_expression(lower(model), declared, parse(text), ["d", "c"])
    x, u = (torch.tensor(v, dtype=torch.float64).reshape(-1) for v in np.meshgrid(SPECIAL, SPECIAL))
    k, c, t = torch.full_like(x, 0.7), torch.full_like(x, 3.0), torch.full_like(x, 2.0)
    z = torch.stack([x * 0 + 5.0, u * 0.5])
    values = {"x": x, "u": u, "k": k, "c": c, "t": t, "total": x + z[1], "gain": k * x + u * t}
    want = parse(text).evaluate(values).expand(x.shape)
    given = {
        "t": t.numpy(), "y": np.stack([x, z[0], z[1]]), "p": k.numpy()[None], "u": u.numpy()[None],
        "c": np.stack([c * 0, c]),
    }  # fmt: skip
    (found,) = evaluate(program, given)
    np.testing.assert_allclose(np.broadcast_to(found, x.shape), want, rtol=1e-15, atol=1e-323)


def test_a_name_of_the_model_counts_before_a_constant_of_that_name():
    program = lower_expression(lower(Pair()), Pair().declared, parse("x + k"), ["x", "k"])
    assert {symbol.kind for symbol in program.symbols()} == {"y", "p"}


def test_outputs_are_derived_along_a_motion():
    model = Pair()
    program = tangent(lower_expression(lower(model), model.declared, parse("gain ** 2"), []))
    given = {"t": 2.0, "y": [3.0, 0.0, 0.0], "p": [0.5], "u": [4.0], "dt": 0.1,
             "dy": [0.2, 0.0, 0.0], "du": [0.3]}  # fmt: skip
    value, rate = evaluate(program, given)
    assert value == 9.5**2
    assert rate == pytest.approx(2 * 9.5 * (0.5 * 0.2 + 0.3 * 2.0 + 4.0 * 0.1))


def test_each_functional_is_followed_once():
    texts = ["max(x) - min(x)", "time_of_max(x) + max(x) * mean(x)", "at(x, k) + at(x, 2)",
             "first_time(x < 1) + first_time(x >= 1)", "time_above(x, 1)",
             "final(x + k)"]  # fmt: skip
    plan = plan_functionals([parse(text) for text in texts])
    kinds = [slot.kind for slot in plan.slots]
    assert kinds == ["max", "min", "mean", "at", "at", "first_time", "first_time", "time_above",
                     "final"]  # fmt: skip
    assert len(plan.slot_of) == 10 and plan.totals == 8 and plan.moments == 3
    # x, 1 - x, x - 1 (for two functionals) are read at nodes, x + k is not.
    assert [e.text for e in plan.expressions] == ["x", "1 - x", "x - 1", "x + k"]
    assert plan.profiled == 3 and [e.text for e in plan.times] == ["k", "2"]
