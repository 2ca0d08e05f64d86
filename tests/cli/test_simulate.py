"""``simulate`` end to end on shipped twins."""

from __future__ import annotations

import json

import pytest

from tests.cli.small import put
from twinml.cli.main import main
from twinml.data import Table


def test_a_simulation_is_stored_with_units_and_metrics(folder, capsys):
    words = ["twin=outbreak", "horizon.stop=10", "horizon.points=11", "out=a"]
    assert main(["simulate", *words, "parameters.beta='0.075/h'", "initial.infected=2"]) == 0
    table = Table.read_parquet("a/trajectory.parquet")
    assert len(table) == 11 and table.units["time"] == "day" and table["infected"][0] == 2.0
    metrics = json.loads((folder / "a" / "metrics.json").read_text())
    assert metrics["simulate.in_bed.final"] == table["in_bed"][-1]
    assert "trajectory  a/trajectory.parquet" in capsys.readouterr().out


def test_without_a_horizon_the_record_gives_the_times(folder):
    assert main(["simulate", "twin=outbreak", "out=a"]) == 0
    assert list(Table.read_parquet("a/trajectory.parquet")["time"]) == list(range(14))
    block = json.loads((folder / "a" / "provenance.json").read_text())
    assert set(block["inputs"]) >= {"model", "record"}


def test_a_calibration_gives_the_values_that_are_not_stated(folder, capsys):
    words = ["simulate", "twin=outbreak", "calibration=package:outbreak_calibration.json"]
    assert main([*words, "out=a"]) == 0 and main([*words, "parameters.beta=1.5", "out=b"]) == 0
    assert "parameters.beta=1.5 is used, not the calibrated 1.78" in capsys.readouterr().err
    best, stated = (Table.read_parquet(f"{d}/trajectory.parquet") for d in "ab")
    assert best["infected"][0] == stated["infected"][0] == pytest.approx(2.09, abs=0.01)
    assert best["in_bed"].max() > stated["in_bed"].max()
    block = json.loads((folder / "a" / "provenance.json").read_text())
    assert "calibration" in block["inputs"]


def test_a_constant_input_is_given_in_any_unit_of_its_dimension(folder):
    words = ["simulate", "twin=dc_motor", "horizon.stop=0.2"]
    assert main([*words, "inputs.voltage='12000 mV'", "out=a"]) == 0
    assert main([*words, "inputs.voltage=24", "out=b"]) == 0
    half, whole = (
        json.loads((folder / n / "metrics.json").read_text())["simulate.current.max"] for n in "ab"
    )
    assert half == pytest.approx(whole / 2, rel=0.05)


@pytest.mark.parametrize(
    ("words", "code", "fragments"),
    [
        (["twin=dc_motor", "horizon.stop=1", "inputs.voltge=1"], 2, ["voltge", "'voltage'"]),
        (["twin=dc_motor", "horizon.stop=1", "inputs.voltage='1 A'"], 2, ["inputs.voltage", "'A'"]),
        (["twin=lorenz"], 2, ["How long?", "horizon.stop=<time>"]),
        (["twin=lorenz", "horizon.stop=1", "horizon.points=1"], 2, ["horizon.points=1"]),
        (["twin=lorenz", "horizon.stop=1", "solver.method=tsit6"], 2, ["tsit6", "tsit5"]),
        (["twin=lorenz", "horizon.stop=1", "solver.engine=eagre"], 2, ["eagre", "eager"]),
        (["twin=lorenz", "horizon.stop=1", "initial.w=1"], 2, ["'w'"]),
        (["twin=lorenz", "horizon.stop=1", "initial.x='1 s'"], 2, ["initial.x"]),
        (["twin=outbreak", "horizon.stop=1", "parameters.bata=1"], 2, ["bata", "beta"]),
        (["twin=outbreak", "horizon.stop=1", "parameters.beta='1 kg'"], 2, ["beta", "kg"]),
        (["twin=cascaded_tanks"], 2, ["paths.data is not set", "TWINML_DATA"]),
        (["twin=outbreak", "data.path=no.csv"], 2, ["no.csv", "does not exist"]),
        (["twin=outbreak", "twin.time.column=dya"], 2, ["dya", "day"]),
        (["twin=outbreak", "twin.outputs.in_bed.column=bed"], 2, ["bed", "in_bed"]),
        (["twin=lorenz", "horizon.stop=1e4", "solver.max_steps=10"], 1, ["failed", "max_steps"]),
    ],
)
def test_a_simulation_that_cannot_be_says_why(folder, capsys, words, code, fragments):
    assert main(["simulate", *words]) == code
    err = capsys.readouterr().err
    for fragment in fragments:
        assert fragment in err
    assert code == 1 or not list(folder.glob("runs/*/*/*/config.yaml"))


def test_an_error_in_the_users_own_rhs_shows_that_line(folder, capsys):
    put(
        folder / "own.py",
        "import twinml as tw\n\n\nclass Own(tw.Physics):\n"
        '    """Decay."""\n\n    x = tw.State("1", initial=1.0)\n\n'
        '    def rhs(self, x):\n        return {"x": -x * missing}\n',
    )
    put(folder / "configs/twin/own.yaml", "model: {_target_: own.Own}\n")
    assert main(["simulate", "twin=own", "horizon.stop=1"]) == 2
    error = capsys.readouterr().err
    for fragment in ("Own.rhs failed", "own.py, line 10", "-x * missing", "NameError"):
        assert fragment in error


def test_an_initial_value_outside_its_bounds_is_refused_before_any_work(folder, capsys):
    words = ["simulate", "twin=outbreak", "horizon.stop=5", "initial.infected=-5", "out=a"]
    assert main(words) == 2
    assert (
        "initial.infected=-5 lies outside its validity bounds [0, inf]" in capsys.readouterr().err
    )
    assert not (folder / "a").exists()


def test_a_sweep_in_which_nothing_varies_has_no_sensitivity_and_is_done(folder):
    put(
        folder / "configs/scenario/same.yaml",
        "horizon: {start: 0, stop: 1}\n"
        "vary: {sigma: {distribution: fixed, value: 9.0}}\nquantities: {end: final(x)}\n",
    )
    words = ["twin=lorenz", "scenario=same", "samples=2", "workers=1", "out=a"]
    assert main(["sweep", *words]) == 0
    assert not (folder / "a" / "sensitivity.png").exists()


def test_events_are_counted_and_timed(folder, capsys):
    assert main(["simulate", "twin=bouncing_ball", "horizon.stop=3", "out=a"]) == 0
    metrics = json.loads((folder / "a" / "metrics.json").read_text())
    assert metrics["simulate.impact.count"] == 11 and metrics["simulate.height.final"] == 0.0
    assert metrics["simulate.impact.first"] == pytest.approx(0.4515236, abs=1e-7)
    assert "event impact: 11 times, first at 0.451524 s" in capsys.readouterr().out
    assert "event impact: 11 times" in (folder / "a" / "report.html").read_text()


def test_a_terminal_event_ends_the_stored_trajectory(folder, capsys):
    put(
        folder / "drop.py",
        "import twinml as tw\nfrom twinml.library import BouncingBall\n\n\n"
        "class Drop(BouncingBall):\n    @tw.event(direction=-1, terminal=True)\n"
        "    def impact(self, height):\n        return height\n",
    )
    put(folder / "configs" / "twin" / "drop.yaml", "model: {_target_: drop.Drop}\n")
    assert main(["simulate", "twin=drop", "horizon.stop=3", "out=a"]) == 0
    table = Table.read_parquet("a/trajectory.parquet")
    metrics = json.loads((folder / "a" / "metrics.json").read_text())
    assert table["time"][-1] == metrics["simulate.impact.first"] and len(table) < 40
    assert metrics["simulate.velocity.final"] == pytest.approx(0.7 * 4.4294, abs=1e-4)
    out = capsys.readouterr().out
    assert "event impact: once at 0.451524 s and ended the simulation" in out
