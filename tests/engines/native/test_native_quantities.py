"""Quantities of kernels are those of the eager engine."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay, Oscillator, Polynomial
from tests.engines.native.compared import Plate, agree, both, spread

KEEP = {
    "m": "max(angle)", "tm": "time_of_max(angle)", "n": "min(rate)", "tn": "time_of_min(rate)",
    "mean": "mean(energy)", "size": "integral(abs(rate))", "above": "time_above(angle, 0.1)",
    "first": "first_time(rate < -0.5)", "high": "first_time(energy >= level)",
    "never": "first_time(angle > 9)", "at": "at(angle, wall + 2)", "jump": "at(drive, 2)",
    "end": "final(rate)", "start": "initial(drive)", "push": "max(drive)",
    "share": "time_above(energy, -8.9) / 6", "kink": "max(min(angle, 0.3))", "none": "level + wall",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    """One cache for all tests of this file: they are not about building."""
    monkeypatch.setenv("TWINML_CACHE", str(folder))


def plate(**options):
    rows = 40
    values = {"wall": spread(-0.3, -0.05, rows, 1), "loss": spread(0.1, 0.5, rows, 2)}
    return both(
        Plate(), [0.0, 6.0], values, {"angle": spread(0.2, 1.0, rows, 3)},
        inputs={"drive": tw.Signal([0.0, 1.0, 2.0, 6.0], [0.0, 1.0, -2.0, 1.0], kind="linear")},
        changes=[tw.Change(spread(2.0, 4.0, rows, 4), "set", "wall", -0.5)], keep=KEEP,
        constants={"level": spread(-8.8, -8.5, rows, 5)}, **options,
    )  # fmt: skip


def test_fixed_steps_agree_with_the_eager_engine_to_rounding():
    eager, native = plate(method="rodas5p", dt=0.1)
    agree(eager, native, 1e-11)
    assert bool(torch.isinf(native["never"]).all()) and bool(native.ok.all())
    assert bool((native["jump"] == -2.0).all())


def test_adaptive_steps_have_the_closed_forms():
    keep = {"max": "max(x)", "when": "time_of_max(x)", "min": "min(x)", "late": "time_of_min(x)",
            "mean": "mean(x)", "area": "integral(x)", "above": "time_above(x, 0.5)",
            "first": "first_time(x < -0.5)", "at": "at(x, 1.25)"}  # fmt: skip
    with torch.no_grad():
        sol = tw.simulate(
            Oscillator(), [0.0, 2 * math.pi], keep=keep, method="vern7", rtol=1e-11, atol=1e-13,
            engine="native",
        )  # fmt: skip
    want = {"max": 1.0, "when": math.pi / 2, "min": -1.0, "late": 1.5 * math.pi, "mean": 0.0,
            "area": 0.0, "above": 2 * math.pi / 3, "first": 7 * math.pi / 6,
            "at": math.sin(1.25)}  # fmt: skip
    for name, value in want.items():
        assert float(sol[name]) == pytest.approx(value, abs=1e-9), name


def test_excursions_between_nodes_are_found():
    keep = {"above": "time_above(x, 0.99)", "first": "first_time(x > 0.99)", "top": "max(x)",
            "touch": "first_time(x > c)"}  # fmt: skip
    eager, native = both(Polynomial(), [0.0, 1.0], keep=keep, method="tsit5", dt=1.0)
    agree(eager, native, 1e-7)
    outer, inner = math.sqrt(1 / 16 + 1 / 40), math.sqrt(1 / 16 - 1 / 40)
    assert float(native["above"]) == pytest.approx(2 * (outer - inner), abs=1e-11)
    assert float(native["first"]) == pytest.approx(0.5 - outer, abs=1e-11)
    assert float(native["top"]) == pytest.approx(1.0, abs=1e-12)


DECAY = {
    "max": "max(x)", "when": "time_of_min(x)", "mean": "mean(x)", "area": "integral(x)",
    "above": "time_above(x, 0.5)", "first": "first_time(x > 0.5)", "never": "first_time(x > 2)",
    "end": "final(x)", "start": "initial(x)", "at": "at(x, 2)", "before": "at(x, -1)",
    "odd": "first_time(log(-x) > 0)", "nan": "max(log(-x))",
    "hidden": "time_above(sqrt(0.5 - x), 9)",
}  # fmt: skip


def test_spans_without_length_and_nan_are_those_of_the_eager_engine():
    t = torch.tensor([[2.0, 2.0], [2.0, 3.0], [1.0, 5.0]], dtype=torch.float64)
    eager, native = both(Decay(), t, keep=DECAY, method="rk4", dt=0.25)
    agree(eager, native, 1e-14)
    want = {"max": 1, "when": 2, "mean": 1, "area": 0, "above": 0, "first": 2, "never": math.inf,
            "end": 1, "start": 1, "at": 1}  # fmt: skip
    assert {name: float(native[name][0]) for name in want} == want
    assert all(bool(torch.isnan(native[name]).all()) for name in ("odd", "nan", "before"))


def test_backward_spans_are_those_of_the_eager_engine():
    eager, native = both(Decay(), [2.0, 0.0], keep=DECAY, method="rk4", dt=0.25)
    agree(eager, native, 1e-14)
    assert float(native["area"]) < 0 < float(native["above"])


def test_a_failed_row_has_no_quantities():
    class Blow(tw.Physics):
        y = tw.State("1", initial=1.0)
        p = tw.Parameter("1", default=1.0)

        def rhs(self, y, p):
            return {"y": p * y * y}

    eager, native = both(
        Blow(), [0.0, 2.0], {"p": [0.1, 1.0]}, method="tsit5",
        keep={"a": "max(y)", "b": "first_time(y > 1e9)", "c": "p + initial(y)"},
    )  # fmt: skip
    assert native.ok.tolist() == eager.ok.tolist() == [True, False]
    assert all(bool(torch.isnan(native[name][1])) for name in "abc")
    assert all(not bool(torch.isnan(native[name][0])) for name in "abc")
