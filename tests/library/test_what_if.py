"""Every shipped what-if of these twins runs without a record and answers its question."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from twinml import resources


def swept(out, model: tw.Physics, scenario: str):
    read = tw.Scenario.from_yaml(resources.configs() / "scenario" / f"{scenario}.yaml")
    done = tw.sweep(model, read, samples=32, out=out, workers=1, rtol=1e-4, atol=1e-6)
    assert done.failed == 0
    return done.table()


def test_a_later_watchdog_lets_a_stuck_heater_grow_hotter(tmp_path):
    table = swept(tmp_path / "a", tw.library.HeaterPair(), "stuck_heater")
    assert table["peak"].max() < 120 and table["peak"].min() > 25
    assert ((table["too_hot"] > 0) == (table["peak"] > 70)).all()
    assert (table["peak_of_neighbour"] < table["peak"]).mean() > 0.9
    assert np.corrcoef(table["delay"], table["peak"])[0, 1] > 0.5


def test_a_burst_drops_the_load_where_the_voltage_sags_below_its_limit(tmp_path):
    table = swept(tmp_path / "a", tw.library.BatteryEcm(), "current_burst")
    assert ((table["dropped_out"] > 0) == (table["lowest"] < 2.8)).all()
    ohmic = table["burst"] * table["age"] * 0.0312
    assert (table["sag"] > ohmic).all()
    charge = table["burst"] * table["length"]
    assert ((table["energy"] > 1.5 * charge) & (table["energy"] < 4.2 * charge)).all()


def test_a_house_without_heating_ends_between_its_set_point_and_the_weather(tmp_path):
    table = swept(tmp_path / "a", tw.library.Building2r2c(), "heating_failure")
    assert (table["coldest"] > table["outdoor"]).all() and (table["coldest"] < 21).all()
    assert ((table["frost"] > 0) == (table["coldest"] < 2)).all()
    assert np.corrcoef(table["repair"], table["coldest"])[0, 1] < -0.3


@pytest.mark.parametrize("twin", ["battery_ecm", "building2r2c", "heater_pair"])
def test_the_twins_file_builds_its_model(twin):
    import yaml

    from twinml.cli.schema import build
    from twinml.cli.twin import TwinKeys, build_model

    text = (resources.configs() / "twin" / f"{twin}.yaml").read_text()
    keys = build(TwinKeys, {"name": twin, **yaml.safe_load(text)})
    model = build_model(keys)
    assert set(keys.outputs) == set(model.declared.outputs)
    assert set(keys.inputs) == set(model.declared.inputs)
    assert set(keys.calibrate.fit) <= set(model.declared.parameters)
    assert set(keys.calibrate.fit_initial) <= set(model.declared.states)
