"""What may be rewritten: nothing that changes a bit of a result, and zeros in derivatives only."""

from __future__ import annotations

import math

import numpy as np
import pytest

from twinml.lowering.evaluate import evaluate
from twinml.lowering.printer import number, print_function
from twinml.lowering.program import Apply, Builder, Constant, Item, Pack, Program, Symbol
from twinml.lowering.simplify import fused, rewrite, simplified


def program(write) -> Program:
    builder = Builder()
    x, y = builder.symbol("y", 0), builder.symbol("y", 1)

    def apply(op, *args):
        return builder.apply(
            op, *(builder.constant(a) if isinstance(a, float) else a for a in args)
        )

    return builder.program([write(apply, x, y)])


def operations(found: Program) -> list[str]:
    return [node.op for node in found.nodes if isinstance(node, Apply)]


KEPT = {
    "0*x": lambda e, x, y: e("mul", x, 0.0), "x+0": lambda e, x, y: e("add", x, 0.0),
    "x-x": lambda e, x, y: e("sub", x, x), "0/x": lambda e, x, y: e("div", 0.0, x),
    "x/x": lambda e, x, y: e("div", x, x), "x/3": lambda e, x, y: e("div", x, 3.0),
    "x+-0.0 stays minus": lambda e, x, y: e("sub", x, -0.0),
}  # fmt: skip
SHORTER = {
    "x*1": (lambda e, x, y: e("mul", x, 1.0), []),
    "x*-1": (lambda e, x, y: e("mul", -1.0, x), ["neg"]),
    "x/1": (lambda e, x, y: e("div", x, 1.0), []),
    "x-0": (lambda e, x, y: e("sub", x, 0.0), []),
    "x+-0": (lambda e, x, y: e("add", x, -0.0), []),
    "x/8": (lambda e, x, y: e("div", x, 8.0), ["mul"]),
    "--x": (lambda e, x, y: e("neg", e("neg", x)), []),
    "x--y": (lambda e, x, y: e("sub", x, e("neg", y)), ["add"]),
    "x+-y": (lambda e, x, y: e("add", e("neg", x), y), ["sub"]),
    "numbers": (lambda e, x, y: e("mul", x, e("sub", e("exp", 1.0), 0.25)), ["mul"]),
    "test": (lambda e, x, y: e("select", e("lt", 1.0, 2.0), x, y), []),
    "same": (lambda e, x, y: e("select", e("lt", x, y), x, x), []),
    "twice": (lambda e, x, y: e("sub", e("mul", x, y), e("mul", y, x)), ["mul", "sub"]),
}
AWKWARD = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1.5, -2.5, 5e-324, 1e-310, 1e308]


def bits(values) -> list[str]:
    return ["nan" if math.isnan(v) else float(v).hex() for v in values]


@pytest.mark.parametrize("name", [*KEPT, *SHORTER])
def test_no_bit_of_a_result_changes(name):
    before = program(KEPT[name] if name in KEPT else SHORTER[name][0])
    after = simplified(before)
    y = np.array([(a, b) for a in AWKWARD for b in AWKWARD]).T
    found = [np.broadcast_to(evaluate(p, {"y": y})[0], y.shape[1:]) for p in (before, after)]
    assert bits(found[0]) == bits(found[1])
    expected = operations(before) if name in KEPT else SHORTER[name][1]
    assert operations(after) == expected


def test_derivatives_drop_products_by_zero_and_sums_with_zero():
    def write(e, x, y):
        return e("add", e("mul", 0.0, e("exp", x)), e("add", e("div", 0.0, x), e("mul", 1.0, y)))

    assert operations(simplified(program(write), absorb=True)) == []
    assert "exp" in operations(simplified(program(write)))


def test_zero_and_minus_zero_stay_two_constants():
    builder = Builder(rewrite)
    assert builder.constant(0.0) != builder.constant(-0.0)
    assert builder.constant(math.nan) == builder.constant(math.nan)


def test_an_element_of_a_packed_vector_is_the_number_itself():
    builder = Builder(rewrite)
    x = builder.symbol("y", 0)
    assert builder.add(Item(builder.add(Pack((x, x))), 1)) == x


FUSED = {
    "a*b+c": (lambda e, x, y: e("add", e("mul", x, y), y), ["fma"]),
    "a*b-c": (lambda e, x, y: e("sub", e("mul", x, y), y), ["fms"]),
    "c-a*b": (lambda e, x, y: e("sub", x, e("mul", x, y)), ["fnma"]),
    "a*b+c*d": (lambda e, x, y: e("add", e("mul", x, y), e("mul", y, y)), ["mul", "fma"]),
    "-(a*b)-c": (lambda e, x, y: e("sub", e("neg", e("mul", x, y)), x), ["fma", "neg"]),
    "used twice": (lambda e, x, y: e("add", e("mul", x, y), e("mul", x, y)), ["mul", "add"]),
}


@pytest.mark.parametrize("name", FUSED)
def test_a_product_that_feeds_one_sum_is_joined_with_it(name):
    write, expected = FUSED[name]
    before = program(write)
    after = fused(before)
    assert operations(after) == expected
    y = np.random.default_rng(0).normal(size=(2, 9))
    assert np.allclose(evaluate(before, {"y": y})[0], evaluate(after, {"y": y})[0], rtol=1e-13)


def test_numbers_are_printed_exactly():
    for value in (0.1, -0.0, 1e300, 5e-324, 2.5, 1 / 3, 123456.0, 1e22, -7.0):
        text = number(value).removeprefix("Real(real(").removesuffix("))")
        read = float.fromhex(text) if "x" in text else float(text)
        assert read.hex() == value.hex(), text
    assert number(math.inf) == "infinity()" and number(-math.inf) == "-infinity()"
    assert number(math.nan) == "not_a_number()"


def test_a_long_function_is_a_real_one():
    builder = Builder()
    place = builder.symbol("y", 0)
    for _ in range(200):
        place = builder.apply("sin", place)
    long = builder.program([place])
    assert print_function(long, "rhs").startswith("TW_BIG void rhs(")
    assert print_function(long, "rhs", big=False).startswith("TW_FN void rhs(")


def test_a_tangent_has_its_own_arguments_and_results():
    builder = Builder()
    x, dx = builder.symbol("y", 0), builder.symbol("dy", 0)
    text = print_function(builder.program([x, builder.apply("mul", x, dx)]), "f", values=1)
    assert "const Real dt, const Real* dy, const Real* du, Real* out, Real* dout)" in text
    assert "dout[0] = a0;" in text and "const Real a0 = y0 * dy0;" in text


def test_programs_are_frozen_and_compare():
    first, second = program(KEPT["0*x"]), program(KEPT["0*x"])
    assert first == second and hash(first) == hash(second)
    assert first.symbols() == {Symbol("y", 0)}
    assert Constant(1.0) in first.nodes or Constant(0.0) in first.nodes
    with pytest.raises(ValueError, match="no scalar operation"):
        Builder().apply("frobnicate")
