"""Events of a model with noise: met on the straight line of their step."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("engine")


class Climb(tw.Physics):
    """dw = rate dt + scale dW until a bar is reached; the bar ends the row."""

    w = tw.State("1", initial=0.0)
    rate = tw.Parameter("1/s", default=1.0)
    scale = tw.Parameter("1", default=0.5)

    def rhs(self, rate):
        return {"w": rate}

    def noise(self, scale):
        return {"w": scale}

    @tw.event(direction=1, terminal=True)
    def bar(self, w):
        return w - 1.0


class Spiking(tw.Physics):
    """A neuron that leaks, is driven by noise, and is set back when it fires (Lapicque 1907)."""

    v = tw.State("1", initial=0.0)
    drive = tw.Parameter("1/s", default=1.5)

    def rhs(self, v, drive):
        return {"v": drive - v}

    def noise(self):
        return {"v": 0.2}

    @tw.event(direction=1)
    def spike(self, v):
        return v - 1.0

    @spike.reset
    def spike(self):
        return {"v": 0.0}


def test_the_mean_time_to_a_bar_is_that_of_walds_identity():
    """A path seen at its steps only passes the bar 0.5826 standard steps late.

    Source: Siegmund (1979), Adv. Appl. Probab. 11, 701: the mean overshoot of a normal walk.
    """
    dt, rows = 0.02, 4000
    sol = tw.simulate(Climb(), [0.0, 20.0], dt=dt, ids=torch.arange(rows), keep="final")
    time = sol.events["bar"].time[:, 0]
    assert bool(torch.isfinite(time).all()) and bool((sol["w"] - 1.0).abs().max() < 1e-12)
    late = 0.5826 * 0.5 * dt**0.5
    spread = float(time.std()) / rows**0.5
    # the event lies inside its step, the walk counts to the end of it
    assert 1.0 + late - dt - 4 * spread < float(time.mean()) < 1.0 + late + 4 * spread


def test_a_row_that_fires_is_the_same_alone_and_goes_on_along_its_noise():
    t = torch.linspace(0.0, 5.0, 101, dtype=torch.float64)
    many = tw.simulate(Spiking(), t, dt=0.01, ids=torch.arange(50))
    alone = tw.simulate(Spiking(), t, dt=0.01, ids=[7])
    assert torch.equal(alone["v"][0], many["v"][7])
    assert bool(many.ok.all()) and float(many["v"].max()) <= 1.0
    first = tw.simulate(Spiking(), t[:41], dt=0.01, ids=torch.arange(50))
    second = tw.simulate(Spiking(), t[40:], dt=0.01, start=first.state)
    assert torch.allclose(second["v"], many["v"][:, 40:], rtol=0, atol=1e-9)
    count = first.events["spike"].count + second.events["spike"].count
    assert torch.equal(count, many.events["spike"].count) and int(count.sum()) > 100


def test_a_gradient_ends_with_the_row_or_is_refused():
    rate = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)

    def time(value) -> torch.Tensor:
        sol = tw.simulate(Climb(), [0.0, 5.0], {"rate": value}, dt=0.01, ids=[1], keep="final")
        return sol.events["bar"].time[0, 0]

    (found,) = torch.autograd.grad(time(rate), rate)
    central = (time(1.5 + 1e-6) - time(1.5 - 1e-6)) / 2e-6
    assert float(found) == pytest.approx(float(central), rel=1e-6)
    with pytest.raises(ArgumentError, match=r"goes on after the event 'spike'.*no derivative"):
        tw.simulate(Spiking(), [0.0, 1.0], {"drive": rate}, dt=0.01)
