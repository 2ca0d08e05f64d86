"""The rod against the fin equation, its balance, and every verb with a field in the state."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.library import HeatRod


class CoarseRod(HeatRod):
    """Five cells: kernels of few states are lowered from the same text."""

    temperature = tw.State("K", initial=293.15, low=200.0, high=900.0, size=5)


class FineRod(HeatRod):
    """More cells than a kernel holds."""

    temperature = tw.State("K", initial=293.15, low=200.0, high=900.0, size=300)


def values(model: tw.Physics, field: torch.Tensor) -> dict[str, torch.Tensor]:
    rows = field.shape[0]
    names = [*model.declared.inputs, *model.declared.parameters]
    found = {n: field.new_full((rows,), float(model.default(n) or 0.0)) for n in names}
    return {**found, "temperature": field}


def rate(model: tw.Physics, field: torch.Tensor) -> torch.Tensor:
    return model.forward("rhs", values(model, field))["temperature"]


def steady(cells: int) -> torch.Tensor:
    """The balance is linear in the temperatures."""
    kind = type("Rod", (HeatRod,), {"temperature": tw.State("K", initial=293.15, size=cells)})
    model = kind()
    zero = torch.zeros(1, cells, dtype=torch.float64)
    offset = rate(model, zero)[0]
    matrix = (rate(model, torch.eye(cells, dtype=torch.float64)) - offset).T
    return torch.linalg.solve(matrix, -offset)


def fin(cells: int) -> torch.Tensor:
    """Case A of the fin equation, its heat flow given at the base."""
    k, h, length, d = 237.0, 10.0, 0.3, 0.01
    section, m = math.pi * d * d / 4, math.sqrt(4 * h / (k * d))
    tip = h / (m * k)
    x = (torch.arange(cells, dtype=torch.float64) + 0.5) * length / cells
    shape = torch.cosh(m * (length - x)) + tip * torch.sinh(m * (length - x))
    slope = m * (math.sinh(m * length) + tip * math.cosh(m * length))
    return 293.15 + 5.0 / (k * section * slope) * shape


def test_the_steady_rod_is_the_fin_at_second_order():
    coarse, fine = ((steady(n) - fin(n)).abs().max() for n in (20, 40))
    assert fine < 3e-3  # of 76 K
    assert math.log2(coarse / fine) == pytest.approx(2.0, abs=0.1)


def test_the_rod_gains_what_the_heater_gives_less_what_the_air_takes():
    model = HeatRod()
    field = 300.0 + 40.0 * torch.rand(3, 40, dtype=torch.float64)
    capacity = 2702.0 * 903.0 * math.pi * 0.005**2 * 0.3 / 40
    side = 10.0 * math.pi * 0.01 * 0.3 / 40 * (field - 293.15).sum(-1)
    through = 1.0 / (1.0 / 10.0 + 0.3 / 80 / 237.0)
    end = through * math.pi * 0.005**2 * (field[:, -1] - 293.15)
    gained = rate(model, field).sum(-1) * capacity
    assert torch.allclose(gained, 5.0 - side - end, rtol=1e-12)


def test_few_cells_run_as_a_kernel_and_agree_with_the_field_operation():
    t = torch.linspace(0.0, 900.0, 4)
    given = {"convection": torch.tensor([5.0, 10.0, 40.0])}
    native = tw.simulate(CoarseRod(), t, given, engine="auto", method="tsit5")
    eager = tw.simulate(CoarseRod(), t, given, engine="eager", method="tsit5")
    assert (native.engine, eager.engine) == ("native", "eager")
    assert torch.allclose(native["temperature"], eager["temperature"], rtol=1e-10)


def test_many_cells_run_by_the_field_operation_and_the_reason_says_so():
    sol = tw.simulate(FineRod(), [0.0, 0.5], method="tsit5")
    assert sol.engine == "eager" and bool(sol.ok.all())
    assert "300 states" in sol.reason and "tw.field_op" in sol.reason


def test_a_swept_rod_is_the_rod_of_each_row(tmp_path):
    scenario = tw.Scenario(
        horizon={"start": 0, "stop": 0.1, "unit": "s"},
        vary={
            "power": {"distribution": "uniform", "low": 2, "high": 8},
            "convection": {"distribution": "uniform", "low": 5, "high": 40},
        },
        quantities={"peak": "max(heated_end)"},
    )
    swept = tw.sweep(FineRod(), scenario, samples=16, workers=1, block_size=8, out=tmp_path / "s",
                     method="tsit5")  # fmt: skip
    assert swept.failed == 0
    table = swept.table()
    row = 11
    sol = tw.simulate(
        FineRod(), [0.0, 0.1], {"convection": float(table["convection"][row])},
        inputs={"power": float(table["power"][row])}, keep={"peak": "max(heated_end)"},
        method="tsit5",
    )  # fmt: skip
    assert float(sol["peak"][0]) == pytest.approx(float(table["peak"][row]), rel=1e-9)


def test_it_calibrates_from_a_record():
    t = np.linspace(0.0, 2400.0, 25)
    truth = {"convection": 17.0, "conductivity": 180.0}
    sol = tw.simulate(CoarseRod(), t, {n: torch.tensor([v]) for n, v in truth.items()})
    generator = np.random.default_rng(5)
    columns = {n: sol[n][0].numpy() + 0.05 * generator.normal(size=25)
               for n in ("heated_end", "far_end")}  # fmt: skip
    record = tw.Record(t, columns, {n: "K" for n in columns}, time_unit="s")
    found = tw.calibrate(CoarseRod(), record, fit=list(truth), starts=2, seed=0)
    for name, (low, high) in zip(found.names, found.interval(0.99), strict=True):
        assert low < truth[name] < high, name
        assert found.values[name] == pytest.approx(truth[name], rel=0.02)


class Learned(HeatRod):
    """What the air takes besides, learned from the temperature of each cell."""

    temperature = tw.State("K", initial=293.15, low=200.0, high=900.0, size=12)

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.residual = tw.nn.mlp(1, 1, (8,))

    def rhs(
        self, temperature, power, ambient, conductivity, convection, heat_capacity, density,
        length, diameter,
    ):  # fmt: skip
        known = super().rhs(
            temperature, power, ambient, conductivity, convection, heat_capacity, density, length,
            diameter,
        )  # fmt: skip
        warm = ((temperature - 293.15) / 50.0).unsqueeze(-1)
        return {"temperature": known["temperature"] + self.residual(warm)[..., 0]}


def test_a_term_beside_it_is_trained_through_it():
    t = torch.linspace(0.0, 40.0, 3)
    power = torch.linspace(20.0, 60.0, 9, dtype=torch.float64)
    plain = type("Plain", (HeatRod,), {"temperature": Learned.temperature})()
    with torch.no_grad():
        want = tw.simulate(plain, t, {"convection": 80.0}, inputs={"power": power}, dt=2.0,
                           method="rk4")["temperature"]  # fmt: skip
    model = Learned()
    optimiser = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        sol = tw.simulate(model, t, inputs={"power": power}, dt=2.0, method="rk4", engine="eager")
        loss = (sol["temperature"] - want).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]
