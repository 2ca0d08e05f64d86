"""Several experiments in one fit: one set of parameters, initial values of their own."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.data.record import Record
from twinml.data.several import join
from twinml.errors import DataError
from twinml.library import Pendulum

STARTS = {"low": 0.3, "high": 0.9}


def swing(start: float, rows: int, seed: int) -> Record:
    """A pendulum let go at an angle; a tenth of its samples is missing."""
    t = torch.linspace(0.0, 6.0, rows, dtype=torch.float64)
    angle = tw.simulate(
        Pendulum(), t, {"damping": 0.35, "length": 1.4}, {"theta": start}, rtol=1e-9, atol=1e-11
    )["angle"][0].numpy()
    random = np.random.default_rng(seed)
    angle = angle + random.normal(0, 0.01, rows)
    angle[3::10] = np.nan
    return Record(t.numpy(), {"angle": angle}, {"angle": "rad"}, source=f"swing {start}")


@pytest.fixture(scope="module")
def record():
    return join({"low": swing(0.3, 40, 1), "high": swing(0.9, 30, 2)})


@pytest.fixture(scope="module")
def fitted(record):
    return tw.calibrate(
        Pendulum(), record, fit=["damping", "length"], fit_initial=["theta"], starts=2,
        rtol=1e-6, atol=1e-8,
    )  # fmt: skip


def test_experiments_share_parameters_and_keep_their_initial_values(fitted):
    assert fitted.names == ("damping", "length", "initial.theta@low", "initial.theta@high")
    truth = np.array([0.35, 1.4, 0.3, 0.9])
    assert np.abs((np.asarray(fitted.values) - truth) / np.asarray(fitted.std)).max() < 3.5
    assert fitted.samples == {"angle": 63}  # what is missing is not counted, nor fitted
    assert fitted.noise["angle"] == pytest.approx(0.01, rel=0.3)


def test_together_they_tell_more_than_one_alone(record, fitted):
    alone = tw.calibrate(
        Pendulum(), record.experiment("low"), fit=["damping", "length"], fit_initial=["theta"],
        starts=1, rtol=1e-6, atol=1e-8,
    )  # fmt: skip
    assert fitted.std["length"] < alone.std["length"]


def test_a_part_of_the_calibration_serves_one_experiment_or_none(fitted, record):
    assert fitted.experiments == ("low", "high")
    one = fitted.experiment("high")
    assert one.names == ("damping", "length", "initial.theta")
    assert one.values["initial.theta"] == fitted.values["initial.theta@high"]
    assert one.covariance[2, 2] == fitted.covariance[3, 3]
    assert fitted.shared().names == ("damping", "length")
    with pytest.raises(DataError, match="Did you mean 'high'"):
        fitted.experiment("hihg")
    band = tw.calibrate.bands(Pendulum(), fitted, record.experiment("high"), draws=50)["angle"]
    assert band.best[0] == pytest.approx(one.values["initial.theta"])


def test_the_jacobian_of_a_joint_fit_is_that_of_its_parts(record):
    from twinml.calibrate.coordinates import unknowns
    from twinml.calibrate.joint import build_setup

    options = {"method": "rk4", "rtol": 1e-6, "atol": 1e-8, "dt": 0.05, "max_steps": 10_000}
    sought = unknowns(Pendulum(), ["damping"], ["theta"])
    joint = build_setup(Pendulum(), record, sought, options)
    theta = torch.tensor([[0.1, 0.2, 0.8]], dtype=torch.float64)
    values, jacobian = joint.linearised(theta)
    step = 1e-6
    for index in range(3):
        moved = theta.clone()
        moved[0, index] += step
        slope = (joint.predicted(moved)[0] - joint.predicted(theta)[0])[:, 0].reshape(-1) / step
        torch.testing.assert_close(jacobian[:, 0, index], slope, rtol=1e-4, atol=1e-6)
    assert not jacobian[:40, 0, 2].any() and not jacobian[40:, 0, 1].any()
    assert values.shape == (70, 1)
