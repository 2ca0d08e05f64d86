"""The battery circuit: open-circuit voltage, closed-form step, signs, refused curves."""

from __future__ import annotations

import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.errors import ArgumentError, DataError

CELL = {"capacity": 5.0, "r0": 0.03, "r1": 0.002, "c1": 500.0, "r2": 0.006, "c2": 3000.0}


def negative(x):
    """Graphite-silicon electrode of Chen et al. (2020), V against lithium."""
    steps = ((0.0909, 29.8538, 0.1234), (0.04478, 14.9159, 0.2769), (0.0205, 30.4444, 0.6103))
    base = 1.9793 * np.exp(-39.3631 * x) + 0.2482
    return base - sum(h * np.tanh(s * (x - c)) for h, s, c in steps)


def positive(y):
    """NMC electrode of Chen et al. (2020), V against lithium."""
    steps = ((0.0428, 18.5138, 0.5542), (17.7326, 15.7890, 0.3117), (-17.5842, 15.9308, 0.3120))
    return -0.8090 * y + 4.4875 - sum(h * np.tanh(s * (y - c)) for h, s, c in steps)


def test_the_shipped_curve_is_the_published_fit_between_the_cut_off_voltages():
    model = tw.library.BatteryEcm()
    soc, ocv = model.ocv_soc.numpy(), model.ocv_voltage.numpy()
    expected = positive(0.9084 - 0.6423 * soc) - negative(0.0279 + 0.8735 * soc)
    assert np.abs(ocv - expected).max() < 1e-6
    assert ocv[0] == pytest.approx(2.5, abs=0.01) and ocv[-1] == pytest.approx(4.2, abs=0.01)
    assert (np.diff(ocv) > 0).all()


def test_at_rest_the_terminals_show_the_open_circuit_voltage_at_every_knot():
    model = tw.library.BatteryEcm()
    sol = tw.simulate(model, [0.0, 1.0], initial={"soc": model.ocv_soc}, inputs={"current": 0.0})
    assert torch.equal(sol["voltage"][:, 0], model.ocv_voltage)
    assert torch.equal(sol["voltage"][:, 1], model.ocv_voltage)


def test_a_current_step_gives_the_closed_form_response():
    t = torch.linspace(0.0, 40.0, 41, dtype=torch.float64)
    model = tw.library.BatteryEcm()
    sol = tw.simulate(
        model, t, parameters=CELL, initial={"soc": 0.5}, inputs={"current": 7.5},
        rtol=1e-10, atol=1e-12,
    )  # fmt: skip
    soc = 0.5 - 7.5 * t / (3600.0 * 5.0)
    pairs = sum(r * (1 - torch.exp(-t / (r * c))) for r, c in ((0.002, 500.0), (0.006, 3000.0)))
    rest = np.interp(soc.numpy(), model.ocv_soc.numpy(), model.ocv_voltage.numpy())
    expected = torch.as_tensor(rest) - 7.5 * (0.03 + pairs)
    assert torch.allclose(sol["soc"][0], soc, atol=1e-12)
    assert torch.allclose(sol["voltage"][0], expected, atol=1e-8)


def test_an_hour_at_the_capacity_empties_the_cell_and_the_charge_comes_back():
    there = [0.0, 3600.0]
    sol = tw.simulate(tw.library.BatteryEcm(), there, initial={"soc": 1.0}, keep="final")
    assert float(sol["soc"][0]) == pytest.approx(0.0, abs=1e-9)
    back = tw.simulate(
        tw.library.BatteryEcm(), there, initial={"soc": 0.0}, inputs={"current": -5.0}, keep="final"
    )
    assert float(back["soc"][0]) == pytest.approx(1.0, abs=1e-9)


def test_a_record_in_which_charging_is_positive_gives_the_same_voltages():
    t = [0.0, 5.0, 10.0]
    ours = tw.simulate(tw.library.BatteryEcm(), t, inputs={"current": 7.5})["voltage"]
    theirs = tw.simulate(tw.library.BatteryEcm(discharge=-1), t, inputs={"current": -7.5})
    assert torch.equal(ours, theirs["voltage"])
    with pytest.raises(ArgumentError, match="discharge=0"):
        tw.library.BatteryEcm(discharge=0)


def test_beyond_the_table_the_end_values_hold():
    start = torch.tensor([-0.2, 1.3], dtype=torch.float64)
    model = tw.library.BatteryEcm()
    sol = tw.simulate(model, [0.0, 1.0], initial={"soc": start}, inputs={"current": 0.0})
    assert sol["voltage"][:, 0].tolist() == [model.ocv_voltage[0], model.ocv_voltage[-1]]


def test_a_curve_of_ones_own_is_read_kept_and_pickled(tmp_path):
    path = tmp_path / "lfp.csv"
    path.write_text("# an LFP cell\nsoc,voltage\n0,2.8\n0.1,3.2\n0.9,3.35\n1,3.5\n")
    model = tw.library.BatteryEcm(ocv=path)
    path.unlink()
    for twin in (model, pickle.loads(pickle.dumps(model))):
        sol = tw.simulate(twin, [0.0, 1.0], initial={"soc": 0.5}, inputs={"current": 0.0})
        assert float(sol["voltage"][0, 0]) == pytest.approx(3.275, abs=1e-12)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "does not exist"),
        ("soc,voltage\n", r"\(0, 2\)"),
        ("soc,voltage\n0.5,3.7\n", r"\(1, 2\)"),
        ("soc,voltage,x\n0,3,1\n1,4,1\n", r"\(2, 3\)"),
        ("soc,voltage\n0,3\n1,four\n", "cannot be read.*four"),
        ("soc,voltage\n0,3\n1,nan\n", r"table of \(2, 2\)"),
        ("soc,voltage\n0,3\n100,4\n", "from charge 0 to 100.*per cent"),
        ("soc,voltage\n1,4\n0,3\n", "rise strictly"),
    ],
)
def test_a_curve_that_cannot_be_used_is_refused_by_name(tmp_path, text, words):
    path = tmp_path / "curve.csv"
    if text is not None:
        path.write_text(text)
    with pytest.raises(DataError, match=rf"curve\.csv.*{words}"):
        tw.library.BatteryEcm(ocv=path)


def test_the_circuit_is_recovered_from_a_pulse(tmp_path):
    t = torch.cat([torch.linspace(0.0, 10.0, 41), torch.linspace(11.0, 60.0, 25)]).double()
    current = torch.where(t < 10.0, 7.5, 0.0)
    model = tw.library.BatteryEcm()
    sol = tw.simulate(
        model, t, parameters=CELL, initial={"soc": 0.5}, inputs={"current": tw.Signal(t, current)}
    )
    noise = 1e-4 * np.random.default_rng(0).standard_normal(len(t))
    record = tw.Record(
        t.numpy(),
        {"voltage": sol["voltage"][0].numpy() + noise, "current": current.numpy()},
        {"voltage": "V", "current": "A"},
        kinds={"current": "hold"},
    )
    fit = ["r0", "r1", "c1", "r2", "c2"]
    model.set_defaults(r0=0.025, r1=0.003, c1=800.0, r2=0.004, c2=5000.0)
    cal = tw.calibrate(
        model, record, fit=fit, fit_initial=["soc"], starts=1, method="tsit5", rtol=1e-6
    )
    assert cal.rmse["voltage"] < 1.5e-4
    for name, value, spread in zip(cal.names, cal.values, cal.std, strict=True):
        truth = CELL.get(name, 0.5)
        assert math.isclose(value, truth, abs_tol=5 * spread), name
        assert spread < 0.2 * truth, name


def test_the_measured_curve_of_the_cell_lies_near_the_shipped_one():
    import os

    base = Path(os.environ.get("TWINML_DATA", "../shared/data"))
    path = base / "lgm50_battery" / "lgm50_ocv_25C.csv"
    if not path.is_file():
        pytest.skip("lgm50_battery/lgm50_ocv_25C.csv is not in TWINML_DATA")
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    model = tw.library.BatteryEcm()
    gap = np.interp(table[:, 0] / 100, model.ocv_soc.numpy(), model.ocv_voltage.numpy())
    assert np.abs(gap - table[:, 1])[15:].max() < 0.03
