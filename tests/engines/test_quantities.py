"""Quantities are functionals of the path, wherever steps and save points lie."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Decay, Oscillator, Polynomial

pytestmark = pytest.mark.usefixtures("engine")

EXACT = {"method": "tsit5", "dt": 1.0}  # one step; tsit5 is exact on this polynomial
FINE = {"method": "vern7", "rtol": 1e-10, "atol": 1e-12}


def quantity(model, t, text, **options):
    sol = tw.simulate(model, t, keep={"q": text}, **options)
    assert sol.ok.all()
    return float(sol["q"]) if sol["q"].shape[0] == 1 else sol["q"]


def test_a_peak_between_steps_is_found():
    assert quantity(Polynomial(), [0.0, 1.0], "max(x)", **EXACT) == pytest.approx(1.0, abs=1e-12)
    assert quantity(Polynomial(), [0.0, 1.0], "time_of_max(x)", **EXACT) in (
        pytest.approx(0.25, abs=1e-12), pytest.approx(0.75, abs=1e-12),
    )  # fmt: skip
    assert quantity(Oscillator(), [0.0, 3.0], "max(x)", **FINE) == pytest.approx(1.0, abs=1e-9)
    when = quantity(Oscillator(), [0.0, 3.0], "time_of_max(x)", **FINE)
    assert when == pytest.approx(math.pi / 2, abs=1e-8)
    assert quantity(Oscillator(), [0.0, 6.0], "min(x)", **FINE) == pytest.approx(-1.0, abs=1e-9)
    when = quantity(Oscillator(), [0.0, 6.0], "time_of_min(x)", **FINE)
    assert when == pytest.approx(1.5 * math.pi, abs=1e-8)


def test_two_excursions_in_one_step_both_count():
    # 16 (t - 1/4)^2 (t - 3/4)^2 = 1/100 at |(t - 1/2)^2 - 1/16| = 1/40
    outer, inner = math.sqrt(1 / 16 + 1 / 40), math.sqrt(1 / 16 - 1 / 40)
    above = quantity(Polynomial(), [0.0, 1.0], "time_above(x, 0.99)", **EXACT)
    assert above == pytest.approx(2 * (outer - inner), abs=1e-11)
    first = quantity(Polynomial(), [0.0, 1.0], "first_time(x > 0.99)", **EXACT)
    assert first == pytest.approx(0.5 - outer, abs=1e-11)


def test_a_tangency_costs_no_time_and_does_not_fail():
    above = quantity(Polynomial(), [0.0, 1.0], "time_above(x, c)", **EXACT)
    assert above == pytest.approx(0.0, abs=1e-6)
    first = quantity(Polynomial(), [0.0, 1.0], "first_time(x > c)", **EXACT)
    assert math.isinf(first) or first == pytest.approx(0.25, abs=1e-6)


def test_first_time_never_met_is_infinite_and_the_row_is_good():
    sol = tw.simulate(Decay(), [0.0, 1.0], keep={"q": "first_time(x > 2)"})
    assert sol.ok.all() and math.isinf(float(sol["q"])) and float(sol["q"]) > 0


@pytest.mark.parametrize(
    "text", ["first_time(x > 0.5)", "first_time(x >= 1)", "first_time(x <= 1)"]
)
def test_first_time_is_the_start_when_met_there(text):
    assert quantity(Decay(), [3.0, 4.0], text) == 3.0


def test_first_time_of_a_level_passed_downward():
    when = quantity(Decay(), [0.0, 5.0], "first_time(x < 0.25)", **FINE)
    assert when == pytest.approx(math.log(4.0), abs=1e-9)
    strict = quantity(Decay(), [0.0, 5.0], "first_time(x < 1)", **FINE)
    assert strict == pytest.approx(0.0, abs=1e-9)


def test_extrema_at_the_ends():
    assert quantity(Decay(), [1.0, 2.0], "time_of_max(x)") == 1.0
    assert quantity(Decay(), [1.0, 2.0], "time_of_min(x)") == 2.0
    assert quantity(Decay(), [1.0, 2.0], "max(x)") == 1.0
    constant = Custom(lambda t, y, p: 0.0 * y)
    assert quantity(constant, [1.0, 2.0], "time_of_max(y)") == 1.0


@pytest.mark.parametrize(
    ("method", "order"), [("heun", 3), ("rk4", 3), ("tsit5", 4), ("dopri5", 4), ("vern7", 6)]
)
def test_integral_and_mean_have_the_order_of_the_interpolant_at_least(method, order):
    def error(steps):
        found = quantity(
            Custom(lambda t, y, p: torch.cos(t)), [0.0, 3.0], "integral(y)",
            method=method, dt=3.0 / steps, initial={"y": 0.0},
        )  # fmt: skip
        return abs(found - (1.0 - math.cos(3.0)))

    few, many = (2, 4) if method == "vern7" else (16, 32)
    expected = min(order, 2 if method == "heun" else order)
    assert math.log2(error(few) / error(many)) > expected - 0.3
    mean = quantity(Oscillator(), [0.0, math.pi], "mean(x)", **FINE)
    assert mean == pytest.approx(2 / math.pi, abs=1e-10)


def test_at_reads_the_path_between_steps_and_is_nan_outside():
    assert quantity(Decay(), [0.0, 2.0], "at(x, 0.7)", **FINE) == pytest.approx(
        math.exp(-0.7), abs=1e-9
    )
    assert quantity(Decay(), [0.0, 2.0], "at(x, 0)") == 1.0
    assert quantity(Decay(), [0.0, 2.0], "at(x, 2)", **FINE) == pytest.approx(
        math.exp(-2), abs=1e-10
    )
    assert math.isnan(quantity(Decay(), [0.0, 2.0], "at(x, 2.5)"))


def test_at_a_jump_the_value_after_it_counts():
    options = {"inputs": {"u": tw.Signal([0.0, 1.0], [3.0, 4.0])}}
    assert quantity(Decay(), [0.0, 2.0], "at(u, 1)", **options) == 4.0
    assert quantity(Decay(), [0.0, 2.0], "at(u, 0.999)", **options) == 3.0
    assert quantity(Decay(), [0.0, 1.0], "first_time(u > 3.5)", **options) in (1.0, math.inf)
    assert quantity(Decay(), [0.0, 2.0], "first_time(u > 3.5)", **options) == 1.0
    assert quantity(Decay(), [0.0, 2.0], "max(u)", **options) == 4.0
    assert quantity(Decay(), [0.0, 4.0], "mean(u)", **options) == pytest.approx(3.75, abs=1e-13)
    assert quantity(Decay(), [0.0, 4.0], "time_above(u, 3.5)", **options) == 3.0


def test_a_timed_change_splits_every_quantity():
    at = torch.tensor([0.5, 1.0], dtype=torch.float64)
    sol = tw.simulate(
        Decay(), [0.0, 2.0], changes=[tw.Change(at, "set", "k", -1.0)],
        keep={"low": "min(x)", "when": "time_of_min(x)", "area": "integral(x)", "k": "mean(k)"},
        **FINE,
    )  # fmt: skip
    assert torch.allclose(sol["low"], torch.exp(-at), atol=1e-10)
    assert torch.equal(sol["when"], at)
    area = (1 - torch.exp(-at)) + torch.exp(-at) * (torch.exp(2.0 - at) - 1)
    assert torch.allclose(sol["area"], area, atol=1e-9)
    assert torch.allclose(sol["k"], at - 1.0, atol=1e-12)


def test_functionals_combine_by_arithmetic_with_parameters_and_constants():
    sol = tw.simulate(
        Decay(), [0.0, 1.0], {"k": [1.0, 2.0]}, constants={"scale": [10.0, 100.0]},
        keep={"lost": "scale * (initial(x) - final(x)) / k", "one": "max(twice) / 2"},
        **FINE,
    )  # fmt: skip
    k = torch.tensor([1.0, 2.0], dtype=torch.float64)
    want = torch.tensor([10.0, 100.0], dtype=torch.float64) * (1 - torch.exp(-k)) / k
    assert torch.allclose(sol["lost"], want, atol=1e-8)
    assert sol["one"].tolist() == [1.0, 1.0]


def test_kinks_of_an_expression_are_found():
    assert quantity(Oscillator(), [0.0, 4.0], "min(abs(x))", **FINE) == pytest.approx(0.0, abs=1e-8)
    top = quantity(Oscillator(), [0.0, 3.0], "max(min(x, 0.5))", **FINE)
    assert top == pytest.approx(0.5, abs=1e-12)


def test_a_span_of_zero_length_has_quantities():
    keep = {
        "max": "max(x)", "when": "time_of_min(x)", "mean": "mean(x)", "area": "integral(x)",
        "above": "time_above(x, 0.5)", "first": "first_time(x > 0.5)", "never": "first_time(x > 2)",
        "end": "final(x)", "start": "initial(x)", "at": "at(x, 2)",
    }  # fmt: skip
    want = {"max": 1, "when": 2, "mean": 1, "area": 0, "above": 0, "first": 2, "never": math.inf,
            "end": 1, "start": 1, "at": 1}  # fmt: skip
    t = [[2.0, 2.0], [2.0, 3.0]]
    x = torch.tensor([1.0, 1.0], dtype=torch.float64, requires_grad=True)
    for initial in ({"x": x.detach()}, {"x": x}):
        sol = tw.simulate(Decay(), t, initial=initial, keep=keep)
        assert {name: float(sol[name][0].detach()) for name in keep} == want


def test_backward_spans_have_quantities_too():
    keep = {"max": "max(x)", "when": "time_of_max(x)", "mean": "mean(x)", "area": "integral(x)",
            "first": "first_time(x > 0.5)", "above": "time_above(x, 0.5)",
            "at": "at(x, 1)"}  # fmt: skip
    sol = tw.simulate(Decay(), [2.0, 0.0], initial={"x": math.exp(-2)}, keep=keep, **FINE)
    want = {"max": 1.0, "when": 0.0, "mean": (1 - math.exp(-2)) / 2, "area": -(1 - math.exp(-2)),
            "first": math.log(2), "above": math.log(2), "at": math.exp(-1)}  # fmt: skip
    for name, value in want.items():
        assert float(sol[name]) == pytest.approx(value, abs=1e-8), name


def test_a_failed_row_has_no_quantities_and_the_others_keep_theirs():
    model = Custom(lambda t, y, p: p * y * y)
    keep = {
        "a": "max(y)",
        "b": "first_time(y > 1e9)",
        "c": "time_above(y, 0)",
        "d": "p + initial(y)",
    }
    sol = tw.simulate(model, [0.0, 2.0], {"p": [0.1, 1.0]}, keep=keep)
    assert sol.ok.tolist() == [True, False]
    for name in keep:
        assert math.isnan(float(sol[name][1])) and not math.isnan(float(sol[name][0]))


def test_nan_in_an_expression_is_not_mistaken_for_no_crossing():
    sol = tw.simulate(
        Decay(), [0.0, 1.0], keep={"a": "first_time(log(-x) > 0)", "b": "max(log(-x))",
                                   "c": "time_above(sqrt(0.5 - x), 9)"},
    )  # fmt: skip
    assert sol.ok.all()
    assert all(math.isnan(float(sol[name])) for name in "abc")


def test_quantities_do_not_depend_on_the_save_points():
    keep = {"top": "max(x)", "above": "time_above(x, 0.3)"}
    few = tw.simulate(Oscillator(), [0.0, 9.0], keep=keep)
    many = tw.simulate(Oscillator(), torch.linspace(0, 9, 77, dtype=torch.float64), keep=keep)
    assert all(torch.equal(few[name], many[name]) for name in keep)
