"""The bed against the closed form of dispersed flow with reaction, and its balances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.library import ReactorBed


def bed(cells: int) -> tw.Physics:
    states = {
        "concentration": tw.State("mol/m^3", initial=0.0, low=0.0, size=cells),
        "temperature": tw.State("K", initial=340.0, low=250.0, size=cells),
    }
    return type("Bed", (ReactorBed,), states)()


def rates(model: tw.Physics, c: torch.Tensor, hot: torch.Tensor, **changed: float):
    names = [*model.declared.inputs, *model.declared.parameters]
    given = {n: c.new_full(c.shape[:1], changed.get(n, model.default(n) or 0.0)) for n in names}
    return model.forward("rhs", {**given, "concentration": c, "temperature": hot})


def outlet(cells: int) -> float:
    """Isothermal, at rest: concentrations are the solution of a linear system."""
    model = bed(cells)

    def balance(c: torch.Tensor) -> torch.Tensor:
        hot = torch.full_like(c, 350.0)
        return rates(model, c, hot)["concentration"]

    offset = balance(torch.zeros(1, cells, dtype=torch.float64))[0]
    matrix = (balance(torch.eye(cells, dtype=torch.float64)) - offset).T
    return float(torch.linalg.solve(matrix, -offset)[-1])


def test_conversion_is_that_of_dispersed_flow_at_second_order():
    # Danckwerts (1953): a first-order reaction between closed ends, Pe = v L / D, Da = k L / v.
    peclet, damkohler = 1e-3 / 3e-5, 3e-3 / 1e-3
    a = math.sqrt(1 + 4 * damkohler / peclet)
    above = 4 * a * math.exp(peclet / 2)
    below = (1 + a) ** 2 * math.exp(a * peclet / 2) - (1 - a) ** 2 * math.exp(-a * peclet / 2)
    want = 1000.0 * above / below
    coarse, fine = (abs(outlet(n) - want) for n in (80, 160))
    assert fine < 0.2
    assert math.log2(coarse / fine) == pytest.approx(2.0, abs=0.1)


def test_matter_and_heat_balance():
    model = ReactorBed()
    generator = torch.Generator().manual_seed(0)
    c = 1000.0 * torch.rand(9, 20, generator=generator, dtype=torch.float64)
    hot = 330.0 + 30.0 * torch.rand(9, 20, generator=generator, dtype=torch.float64)
    found = rates(model, c, hot)
    width, v = 1.0 / 20, 1e-3
    reacted = (3e-3 * torch.exp(8000.0 * (1 / 350.0 - 1 / hot)) * c).sum(-1) * width
    held = found["concentration"].sum(-1) * width * 0.4
    assert torch.allclose(held, v * (1000.0 - c[:, -1]) - reacted, rtol=1e-10)
    warmed = found["temperature"].sum(-1) * width * 2.5e6
    carried = v * 2e6 * (340.0 - hot[:, -1])
    cooled = 2e3 * (hot - 340.0).sum(-1) * width
    assert torch.allclose(warmed, carried + 8e4 * reacted - cooled, rtol=1e-9)


def test_the_bed_warms_where_it_reacts_and_a_hot_feed_warms_it_more():
    feeds = torch.tensor([335.0, 340.0, 345.0], dtype=torch.float64)
    sol = tw.simulate(
        ReactorBed(), [0.0, 1500.0, 3000.0], inputs={"feed_temperature": feeds}, method="tsit5",
        engine="eager",
    )  # fmt: skip
    assert bool(sol.ok.all())
    spots = sol["hot_spot"][:, -1]
    assert bool((spots.diff() > 0).all()) and bool((spots > feeds + 10).all())
    place = sol["temperature"][1, -1].argmax()
    assert 0 < int(place) < 19
    assert bool((sol["outlet_concentration"][:, -1] < 100.0).all())


def test_gradients_pass_through_the_bed():
    model = ReactorBed()

    def final(rate: torch.Tensor, heat: torch.Tensor) -> torch.Tensor:
        sol = tw.simulate(model, [0.0, 100.0], {"rate_constant": rate, "reaction_heat": heat},
                          method="rk4", dt=5.0, engine="eager")  # fmt: skip
        return sol["hot_spot"][:, -1]

    rate = torch.tensor([3e-3, 2e-3], dtype=torch.float64, requires_grad=True)
    heat = torch.tensor([8e4, 6e4], dtype=torch.float64, requires_grad=True)
    by_rate, by_heat = torch.autograd.grad(final(rate, heat).sum(), (rate, heat))
    with torch.no_grad():
        step = 1e-4
        d_rate = (final(rate * (1 + step), heat) - final(rate * (1 - step), heat)) / (2 * step)
        d_heat = (final(rate, heat * (1 + step)) - final(rate, heat * (1 - step))) / (2 * step)
    assert torch.allclose(by_rate * rate.detach(), d_rate, rtol=1e-6)
    assert torch.allclose(by_heat * heat.detach(), d_heat, rtol=1e-6)


class CoarseBed(ReactorBed):
    """Few cells: kernels are lowered from the same text."""

    concentration = tw.State("mol/m^3", initial=0.0, low=0.0, high=1e5, size=5)
    temperature = tw.State("K", initial=340.0, low=250.0, high=1500.0, size=5)


class FineBed(ReactorBed):
    """More cells than a kernel holds."""

    concentration = tw.State("mol/m^3", initial=0.0, low=0.0, high=1e5, size=140)
    temperature = tw.State("K", initial=340.0, low=250.0, high=1500.0, size=140)


def test_it_calibrates_from_the_outlet():
    t = np.linspace(0.0, 1800.0, 13)
    truth = {"rate_constant": 2.4e-3, "heat_transfer": 2.6e3}
    names = ("outlet_concentration", "outlet_temperature")
    sol = tw.simulate(CoarseBed(), t, {n: torch.tensor([v]) for n, v in truth.items()})
    generator = np.random.default_rng(3)
    noise = {"outlet_concentration": 2.0, "outlet_temperature": 0.1}
    columns = {n: sol[n][0].numpy() + noise[n] * generator.normal(size=13) for n in names}
    units = {"outlet_concentration": "mol/m^3", "outlet_temperature": "K"}
    record = tw.Record(t, columns, units, time_unit="s")
    found = tw.calibrate(CoarseBed(), record, fit=list(truth), starts=2, seed=0)
    for name, (low, high) in zip(found.names, found.interval(0.99), strict=True):
        assert low < truth[name] < high, name
        assert found.values[name] == pytest.approx(truth[name], rel=0.05)


def test_a_swept_bed_is_the_bed_of_each_row(tmp_path):
    scenario = tw.Scenario(
        horizon={"start": 0, "stop": 20, "unit": "s"},
        vary={
            "feed_temperature": {"distribution": "uniform", "low": 335, "high": 350},
            "rate_constant": {"distribution": "uniform", "low": 2e-3, "high": 4e-3},
        },
        quantities={"hottest": "max(hot_spot)"},
    )
    swept = tw.sweep(FineBed(), scenario, samples=8, workers=1, block_size=4, out=tmp_path / "s",
                     method="tsit5")  # fmt: skip
    table = swept.table()
    assert swept.failed == 0 and len(set(table["hottest"])) == 8
    sol = tw.simulate(
        FineBed(), [0.0, 20.0], {"rate_constant": float(table["rate_constant"][5])},
        inputs={"feed_temperature": float(table["feed_temperature"][5])},
        keep={"hottest": "max(hot_spot)"}, method="tsit5",
    )  # fmt: skip
    assert sol.engine == "eager" and "tw.field_op" in sol.reason
    assert float(sol["hottest"][0]) == pytest.approx(float(table["hottest"][5]), rel=1e-9)


class Learned(CoarseBed):
    """The catalyst loses activity along the bed in a way that is not known."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.residual = tw.nn.mlp(1, 1, (8,))

    def rhs(
        self, concentration, temperature, velocity, feed_concentration, feed_temperature,
        wall_temperature, rate_constant, activation, reaction_heat, heat_transfer, dispersion,
        conductivity, fluid_capacity, bed_capacity, porosity, length, reference,
    ):  # fmt: skip
        known = super().rhs(
            concentration, temperature, velocity, feed_concentration, feed_temperature,
            wall_temperature, rate_constant, activation, reaction_heat, heat_transfer, dispersion,
            conductivity, fluid_capacity, bed_capacity, porosity, length, reference,
        )  # fmt: skip
        warm = ((temperature - 340.0) / 20.0).unsqueeze(-1)
        return {**known, "temperature": known["temperature"] + 0.1 * self.residual(warm)[..., 0]}


def test_a_term_beside_it_is_trained_through_it():
    t = torch.linspace(0.0, 600.0, 4)
    feeds = torch.linspace(336.0, 348.0, 7, dtype=torch.float64)
    with torch.no_grad():
        want = tw.simulate(CoarseBed(), t, {"heat_transfer": 4e3}, {}, {"feed_temperature": feeds},
                           dt=20.0, method="rk4")["temperature"]  # fmt: skip
    model = Learned()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(15):
        optimiser.zero_grad()
        sol = tw.simulate(model, t, inputs={"feed_temperature": feeds}, dt=20.0, method="rk4",
                          engine="eager")  # fmt: skip
        loss = (sol["temperature"] - want).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
