"""Rosenbrock steps of kernels against those of the eager engine, and where they must differ."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from tests.engines.test_stiff import STATED, published
from twinml.library import CascadedTanks, Robertson, VanDerPol
from twinml.solve.status import Status

ENGINES = ("eager", "native")


def both(model: tw.Physics, t, *args, **options) -> list[tw.Solution]:
    return [
        tw.simulate(model, t, *args, method="rodas5p", engine=engine, **options)
        for engine in ENGINES
    ]


class Driven(tw.Physics):
    """Prothero and Robinson's problem with a switch, a time and an input."""

    x = tw.State("1", initial=1.0)
    z = tw.State("1", initial=0.0)
    u = tw.Input("1", default=0.0)
    rate = tw.Parameter("1/s", default=50.0)

    def rhs(self, t, x, z, u, rate):
        push = torch.where(x > 0.0, x * u, torch.exp(x) - 1.0)
        return {
            "x": -rate * (x - torch.cos(t)) - torch.sin(t) + push,
            "z": x * z - u * z**2 + torch.exp(-t),
        }


class Heat(tw.Physics):
    """Conduction in a rod of 24 cells: its factors are loops or written out by their number."""

    T = tw.State("K", initial=0.0, size=24)
    k = tw.Parameter("1/s", default=400.0)

    def rhs(self, T, k):
        left = torch.cat([torch.ones_like(T[..., :1]), T[..., :-1]], dim=-1)
        right = torch.cat([T[..., 1:], torch.zeros_like(T[..., :1])], dim=-1)
        return {"T": k[..., None] * (left - 2.0 * T + right)}


class Mixed(tw.Physics):
    """Every state acts on every other: a dense Jacobian of 12 states."""

    x = tw.State("1", initial=0.1, size=12)
    g = tw.Parameter("1/s", default=1.0)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.register_buffer("weight", 3.0 * torch.randn(12, 12, dtype=torch.float64))

    def rhs(self, x, g):
        return {"x": g[..., None] * (torch.tanh(x @ self.weight.T) - 50.0 * x**3)}


@pytest.mark.parametrize(("problem", "allowed"), STATED, ids=lambda p: getattr(p, "name", ""))
def test_the_published_end_value_is_reached(problem, allowed):
    sol = tw.simulate(
        published(problem), [problem.start, problem.end], method="rodas5p", engine="native",
        initial={"y": problem.initial}, atol=min(problem.atol), keep="final",
    ).raise_if_failed()  # fmt: skip
    error = np.abs(sol["y"][0].numpy() / np.array(problem.published) - 1.0).max()
    assert error < allowed


@pytest.mark.parametrize("model", [Driven(), Heat(), Mixed()], ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("dt", [None, 0.05], ids=["adaptive", "fixed"])
def test_trajectories_are_those_of_the_eager_engine(model, dt):
    name = next(iter(model.declared.parameters))
    values = {name: torch.linspace(0.9, 1.1, 5, dtype=torch.float64) * model.default(name)}
    inputs = {}
    if model.declared.inputs:
        inputs["u"] = tw.Signal([0.0, 0.31, 0.77, 2.0], [0.0, 1.0, -0.5, 0.5], kind="linear")
    t = torch.linspace(0.0, 2.0, 14, dtype=torch.float64)
    eager, native = both(model, t, values, inputs=inputs, dt=dt)
    assert torch.equal(eager.steps, native.steps) and bool(native.ok.all())
    for state in model.declared.states:
        # The errors of roundings are multiplied by step control, which the fixed steps have not.
        allowed = 1e-8 if dt is None else 1e-12
        assert torch.allclose(eager[state], native[state], rtol=allowed, atol=allowed)


def test_the_slope_of_a_linear_input_belongs_to_the_derivative_in_time():
    ends = []
    for dt in (0.1, 0.05):
        signal = tw.Signal([0.0, 1.0], [0.0, 3.0], kind="linear")
        sol = tw.simulate(
            Driven(), [0.0, 1.0], {"rate": 3.0}, inputs={"u": signal}, method="rodas5p",
            engine="native", dt=dt,
        )  # fmt: skip
        ends.append(sol)
    exact = tw.simulate(
        Driven(), [0.0, 1.0], {"rate": 3.0}, inputs={"u": signal}, method="vern7", rtol=1e-12,
        atol=1e-13, engine="native",
    )  # fmt: skip
    errors = [float((end["z"][0, -1] - exact["z"][0, -1]).abs()) for end in ends]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(5.0, abs=0.7)


def test_float32_reaches_what_its_digits_allow():
    eager, native = both(
        Robertson(), [0.0, 1e3], dtype=torch.float32, rtol=1e-4, keep="final",
        atol={"a": 1e-6, "b": 1e-9, "c": 1e-6},
    )  # fmt: skip
    assert bool(native.ok.all())
    for name in "abc":
        assert float(native[name]) == pytest.approx(float(eager[name]), rel=2e-3)


class Rotation(tw.Physics):
    """Turns by ``omega``: no elimination without exchange of rows can follow it at large h."""

    x = tw.State("1", initial=0.0)
    y = tw.State("1", initial=0.0)
    omega = tw.Parameter("1/s", default=1.0)

    def rhs(self, x, y, omega):
        return {"x": omega * y, "y": -omega * x}


def test_a_system_that_cannot_be_factored_fails_its_row_only():
    omega = torch.tensor([1.0, 1e30, 2.0, 3.0], dtype=torch.float64)
    sol = tw.simulate(Rotation(), [0.0, 1.0], {"omega": omega}, method="rodas5p", engine="native")
    assert sol.status.tolist() == [0, int(Status.SOLVER_FAILED), 0, 0]
    assert int(sol.steps[1]) <= 10
    alone = tw.simulate(
        Rotation(), [0.0, 1.0], {"omega": omega[2:]}, method="rodas5p", engine="native"
    )
    assert torch.equal(alone["x"], sol["x"][2:])


def test_a_fast_rotation_is_followed_at_steps_that_can_be_factored():
    eager, native = both(
        Rotation(), [0.0, 1e-3], {"omega": 1e6}, initial={"x": 1e-12, "y": 0.0}, atol=1e-3,
    )  # fmt: skip
    assert bool(eager.ok.all()) and bool(native.ok.all())


class Wall(tw.Physics):
    """Not a number from x = 1 on."""

    x = tw.State("1", initial=0.0)

    def rhs(self, x):
        return {"x": 1.0 + 0.0 * torch.sqrt(1.0 - x)}


def test_nan_in_the_jacobian_ends_a_row_by_its_own_name():
    eager, native = both(Wall(), [0.0, 2.0])
    assert eager.status.tolist() == native.status.tolist() == [int(Status.NOT_FINITE)]
    assert float(native.fail_time[0]) == pytest.approx(1.0, abs=1e-3)


def test_rows_keep_their_bits_alone_and_shuffled():
    mu = torch.linspace(1.0, 50.0, 11, dtype=torch.float64)
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
    t, options = torch.linspace(0.0, 5.0, 4), {"method": "rodas5p", "engine": "native"}
    together = tw.simulate(VanDerPol(), t, {"mu": mu}, **options)["x"]
    shuffled = tw.simulate(VanDerPol(), t, {"mu": mu[order]}, **options)["x"]
    assert torch.equal(shuffled, together[order])
    alone = tw.simulate(VanDerPol(), t, {"mu": mu[4:5]}, **options)["x"]
    assert torch.equal(alone[0], together[4])


def test_a_held_input_costs_no_derivative_in_time():
    steps = tw.Signal([0.0, 40.0, 90.0], [1.0, 3.0, 0.5], kind="hold")
    t = torch.linspace(0.0, 120.0, 7, dtype=torch.float64)
    eager, native = both(CascadedTanks(), t, inputs={"u": steps})
    assert torch.allclose(eager["h2"], native["h2"], rtol=1e-9)
