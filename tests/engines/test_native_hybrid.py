"""Learned terms and tables inside a right-hand side, in both widths and by every kind of method."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.engines import assert_same_meaning, same_bits
from twinml.nn.perceptron import ACTIVATIONS

pytestmark = pytest.mark.usefixtures("compiler")


class Learned(tw.Physics):
    """A swing with a network of every activation and a table; ``smooth``: none that bends sharply.

    At a kink the error of a step says little, so steps and with them values hang on rounding.
    """

    x = tw.State("1", initial=1.0)
    v = tw.State("1/s", initial=0.0)
    stiffness = tw.Parameter("1", default=4.0)
    push = tw.Input("1", default=0.0)
    effort = tw.Output("1")

    def __init__(self, smooth: bool = False) -> None:
        super().__init__()
        self.smooth = smooth
        names = sorted(set(ACTIVATIONS) - ({"relu"} if smooth else set()))
        self.nets = torch.nn.ModuleList(
            tw.nn.mlp(3, 2, (5, 6), name, zero=False, seed=place)
            for place, name in enumerate(names)
        )
        knots = torch.tensor([-2.0, -0.5, 0.0, 0.4, 2.0], dtype=torch.float64)
        self.register_buffer("knots", knots)
        self.register_buffer("force", -(knots**3))

    def rhs(self, x, v, stiffness, push):
        force = -(x**3) if self.smooth else tw.interp(x, self.knots, self.force)
        found = {"x": v, "v": -stiffness * x - 0.2 * v + force}
        for net in self.nets:
            one, two = net(x, v, push)
            found = {"x": found["x"] + 0.05 * one, "v": found["v"] + 0.1 * two}
        return found

    def outputs(self, x, v, push):
        return {"effort": x * v - push}


STIFFNESS = torch.linspace(1.0, 9.0, 11, dtype=torch.float64)
GIVEN = {
    "t": [0.0, 0.5, 2.0],
    "parameters": {"stiffness": STIFFNESS},
    "inputs": {"push": tw.Signal([0.0, 0.7, 2.0], [0.0, 1.0, -1.0], "linear")},
}
OPTIONS = {
    "fixed": {"method": "rk4", "dt": 0.02},
    "explicit": {"method": "tsit5"},
    "stiff": {"method": "rodas5p"},
}


@torch.no_grad()
@pytest.mark.parametrize("kind", OPTIONS)
def test_networks_and_tables_give_what_torch_gives(kind):
    model = Learned(smooth=kind != "fixed")
    native, eager = (
        tw.simulate(model, engine=e, **GIVEN, **OPTIONS[kind]) for e in ("native", "eager")
    )
    if kind == "fixed":
        assert_same_meaning(native, eager, 1e-12)
    else:
        assert_same_meaning(native, eager, 1e-7, spare=2)


@torch.no_grad()
@pytest.mark.parametrize("kind", ["fixed", "explicit"])
def test_networks_in_float32_follow_those_in_float64(kind):
    model = Learned(smooth=kind != "fixed")
    options = {**OPTIONS[kind], "rtol": 1e-5, "atol": 1e-6}
    narrow, wide = (
        tw.simulate(model, engine="native", dtype=d, **GIVEN, **options)
        for d in (torch.float32, torch.float64)
    )
    eager = tw.simulate(model, engine="eager", dtype=torch.float32, **GIVEN, **options)
    for name in narrow.names:
        assert narrow[name].dtype == torch.float32
        assert torch.allclose(narrow[name].double(), wide[name], rtol=1e-3, atol=1e-3)
        assert torch.allclose(narrow[name], eager[name], rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_weights_are_read_at_each_launch_and_rows_keep_their_bits():
    model = Learned()
    options = {"engine": "native", **OPTIONS["fixed"]}
    before = tw.simulate(model, **GIVEN, **options)
    alone = tw.simulate(model, **{**GIVEN, "parameters": {"stiffness": STIFFNESS[4]}}, **options)
    same_bits(alone, before, [4])
    for weight in model.parameters():
        weight.mul_(0.5)
    model.force.mul_(1.5)
    after = tw.simulate(model, **GIVEN, **options)
    assert after.kernels[0].library == before.kernels[0].library
    assert not torch.equal(after["x"], before["x"])
    eager = tw.simulate(model, engine="eager", **GIVEN, **OPTIONS["fixed"])
    assert_same_meaning(after, eager, 1e-12)
