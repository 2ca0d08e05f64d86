"""The building: published values, steady states, energy balance, time constants."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw

R_INNER, R_OUTER, C_INDOOR, C_ENVELOPE, AREA = 0.909, 4.47, 1.083, 3.24, 6.03


def house(t, **options):
    return tw.simulate(tw.library.Building2r2c(), t, rtol=1e-10, atol=1e-10, **options)


def test_the_published_estimates_are_the_defaults():
    model = tw.library.Building2r2c()
    found = [model.default(n) for n in ("r_inner", "r_outer", "c_envelope", "solar_area")]
    assert found == [R_INNER, R_OUTER, C_ENVELOPE, AREA]
    assert model.default("c_indoor") == pytest.approx(0.143 + 0.321 + 0.619)


def test_heating_and_sun_hold_a_steady_rise_over_the_weather():
    inputs = {"outdoor": -5.0, "heating": 3.0, "solar": 0.1}
    sol = house([0.0, 1000.0], inputs=inputs)
    heat = 3.0 + 0.1 * AREA
    assert float(sol["temperature"][0, -1]) == pytest.approx(-5.0 + heat * (R_INNER + R_OUTER))
    assert float(sol["envelope"][0, -1]) == pytest.approx(-5.0 + heat * R_OUTER)


def test_the_power_that_holds_a_temperature_holds_it_from_the_start():
    power = (21.0 + 8.0) / (R_INNER + R_OUTER)
    inputs = {"outdoor": -8.0, "heating": power}
    sol = house(torch.linspace(0.0, 48.0, 25), initial={"indoor": 21.0}, inputs=inputs)
    assert torch.allclose(sol["temperature"], torch.tensor(21.0).double(), atol=1e-8)


def test_heat_is_stored_or_lost_outdoors():
    t = torch.linspace(0.0, 30.0, 6001, dtype=torch.float64)
    inputs = {"outdoor": 2.0, "heating": 4.0, "solar": 0.2}
    sol = house(t, inputs=inputs, initial={"indoor": 12.0, "envelope": 7.0})
    indoor, envelope = sol["indoor"][0], sol["envelope"][0]
    stored = C_INDOOR * (indoor[-1] - 12.0) + C_ENVELOPE * (envelope[-1] - 7.0)
    lost = torch.trapezoid((envelope - 2.0) / R_OUTER, t)
    assert float(stored + lost) == pytest.approx(30.0 * (4.0 + 0.2 * AREA), rel=1e-6)


def test_cooling_follows_the_two_time_constants():
    system = np.array(
        [
            [-1 / (R_INNER * C_INDOOR), 1 / (R_INNER * C_INDOOR)],
            [1 / (R_INNER * C_ENVELOPE), -(1 / R_INNER + 1 / R_OUTER) / C_ENVELOPE],
        ]
    )
    rates, modes = np.linalg.eig(system)
    shares = np.linalg.solve(modes, [20.0, 12.0])
    t = np.linspace(0.0, 60.0, 31)
    expected = (modes[0] * shares) @ np.exp(np.outer(rates, t))
    sol = house(t, initial={"indoor": 20.0, "envelope": 12.0})
    assert np.allclose(sol["temperature"][0].numpy(), expected, atol=1e-7)
    assert -1 / rates.max() == pytest.approx(19.6, abs=0.1)
