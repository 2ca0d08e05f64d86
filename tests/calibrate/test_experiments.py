"""Several experiments in one fit: one set of parameters, initial values of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.calibrate.coordinates import unknowns
from twinml.calibrate.joint import build_setup
from twinml.data.record import Record
from twinml.data.several import join
from twinml.errors import DataError


class Cooling(tw.Physics):
    """A body that cools to its surroundings."""

    T = tw.State("K", initial=350.0)
    loss = tw.Parameter("1/s", default=0.5, low=0.01, high=5.0)
    around = tw.Parameter("K", default=290.0)
    reading = tw.Output("K")

    def rhs(self, T, loss, around):
        return {"T": -loss * (T - around)}

    def outputs(self, T):
        return {"reading": T}


STEPS: dict[str, Any] = {"method": "rk4", "dt": 0.25}


def cooling(start: float, rows: int, seed: int) -> Record:
    """One body, let go at a temperature; a tenth of its samples is missing."""
    t = np.linspace(0.0, 3.0, rows)
    reading = 295.0 + (start - 295.0) * np.exp(-0.8 * t)
    reading += np.random.default_rng(seed).normal(0, 0.1, rows)
    reading[3::10] = np.nan
    return Record(t, {"reading": reading}, {"reading": "K"}, source=f"cooling from {start}")


@pytest.fixture(scope="module")
def record():
    return join({"warm": cooling(340.0, 31, 1), "hot": cooling(390.0, 21, 2)})


@pytest.fixture(scope="module")
def fitted(record):
    return tw.calibrate(
        Cooling(), record, fit=["loss", "around"], fit_initial=["T"], starts=1, **STEPS
    )


def test_experiments_share_parameters_and_keep_their_initial_values(fitted):
    assert fitted.names == ("loss", "around", "initial.T@warm", "initial.T@hot")
    truth = np.array([0.8, 295.0, 340.0, 390.0])
    assert np.abs((np.asarray(fitted.values) - truth) / np.asarray(fitted.std)).max() < 3.5
    assert fitted.samples == {"reading": 47}  # what is missing is neither counted nor fitted
    assert fitted.noise["reading"] == pytest.approx(0.1, rel=0.4)


def test_together_they_tell_more_than_one_alone(record, fitted):
    alone = tw.calibrate(
        Cooling(), record.experiment("warm"), fit=["loss", "around"], fit_initial=["T"],
        starts=1, **STEPS,
    )  # fmt: skip
    assert alone.names[2] == "initial.T"
    assert fitted.std["loss"] < alone.std["loss"]


def test_a_part_of_the_calibration_serves_one_experiment_or_none(fitted, record):
    assert fitted.experiments == ("warm", "hot")
    one = fitted.experiment("hot")
    assert one.names == ("loss", "around", "initial.T")
    assert one.values["initial.T"] == fitted.values["initial.T@hot"]
    assert one.covariance[2, 2] == fitted.covariance[3, 3]
    assert fitted.shared().names == ("loss", "around")
    with pytest.raises(DataError, match="Did you mean 'warm'"):
        fitted.experiment("worm")
    band = tw.calibrate.bands(Cooling(), fitted, record.experiment("hot"), draws=20)["reading"]
    assert band.best[0] == pytest.approx(one.values["initial.T"])


def test_the_jacobian_of_a_joint_fit_is_that_of_its_parts(record):
    options = {**STEPS, "rtol": 1e-6, "atol": 1e-8, "max_steps": 10_000}
    joint = build_setup(Cooling(), record, unknowns(Cooling(), ["loss"], ["T"]), options)
    theta = torch.tensor([[0.1, 340.0, 380.0]], dtype=torch.float64)
    values, jacobian = joint.linearised(theta)
    assert values.shape == (52, 1)
    for index in range(3):
        moved = theta.clone()
        moved[0, index] += 1e-5
        slope = (joint.predicted(moved)[0] - joint.predicted(theta)[0])[:, 0].reshape(-1) / 1e-5
        torch.testing.assert_close(jacobian[:, 0, index], slope, rtol=1e-4, atol=1e-4)
    assert not jacobian[:31, 0, 2].any() and not jacobian[31:, 0, 1].any()


def test_what_needs_one_time_axis_refuses_several(record):
    with pytest.raises(DataError, match=r"2 experiments \(warm, hot\).*data.experiment"):
        record.time_in("s")
