"""Lotka-Volterra: what Volterra proved, and the Hudson Bay record's published fit."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import twinml as tw
from twinml import resources
from twinml.library import PredatorPrey

RATES = {"alpha": 0.55, "beta": 0.028, "gamma": 0.84, "delta": 0.026}
STARTS = {"prey": torch.tensor([30.0, 5.0]), "predator": torch.tensor([4.0, 60.0])}


def test_the_first_integral_is_kept():
    t = torch.linspace(0.0, 24.0, 49, dtype=torch.float64)
    sol = tw.simulate(PredatorPrey(), t, RATES, STARTS, rtol=1e-10, atol=1e-11)
    prey, predator = sol["prey"], sol["predator"]
    kept = (
        0.026 * prey - 0.84 * torch.log(prey) + 0.028 * predator - 0.55 * torch.log(predator)
    )  # fmt: skip
    assert float((kept - kept[:, :1]).abs().max()) < 1e-7
    assert float(prey.max() / prey.min()) > 5  # it does go round


def test_both_rest_where_growth_meets_loss():
    rest = {"prey": 0.84 / 0.026, "predator": 0.55 / 0.028}
    # A solver that sees no error takes steps beyond its stability, which blow up the last bit.
    sol = tw.simulate(PredatorPrey(), [0.0, 100.0], RATES, rest, max_step=1.0)
    assert sol["prey"][0, -1] == pytest.approx(rest["prey"], rel=1e-12)
    assert sol["predator"][0, -1] == pytest.approx(rest["predator"], rel=1e-12)


def test_taking_predators_leaves_more_prey_and_as_many_predators():
    """Volterra's third law: over a cycle prey averages (gamma + taken) / delta."""
    t = [0.0, 150.0]
    taken = torch.tensor([0.0, 0.2], dtype=torch.float64)
    sol = tw.simulate(
        PredatorPrey(), t, {**RATES, "gamma": 0.84 + taken},
        keep={"prey": "mean(hare)", "predator": "mean(lynx)"}, rtol=1e-5,
    )  # fmt: skip
    np.testing.assert_allclose(sol["prey"], (0.84 + taken) / 0.026, rtol=0.03)
    np.testing.assert_allclose(sol["predator"], 0.55 / 0.028, rtol=0.03)


@pytest.fixture(scope="module")
def record():
    return tw.Record.from_csv(resources.data("lynx_hare_1900_1920.csv"), "year", "year")


def test_the_shipped_logarithms_are_those_of_the_counts(record):
    assert len(record) == 21
    for name in ("hare", "lynx"):
        np.testing.assert_allclose(record[f"log_{name}"], np.log(1000 * record[name]), atol=1e-9)
    # the extremes that every print of the table has
    assert (record["hare"].max(), record["hare"].min()) == (77.4, 7.6)
    assert (record["lynx"].max(), record["lynx"].min()) == (59.4, 4.0)


def test_the_record_gives_the_published_fit(record):
    logs = tw.Record(
        record.time, {n: record[n] for n in ("log_hare", "log_lynx")}, {}, record.time_unit
    )
    cal = tw.calibrate(
        PredatorPrey(), logs, fit=["alpha", "beta", "gamma", "delta"],
        fit_initial=["prey", "predator"], starts=1, rtol=1e-7, atol=1e-8,
        noise={"log_hare": 0.25, "log_lynx": 0.25},
    )  # fmt: skip
    # least squares on the logarithms
    wanted = [0.5402, 0.02717, 0.7964, 0.02369, 34.60, 5.845]
    np.testing.assert_allclose(np.asarray(cal.values), wanted, rtol=5e-4)
    rms = math.sqrt((cal.rmse["log_hare"] ** 2 + cal.rmse["log_lynx"] ** 2) / 2)
    assert rms == pytest.approx(0.2192, abs=1e-4)
    # Carpenter (2018): posterior means, rounded there, and 80 % intervals
    near = {"alpha": (0.55, 0.47, 0.63), "beta": (0.028, 0.023, 0.033)}
    near |= {"gamma": (0.80, 0.69, 0.91), "delta": (0.024, 0.020, 0.029)}
    for name, (mean, low, high) in near.items():
        assert cal.values[name] == pytest.approx(mean, rel=0.04)
        np.testing.assert_allclose(cal.interval(0.8)[name], (low, high), rtol=0.05)
    shipped = tw.load_calibration(resources.data("predator_prey_calibration.json"))
    assert shipped.names == cal.names
    np.testing.assert_allclose(np.asarray(shipped.values), np.asarray(cal.values), rtol=1e-3)
