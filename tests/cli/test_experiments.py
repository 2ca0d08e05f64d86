"""Several experiments on the command line: fitted together, or one by its name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.small import put
from twinml.cli.main import main

COOLING = """
import twinml as tw


class Cooling(tw.Physics):
    T = tw.State("K", initial=350.0)
    loss = tw.Parameter("1/s", default=0.5, low=0.01, high=5.0)
    reading = tw.Output("K", noise=0.1)

    def rhs(self, T, loss):
        return {"T": -loss * (T - 295.0)}

    def outputs(self, T):
        return {"reading": T}
"""

TWIN = """
model: {_target_: cooling.Cooling}
time: {column: t, unit: s}
data: {path: "runs_in/*.csv"}
outputs: {reading: {column: "T [degC]"}}
calibrate: {fit: [loss], fit_initial: [T]}
"""

SCENARIO = """
horizon: {start: 0, stop: 1, unit: s}
vary: {loss: {distribution: calibrated}}
quantities: {first: initial(reading)}
"""

FAST = ["solver.method=rk4", "solver.dt=0.5"]


@pytest.fixture
def plant(folder):
    put(folder / "cooling.py", COOLING)
    put(folder / "configs/twin/cooling.yaml", TWIN)
    put(folder / "configs/scenario/soak.yaml", SCENARIO)
    t = np.linspace(0, 3, 7)
    for name, start in (("warm", 340.0), ("hot", 390.0)):
        celsius = 295 + (start - 295) * np.exp(-0.8 * t) - 273.15
        lines = [f"{a:g};{b:.3f}".replace(".", ",") for a, b in zip(t, celsius, strict=True)]
        put(folder / f"runs_in/{name}.csv", "\n".join(["t;T [degC]", *lines]))
    return folder


def test_files_are_fitted_together_and_one_lends_its_start_to_a_sweep(plant, capsys):
    assert main(["calibrate", "twin=cooling", "starts=1", "out=fit", *FAST]) == 0
    metrics = json.loads((plant / "fit/metrics.json").read_text())
    assert metrics["calibration.loss.value"] == pytest.approx(0.8, abs=0.01)
    assert metrics["calibration.initial.T@hot.value"] == pytest.approx(390, abs=0.5)
    assert metrics["calibration.initial.T@warm.value"] == pytest.approx(340, abs=0.5)
    assert (plant / "fit/fit_hot.png").is_file() and (plant / "fit/fit_warm.png").is_file()
    capsys.readouterr()
    sweep = ["sweep", "twin=cooling", "scenario=soak", "samples=4", "calibration=fit"]
    assert main([*sweep, "out=any"]) == 0
    assert "initial values of their own (hot, warm); none is drawn" in capsys.readouterr().err
    assert main([*sweep, "out=one", "data.experiment=hot"]) == 0
    assert "none is drawn" not in capsys.readouterr().err
    mean = json.loads((plant / "one/metrics.json").read_text())["sweep.first.mean"]
    assert mean == pytest.approx(390, abs=0.5)


def test_one_is_chosen_by_its_name_and_several_have_no_common_time(plant, capsys):
    words = ["calibrate", "twin=cooling", "starts=1", "out=fit", *FAST]
    assert main([*words, "data.experiment=warm"]) == 0
    metrics = json.loads((plant / "fit/metrics.json").read_text())
    assert metrics["calibration.initial.T.value"] == pytest.approx(340, abs=0.5)
    capsys.readouterr()
    assert main(["simulate", "twin=cooling"]) == 2
    error = capsys.readouterr().err
    assert "2 experiments (hot, warm)" in error and "data.experiment=<name>" in error
    assert main(["simulate", "twin=cooling", "data.experiment=wram"]) == 2
    assert "Did you mean 'warm'?" in capsys.readouterr().err
    assert main(["simulate", "twin=cooling", "data.path=[runs_in/hot.csv]"]) == 0
