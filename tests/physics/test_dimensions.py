"""Units followed through the equations: what must be found, and what must be left alone."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError


def model(rhs, unit="m", rate="1/s", outputs=None):
    """A class with one state and parameters of several kinds, and the equation given."""

    class Plant(tw.Physics):
        x = tw.State(unit, initial=2.0)
        k = tw.Parameter(rate, default=0.5)
        v = tw.Parameter("m/s", default=1.0)
        v_km = tw.Parameter("km/s", default=1.0)
        length = tw.Parameter("m", default=3.0)
        angle = tw.Parameter("deg", default=30.0)
        share = tw.Input("%", default=50.0)
        level = tw.Output(unit)

        def rhs(self, t, x, k, v, v_km, length, angle, share):
            return {"x": rhs(self, t, x, k, v, v_km, length, angle, share)}

        def outputs(self, x, length):
            return {"level": outputs(x, length) if outputs else x}

    return Plant()


RIGHT = {
    "a rate": lambda s, t, x, k, v, v_km, n, a, p: k * x,
    "a number converts": lambda s, t, x, k, v, v_km, n, a, p: 1000 * v_km - v,
    "a percentage converts": lambda s, t, x, k, v, v_km, n, a, p: v * (p / 100) - v,
    "roots cancel": lambda s, t, x, k, v, v_km, n, a, p: k * tw.sqrt0(x * n) - k * x**0.5 * n**0.5,
    "a branch": lambda s, t, x, k, v, v_km, n, a, p: torch.where(x > n, v, 0.0),
    "a guard": lambda s, t, x, k, v, v_km, n, a, p: v * x / (x + 1e-9),
    "a limit": lambda s, t, x, k, v, v_km, n, a, p: k * x.clamp(min=0.0),
    "a ratio in tanh": lambda s, t, x, k, v, v_km, n, a, p: v * torch.tanh(x / n),
    "an angle converted": lambda s, t, x, k, v, v_km, n, a, p: v * torch.sin(torch.deg2rad(a)),
    "a plain number": lambda s, t, x, k, v, v_km, n, a, p: -v * 0.5 + 2 * v,
    "time": lambda s, t, x, k, v, v_km, n, a, p: x * k * k * t,
    "a hypotenuse": lambda s, t, x, k, v, v_km, n, a, p: k * torch.hypot(x, n),
    "stacked and summed": lambda s, t, x, k, v, v_km, n, a, p: k * torch.stack([x, n]).sum(0),
}

WRONG = {
    "a forgotten rate": (lambda s, t, x, k, v, v_km, n, a, p: -x, "dimension"),
    "another unit of the dimension": (lambda s, t, x, k, v, v_km, n, a, p: v_km, "scale"),
    "a sum of unlike values": (lambda s, t, x, k, v, v_km, n, a, p: v + k, "dimension"),
    "a sum in two scales": (lambda s, t, x, k, v, v_km, n, a, p: v + v_km, "scale"),
    "a bare number": (lambda s, t, x, k, v, v_km, n, a, p: k * (x - 4.0), "dimension"),
    "an exponential": (lambda s, t, x, k, v, v_km, n, a, p: v * torch.exp(-k * x), "argument"),
    "degrees in a sine": (lambda s, t, x, k, v, v_km, n, a, p: v * torch.sin(a), "argument"),
    "a comparison": (lambda s, t, x, k, v, v_km, n, a, p: torch.where(x > v, v, v), "dimension"),
    "branches": (lambda s, t, x, k, v, v_km, n, a, p: torch.where(x > n, v, k), "dimension"),
    "a maximum": (lambda s, t, x, k, v, v_km, n, a, p: k * torch.maximum(x, v), "dimension"),
    "an exponent": (lambda s, t, x, k, v, v_km, n, a, p: v * n**x, "argument"),
}


@pytest.mark.parametrize("rhs", RIGHT.values(), ids=RIGHT)
def test_equations_whose_units_agree_are_left_alone(rhs):
    report = tw.check_dimensions(model(rhs))
    assert report.ok and not report.unchecked, str(report)


@pytest.mark.parametrize(("rhs", "kind"), WRONG.values(), ids=WRONG)
def test_what_disagrees_is_named_with_its_line(rhs, kind):
    report = tw.check_dimensions(model(rhs))
    first = report.findings[0]
    assert first.kind == kind and first.equation == "Plant.rhs"
    assert not first.file or (first.file == __file__ and first.line > 0)
    assert "Plant.rhs" in str(report)


def test_a_temperature_may_not_be_raised_to_a_power_in_degrees():
    def radiation(offset):
        class Plate(tw.Physics):
            temperature = tw.State("degC", initial=80.0)
            room = tw.Parameter("degC", default=20.0)
            loss = tw.Parameter("1/s", default=0.01)
            emission = tw.Parameter("1/(s*K^3)", default=1e-10)

            def rhs(self, temperature, room, loss, emission):
                hot, cold = temperature + offset, room + offset
                return {"temperature": loss * (room - temperature) - emission * (hot**4 - cold**4)}

        return tw.check_dimensions(Plate())

    assert radiation(273.15).ok
    assert {finding.kind for finding in radiation(0.0).findings} == {"offset"}


def test_an_output_in_another_scale_is_found():
    found = tw.check_dimensions(model(RIGHT["a rate"], outputs=lambda x, n: x * 100)).findings
    assert not found, "a number other than the ratio of units is no conversion, but no error either"
    assert not tw.check_dimensions(model(RIGHT["a rate"], outputs=lambda x, n: x * x)).ok


def test_a_learned_term_ends_what_can_be_followed_and_is_said():
    class Hybrid(tw.Physics):
        x = tw.State("m", initial=1.0)
        k = tw.Parameter("1/s", default=1.0)

        def __init__(self):
            super().__init__()
            self.residual = tw.nn.mlp(1, 1, hidden=(4,))

        def rhs(self, x, k):
            return {"x": -k * x + self.residual(x.unsqueeze(-1)).squeeze(-1)}

    report = tw.check_dimensions(Hybrid())
    assert report.ok and not report.unchecked, "the sum has the unit of its known part"

    class Learned(Hybrid):
        def rhs(self, x):
            return {"x": self.residual(x.unsqueeze(-1)).squeeze(-1)}

    assert "derivative of 'x'" in str(tw.check_dimensions(Learned))


def test_the_check_changes_no_result():
    plant = model(RIGHT["roots cancel"])
    before = tw.simulate(plant, [0.0, 1.0])["x"]
    tw.check_dimensions(plant)
    assert torch.equal(tw.simulate(plant, [0.0, 1.0])["x"], before)


def test_only_a_model_can_be_checked():
    with pytest.raises(ArgumentError, match="Physics"):
        tw.check_dimensions(torch.nn.Linear(1, 1))


@pytest.mark.parametrize(
    ("unit", "shown", "outputs", "ok"),
    [
        ("m", "cm", lambda x: 100 * x, True),
        ("m", "cm", lambda x: x / 100, False),
        ("K", "degC", lambda x: x - 273.15, True),
        ("K", "degC", lambda x: x + 273.15, False),
        ("K", "degC", lambda x: x, False),
        ("degC", "K", lambda x: 273.15 + x, True),
        ("degC", "K", lambda x: x, False),
        ("degC", "degC", lambda x: 0.5 * (x + x), True),
    ],
)
def test_a_conversion_goes_the_right_way(unit, shown, outputs, ok):
    class Plant(tw.Physics):
        x = tw.State(unit, initial=300.0)
        low = tw.Parameter(unit, default=1.0)
        k = tw.Parameter("1/s", default=1.0)
        y = tw.Output(shown)

        def rhs(self, x, low, k):
            return {"x": k * (low - x)}

        def outputs(self, x):
            return {"y": outputs(x)}

    report = tw.check_dimensions(Plant())
    assert report.ok == ok, str(report)
