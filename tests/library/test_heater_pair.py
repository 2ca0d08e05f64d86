"""The temperature control lab: published values, energy balance, steady states, lag, record."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.units import convert

OFF = {"power1": 0.0, "power2": 0.0}
NO_RADIATION = {"emissivity": 0.0}


def pair(t, **options):
    return tw.simulate(tw.library.HeaterPair(), t, rtol=1e-9, atol=1e-9, **options)


def test_the_published_constants_are_the_defaults():
    model = tw.library.HeaterPair()
    published = {
        "mass": 0.004, "heat_capacity": 500.0, "area": 1e-3, "facing_area": 2e-4,
        "emissivity": 0.9, "ambient": 296.15, "convection": 10.0, "exchange": 20.0,
        "gain1": 0.01, "gain2": 0.0075,
    }  # fmt: skip
    assert {name: model.default(name) for name in published} == published


def test_the_room_is_at_rest():
    sol = pair([0.0, 600.0], inputs=OFF)
    for name in ("temperature1", "temperature2"):
        assert float(sol[name][0, -1]) == pytest.approx(23.0, abs=1e-9)


def test_heat_given_is_stored_or_lost_to_the_room_whatever_is_exchanged():
    t = torch.linspace(0.0, 400.0, 4001, dtype=torch.float64)
    inputs = {"power1": 80.0, "power2": 25.0}
    sol = pair(t, inputs=inputs, parameters={"exchange": 55.0})
    hot = torch.stack([sol["heater1"][0], sol["heater2"][0]])
    lost = 1e-3 * (10.0 * (hot - 296.15) + 0.9 * 5.670374419e-8 * (hot**4 - 296.15**4))
    spent = float(torch.trapezoid(lost.sum(0), t))
    stored = 0.004 * 500.0 * float((hot[:, -1] - hot[:, 0]).sum())
    given = (0.01 * 80.0 + 0.0075 * 25.0) * 400.0
    assert stored + spent == pytest.approx(given, rel=1e-6)


def test_the_steady_state_without_radiation_is_that_of_two_coupled_conductances():
    loss, between = 10.0 * 1e-3, 20.0 * 2e-4
    system = np.array([[loss + between, -between], [-between, loss + between]])
    rise = np.linalg.solve(system, [0.01 * 60.0, 0.0075 * 10.0])
    inputs = {"power1": 60.0, "power2": 10.0}
    sol = pair([0.0, 4000.0], inputs=inputs, parameters=NO_RADIATION)
    found = [float(sol[f"temperature{i}"][0, -1]) - 23.0 for i in (1, 2)]
    assert found == pytest.approx(rise.tolist(), rel=1e-6)


def test_a_steady_heater_radiates_what_it_does_not_lose_to_the_air():
    sol = pair([0.0, 4000.0], inputs={"power1": 50.0, "power2": 50.0 * 0.01 / 0.0075})
    hot = float(sol["heater1"][0, -1])
    assert float(sol["heater2"][0, -1]) == pytest.approx(hot, abs=1e-6)
    radiated = 0.9 * 5.670374419e-8 * 1e-3 * (hot**4 - 296.15**4)
    assert 0.5 - 0.01 * (hot - 296.15) == pytest.approx(radiated, rel=1e-6)


def test_a_sensor_follows_its_heater_with_its_lag():
    t = torch.linspace(0.0, 120.0, 13, dtype=torch.float64)
    start = {"heater1": 296.15, "heater2": 296.15, "sensor1": 316.15}
    sol = pair(t, inputs=OFF, initial=start)
    assert torch.allclose(sol["temperature1"][0], 23.0 + 20.0 * torch.exp(-t / 15.0), atol=1e-6)


def test_sensors_start_at_their_heaters():
    sol = pair([0.0, 1.0], initial={"heater1": 310.0})
    assert float(sol["sensor1"][0, 0]) == 310.0 and float(sol["sensor2"][0, 0]) == 296.15


def test_the_room_may_be_given_in_celsius():
    model = tw.library.HeaterPair().set_defaults(ambient="21.5 degC")
    assert model.default("ambient") == pytest.approx(convert(21.5, "degC", "K", "ambient"))


def test_the_measured_run_is_followed_from_the_published_guesses():
    folder = Path(os.environ.get("TWINML_DATA", "../shared/data"))
    path = folder / "tclab" / "tclab_mimo.csv"
    if not path.is_file():
        pytest.skip("tclab/tclab_mimo.csv is not in TWINML_DATA")
    columns = {
        "power1": "Heater 1 (%)", "power2": "Heater 2 (%)",
        "temperature1": "Temperature 1 (degC)", "temperature2": "Temperature 2 (degC)",
    }  # fmt: skip
    record = tw.Record.from_csv(path, time="Time (sec)", columns=columns)
    t = torch.as_tensor(record.time[::5].copy())
    inputs = {n: tw.Signal(t, torch.as_tensor(record[n][::5].copy())) for n in ("power1", "power2")}
    guess = {"convection": 5.0, "gain1": 0.006, "gain2": 0.004}
    start = {"heater1": 294.0, "heater2": 293.0}
    sol = tw.simulate(tw.library.HeaterPair(), t, inputs=inputs, parameters=guess, initial=start)
    gap = sol["temperature1"][0].numpy() - record["temperature1"][::5]
    assert float(np.sqrt(np.mean(gap**2))) < 3.0
