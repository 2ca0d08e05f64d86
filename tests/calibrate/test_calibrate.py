"""Calibration against published fits, simulated truths and records that cannot be used."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import twinml as tw
from twinml import resources
from twinml.data.record import Record
from twinml.errors import ArgumentError, CalibrationError, DataError
from twinml.library import CascadedTanks, Outbreak, Pendulum


@pytest.fixture(scope="module")
def influenza():
    return Record.from_csv(
        resources.data("influenza_1978.csv"), time="day", time_unit="day",
        columns={"in_bed": "in_bed"}, units={"in_bed": "1"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def outbreak(influenza):
    return tw.calibrate(
        Outbreak(), influenza, fit=["beta", "gamma"], fit_initial=["infected"], starts=4, seed=1
    )


def test_the_school_influenza_gives_the_published_least_squares_fit(outbreak):
    assert outbreak.names == ("beta", "gamma", "initial.infected")
    assert outbreak.values["beta"] == pytest.approx(1.788, abs=0.001)
    assert outbreak.values["gamma"] == pytest.approx(0.456, abs=0.001)
    assert outbreak.values["initial.infected"] == pytest.approx(2.09, abs=0.01)
    assert outbreak.std["beta"] == pytest.approx(0.106, abs=0.001)
    assert outbreak.std["gamma"] == pytest.approx(0.019, abs=0.001)
    assert outbreak.rmse["in_bed"] == pytest.approx(16.01, abs=0.01)
    assert outbreak.correlation[0, 2] == pytest.approx(-0.96, abs=0.01)
    assert outbreak.converged


def test_the_fit_does_not_depend_on_the_seed_of_its_starts(influenza, outbreak):
    again = tw.calibrate(
        Outbreak(), influenza, fit=["beta", "gamma"], fit_initial=["infected"], starts=3, seed=7
    )
    np.testing.assert_allclose(np.asarray(again.values), np.asarray(outbreak.values), rtol=1e-5)


def test_intervals_are_student_t_inside_the_bounds_and_grow_with_the_level(outbreak):
    narrow, wide = outbreak.interval(0.5), outbreak.interval(0.99)
    for index, value in enumerate(outbreak.values):
        assert 0 < wide[index][0] < narrow[index][0] < value < narrow[index][1] < wide[index][1]
    # 11 degrees of freedom: t = 1.795885 at 95 %; one coordinate is the logarithm of its value
    low, high = outbreak.interval(0.9)["gamma"]
    half = np.sqrt(outbreak.posterior.covariance_unconstrained[1, 1]) * 1.795885
    assert np.log(high / low) / 2 == pytest.approx(half, rel=1e-6)
    with pytest.raises(ArgumentError, match="probability"):
        outbreak.interval(1.0)


def test_a_calibration_survives_its_file_bit_for_bit(outbreak, tmp_path):
    path = outbreak.save(tmp_path)
    again = tw.load_calibration(tmp_path)
    assert path.name == "calibration.json"
    assert again.values.tolist() == outbreak.values.tolist()
    assert again.posterior.digest == outbreak.posterior.digest
    assert again.metrics() == outbreak.metrics()
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "schema": "calibration/9"}))
    with pytest.raises(DataError, match="calibration/9"):
        tw.load_calibration(path)
    with pytest.raises(DataError, match="twinml calibrate"):
        tw.load_calibration(tmp_path / "nothing")


def test_the_parameter_band_lies_inside_the_predictive_band(outbreak, influenza):
    band = tw.calibrate.bands(Outbreak(), outbreak, influenza, draws=300)["in_bed"]
    assert (band.parameter[0] > band.predictive[0]).all()
    assert (band.parameter[1] < band.predictive[1]).all()
    inside = (influenza["in_bed"] >= band.predictive[0]) & (
        influenza["in_bed"] <= band.predictive[1]
    )
    assert inside.mean() > 0.7


def simulated(seed: int, rows: int = 60) -> Record:
    """A driven pendulum with known parameters, noise and missing samples."""
    t = torch.linspace(0, 12, rows, dtype=torch.float64)
    torque = torch.sin(1.3 * t)
    truth = tw.simulate(
        Pendulum(), t, {"damping": 0.35, "length": 1.4}, {"theta": 0.7},
        {"torque": tw.Signal(t, torque, "linear")}, rtol=1e-9, atol=1e-11,
    )["angle"][0].numpy()  # fmt: skip
    noise = np.random.default_rng(seed).normal(0, 0.02, rows)
    angle = truth + noise
    angle[5] = np.nan
    return Record(
        t.numpy(), {"angle": np.degrees(angle), "torque": torque.numpy()},
        {"angle": "deg", "torque": "N*m"}, "s", {"torque": "linear"},
    )  # fmt: skip


def test_a_simulated_truth_is_found_through_inputs_units_and_gaps():
    cal = tw.calibrate(
        Pendulum(), simulated(0), fit=["damping", "length"], fit_initial=["theta"], starts=2,
        rtol=1e-6, atol=1e-8,
    )  # fmt: skip
    truth = np.array([0.35, 1.4, 0.7])
    scores = (np.asarray(cal.values) - truth) / np.asarray(cal.std)
    assert np.abs(scores).max() < 3.5
    assert cal.noise["angle"] == pytest.approx(0.02, rel=0.3)
    assert cal.samples["angle"] == 59


def test_tanks_on_held_inputs_find_their_parameters():
    t = torch.arange(0, 60, dtype=torch.float64) * 4.0
    u = 2.5 + torch.sign(torch.sin(t / 25.0))
    model = CascadedTanks()
    level = tw.simulate(
        model, t, {"k1": 0.08, "k3": 0.07}, inputs={"u": tw.Signal(t, u)}
    )["level"][0].numpy()  # fmt: skip
    record = Record(t.numpy(), {"level": level, "u": u.numpy()}, {"level": "cm", "u": "V"})
    cal = tw.calibrate(CascadedTanks(), record, fit=["k1", "k3"], starts=3)
    np.testing.assert_allclose(np.asarray(cal.values), [0.08, 0.07], rtol=1e-5)


def test_what_the_record_cannot_tell_apart_is_named():
    record = simulated(1)
    with pytest.raises(CalibrationError, match=r"does not determine .*mass"):
        # without torque only ratios to the mass matter
        still = Record(record.time, {"angle": record["angle"]}, {"angle": "deg"})
        tw.calibrate(Pendulum(), still, fit=["mass", "damping"], starts=1, rtol=1e-6)


REFUSED = [
    ({"fit": []}, ArgumentError, "nothing to fit"),
    ({"fit": ["bet"]}, ArgumentError, "Did you mean 'beta'"),
    ({"fit": ["beta"], "fit_initial": ["infekted"]}, ArgumentError, "Did you mean 'infected'"),
    ({"fit": ["beta", "beta"]}, ArgumentError, "named twice"),
    ({"fit": "beta"}, ArgumentError, "lists of names"),
    ({"fit": ["beta"], "starts": 0}, ArgumentError, "whole number from 1"),
    ({"fit": ["beta"], "noise": {"in_bed": -1.0}}, ArgumentError, "positive standard deviation"),
    ({"fit": ["beta"], "noise": {"bed": 1.0}}, ArgumentError, "not a measured output"),
]


@pytest.mark.parametrize(("arguments", "kind", "words"), REFUSED)
def test_calls_that_cannot_be_used_are_refused(influenza, arguments, kind, words):
    with pytest.raises(kind, match=words):
        tw.calibrate(Outbreak(), influenza, **arguments)


def test_records_that_do_not_fit_the_model_are_refused(influenza):
    other = Record(np.arange(5.0), {"beds": np.arange(5.0)}, {"beds": "1"})
    with pytest.raises(DataError, match="none of them an output of Outbreak"):
        tw.calibrate(Outbreak(), other, fit=["beta"])
    with pytest.raises(DataError, match="needs at least 3"):
        tw.calibrate(Outbreak(), influenza.head(2), fit=["beta", "gamma"])
    gap = Record(
        np.arange(4.0), {"angle": np.zeros(4), "torque": np.array([0, 1, np.nan, 1])},
        {"angle": "rad", "torque": "N*m"},
    )  # fmt: skip
    with pytest.raises(DataError, match=r"input 'torque'.*missing"):
        tw.calibrate(Pendulum(), gap, fit=["damping"])


class Hopeless(tw.Physics):
    x = tw.State("1", initial=1.0)
    k = tw.Parameter("1/s", default=1.0, low=0.5, high=2.0)
    y = tw.Output("1")

    def rhs(self, x, k):
        return {"x": torch.log(-k * x * x)}

    def outputs(self, x):
        return {"y": x}


def test_a_model_that_fails_everywhere_says_so():
    record = Record(np.arange(5.0), {"y": np.ones(5)}, {"y": "1"})
    with pytest.raises(CalibrationError, match="none of 3 starts of Hopeless"):
        tw.calibrate(Hopeless(), record, fit=["k"], starts=3)


class Draughty(tw.Physics):
    """A body that cools, and a learned draught that is zero before training."""

    body = tw.State("degC", initial=90.0)
    rate = tw.Parameter("1/s", default=0.02, low=1e-4, high=1.0)
    reading = tw.Output("degC")

    def __init__(self):
        super().__init__()
        self.draught = tw.nn.mlp(1, hidden=(4,))

    def rhs(self, body, rate):
        return {"body": -rate * (body - 20) + self.draught(body / 100)}

    def outputs(self, body):
        return {"reading": body}


def test_a_model_with_a_learned_term_is_calibrated_with_its_weights_as_they_are():
    t = np.linspace(0.0, 200.0, 41)
    record = Record(t, {"reading": 20 + 70 * np.exp(-0.013 * t)}, {"reading": "degC"})
    model = Draughty()
    found = tw.calibrate(model, record, fit=["rate"], starts=1, seed=0)  # a warning would fail
    assert float(found.values["rate"]) == pytest.approx(0.013, rel=1e-6)
    assert all(weight.grad is None for weight in model.parameters())
