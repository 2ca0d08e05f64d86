"""The bouncing ball against its closed form and the reference trajectory of the FMI project."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy
import pytest
import torch

import twinml as tw
from tests.library.drop import Drop
from twinml.library import BouncingBall


def test_impacts_follow_the_closed_form_until_the_ball_rests():
    sol = tw.simulate(BouncingBall(), [0.0, 3.0], {"restitution": [0.7, 0.5]})
    for row, e in enumerate((0.7, 0.5)):
        t = math.sqrt(2 / 9.81)
        speed, want = 9.81 * t, [t]
        while e * speed >= 0.1:
            speed *= e
            t += 2 * speed / 9.81
            want.append(t)
        count = int(sol.events["impact"].count[row])
        assert sol.events["impact"].time[row, :count].tolist() == pytest.approx(want, abs=1e-11)
    assert sol.ok.all()
    assert all((sol[name][:, -1] == 0).all() for name in ("height", "velocity", "airborne"))


def test_the_trajectory_is_that_of_the_reference_fmu():
    folder = Path(os.environ.get("TWINML_DATA", "../shared/data"))
    path = folder / "fmi_reference" / "BouncingBall_out.csv"
    if not path.is_file():
        pytest.skip("fmi_reference/BouncingBall_out.csv is not in TWINML_DATA")
    t, height, velocity = numpy.loadtxt(path, delimiter=",", skiprows=1, unpack=True)
    sol = tw.simulate(BouncingBall(), torch.as_tensor(t))
    # Euler steps of 1 ms, as the record was made, fall exactly alike until the first impact.
    alike = tw.simulate(BouncingBall(), torch.as_tensor(t[t < 0.45]), method="euler", dt=1e-3)
    assert numpy.abs(alike["height"][0].numpy() - height[t < 0.45]).max() < 1e-12
    # The record was made by Euler steps of 1 ms, impacts at their ends: it lags a little more
    # with every impact, which shows in the speed only while the two are not on the same bounce.
    gap = numpy.abs(sol["height"][0].numpy() - height)
    assert gap.max() < 0.03 and gap[t < 1.0].max() < 0.015
    steep = numpy.abs(sol["velocity"][0].numpy() - velocity)
    assert numpy.median(steep) < 0.05 and (steep > 0.2).mean() < 0.15
    impacts = t[1:][(velocity[1:] > 0) & (velocity[:-1] < 0)]
    ours = sol.events["impact"].time[0, : int(sol.events["impact"].count)].numpy()
    assert numpy.abs(impacts[:5] - ours[:5]).max() < 0.03
    assert height[-1] < 1e-300 and velocity[-1] == 0 == float(sol["velocity"][0, -1])


def test_a_scenario_of_drops_is_swept(tmp_path):
    scenario = tw.Scenario.from_yaml("configs/scenario/bouncing_ball_drop.yaml")
    table = tw.sweep(BouncingBall(), scenario, samples=16, seed=0, out=tmp_path / "a").table()
    height, e = numpy.asarray(table["initial.height"]), numpy.asarray(table["restitution"])
    assert (numpy.asarray(table["status"]) == 0).all()
    assert numpy.allclose(table["rebound"], e**2 * height, rtol=1e-6)
    assert numpy.allclose(table["first_impact"], numpy.sqrt(2 * height / 9.81), rtol=1e-6)
    assert (numpy.asarray(table["at_rest"]) > numpy.asarray(table["first_impact"])).all()


def test_rows_that_a_terminal_event_ends_are_good_rows_of_a_sweep(tmp_path):
    scenario = tw.Scenario.from_yaml("configs/scenario/bouncing_ball_drop.yaml")
    swept = tw.sweep(Drop(), scenario, samples=8, seed=0, out=tmp_path / "a")
    table = swept.table()
    assert (numpy.asarray(table["status"]) == int(tw.Status.EVENT_STOP)).all()
    assert numpy.isfinite(table["mean_height"]).all()
    # The mean height of a fall is two thirds of the drop.
    want = 2 / 3 * numpy.asarray(table["initial.height"])
    assert numpy.allclose(table["mean_height"], want, rtol=1e-6)
