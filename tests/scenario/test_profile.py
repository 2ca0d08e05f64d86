"""Profiles: an input from a file, scaled, shifted and delayed by row; bad files by row."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import twinml as tw
from twinml.errors import TwinmlError
from twinml.scenario import Scenario

GOOD = "time,feed\n0,1\n10,3\n20,2\n30,2\n40,4\n"


class Store(tw.Physics):
    """What was fed: the integral of its input."""

    level = tw.State("kg", initial=0.0)
    feed = tw.Input("kg/s")
    leak = tw.Parameter("1/s", default=0.0)

    def rhs(self, level, feed, leak):
        return {"level": feed - leak * level}


def made(path, profile=None, horizon=None, **changes):
    return Scenario.from_mapping(
        {
            "horizon": horizon or {"start": 0, "stop": 40},
            "quantities": {
                "end": "final(level)",
                **({"b": "bias"} if "bias" in str(changes) else {}),
            },
            "profiles": {"feed": {"path": str(path), "column": "feed", **(profile or {})}},
            **changes,
        }
    )


@pytest.fixture
def feed(tmp_path):
    path = tmp_path / "feed.csv"
    path.write_text(GOOD)
    return path


def end(scenario, rows=1, engine="eager"):
    bound = scenario.check(Store())
    values = bound.draw(0, rows, rows, 0)
    found = tw.simulate(
        Store(), [bound.start, bound.stop], keep=dict(bound.quantities), engine=engine,
        **bound.arguments(values),
    )  # fmt: skip
    return values, found["end"].numpy()


def test_the_file_drives_the_input(feed):
    assert end(made(feed))[1] == pytest.approx(10 * (1 + 3 + 2 + 2))
    assert end(made(feed, {"kind": "linear"}))[1] == pytest.approx(20 + 25 + 20 + 30)
    assert end(made(feed, {"unit": "g/s"}))[1] == pytest.approx(0.08)
    minutes = made(feed, {"time_unit": "min"}, {"start": 0, "stop": 30, "unit": "min"})
    assert end(minutes)[1] == pytest.approx(600 * (1 + 3 + 2))
    later = made(feed, horizon={"start": 15, "stop": 40})
    assert end(later)[1] == pytest.approx(5 * 3 + 10 * 2 + 10 * 2)
    fixed = made(feed, {"scale": 2, "shift": "1", "delay": 5})
    assert end(fixed)[1] == pytest.approx(2 * (15 * 1 + 10 * 3 + 10 * 2 + 5 * 2) + 40)


@pytest.mark.parametrize("engine", ["eager", "native"])
def test_scale_shift_and_delay_differ_by_row_and_share_one_table(feed, engine):
    vary = {
        "gain": {"distribution": "uniform", "low": 0.5, "high": 2},
        "bias": {"distribution": "normal", "mean": 0, "std": 1},
        "late": {"distribution": "uniform", "low": -0, "high": 25},
    }
    scenario = made(feed, {"scale": "gain", "shift": "bias", "delay": "late"}, vary=vary)
    values, found = end(scenario, 64, engine)
    knots, heights = np.array([0, 10, 20, 30, 40.0]), np.array([1, 3, 2, 2, 4.0])
    for row in range(64):
        edges = np.clip(np.concatenate([[0], knots[1:] + values["late"][row], [99]]), 0, 40)
        fed = (heights * np.diff(edges)).sum()
        wanted = values["gain"][row] * fed + 40 * values["bias"][row]
        assert found[row] == pytest.approx(wanted, rel=1e-7, abs=1e-7)
    bound = scenario.check(Store())
    arguments = bound.arguments(bound.draw(0, 8192, 8192, 0))
    sizes = [
        part.numel()
        for signal in arguments["inputs"].values()
        for part in (signal.times, signal.values)
    ]
    assert max(sizes) == 5  # never rows times knots
    assert arguments["inputs"]["feed"].delay.shape == (8192,)


def test_a_scenario_carries_its_file_to_workers_and_round_trips(feed):
    import pickle

    scenario = made(feed, {"scale": "gain", "gap": 12}, vary={"gain": 1.5})
    again = Scenario.from_mapping(scenario.to_mapping())
    assert again == scenario and again.digest == scenario.digest
    before = scenario.digest
    packed = pickle.dumps(scenario)
    feed.write_text(GOOD.replace("40,4", "40,5"))
    assert made(feed, {"scale": "gain", "gap": 12}, vary={"gain": 1.5}).digest != before
    feed.unlink()
    assert end(pickle.loads(packed))[1] == pytest.approx(1.5 * 80)


@pytest.mark.parametrize(
    ("text", "profile", "message"),
    [
        (GOOD.replace("20,2", "20,"), {}, "line 4, column 'feed': the value is missing"),
        (GOOD.replace("20,2", "20,nan"), {}, "line 4, column 'feed': the value is missing"),
        (GOOD.replace("20,2", "20,x"), {}, "line 4, column 'feed': 'x' is not a number"),
        (GOOD.replace("20,2", "20,inf"), {}, "line 4, column 'feed': the value is infinite"),
        (GOOD.replace("20,2", "5,2"), {}, "line 4, column 'time': the time runs backwards"),
        (GOOD.replace("20,2", "10,2"), {}, "line 4, column 'time': the time repeats"),
        (GOOD.replace("20,2", ",2"), {}, "line 4, column 'time'"),
        (GOOD, {"gap": 5}, "line 3, column 'time': a gap of 10 .*And 3 more"),
        (GOOD.replace("0,1\n", "2,1\n", 1), {}, "begins at 2 s, after the horizon's start"),
        (GOOD.replace("40,4\n", "35,4\n"), {"kind": "linear"}, "ends at 35 s, before the horizon"),
        (GOOD, {"column": "fed"}, "Did you mean 'feed'"),
        (GOOD, {"unit": "m"}, "dimensions differ"),
        (GOOD, {"kind": "holed"}, "Did you mean 'hold'"),
        (GOOD, {"scale": "gian"}, "'gian', which is unknown"),
        (GOOD, {"scale": "level"}, "changes over time"),
        (GOOD, {"delay": "bias"}, "no lower bound"),
        (GOOD, {"delay": -15}, "15 s earlier for some samples, before the horizon's end"),
        (GOOD, {"gap": 0}, "expected a positive time"),
        (GOOD, {"colum": "x"}, "unknown key 'colum'"),
        ("time,feed\n", {}, "feed.csv"),
    ],
)
def test_a_bad_profile_is_refused_by_file_row_and_column(feed, text, profile, message):
    feed.write_text(text)
    vary = {"bias": {"distribution": "normal", "mean": 0, "std": 1}}
    with pytest.raises(TwinmlError, match=message) as caught:
        made(feed, profile, vary=vary).check(Store())
    assert caught.value.exit_code == 2


def test_rows_lost_from_a_raster_are_a_gap_and_irregular_ones_are_not(feed):
    rows = [f"{t},1" for t in range(0, 50, 2)]
    feed.write_text("time,feed\n" + "\n".join(rows[:9] + rows[10:]) + "\n")
    with pytest.raises(TwinmlError, match=r"line 11, column 'time': a gap of 4.*2 apart, so rows"):
        made(feed).check(Store())
    made(feed, {"gap": 4}).check(Store())
    feed.write_text("time,feed\n0,1\n3,2\n30,1\n31,5\n44,2\n")  # written when it changes
    made(feed).check(Store())


def test_an_input_has_one_source(feed):
    with pytest.raises(TwinmlError, match="vary also gives 'feed'"):
        made(feed, vary={"feed": 3})
    with pytest.raises(TwinmlError, match="also given by inputs="):
        made(feed).check(Store(), given=["feed"])
    with pytest.raises(TwinmlError, match=r"no input 'leak'.* A parameter is constant"):
        Scenario.from_mapping(
            {**made(feed).to_mapping(), "profiles": {"leak": {"path": str(feed), "column": "feed"}}}
        ).check(Store())


def test_a_sweep_runs_on_a_profile(feed, tmp_path):
    torch.set_num_threads(1)
    vary = {"gain": {"distribution": "uniform", "low": 0.5, "high": 2}}
    scenario = made(feed, {"scale": "gain"}, vary=vary, constraints=["gain > 1"])
    done = tw.sweep(
        Store(), scenario, 64, out=tmp_path / "s", workers=1, block_size=16, engine="eager"
    )
    table = done.table()
    np.testing.assert_allclose(table["end"], 80 * table["gain"], rtol=1e-6)
    assert table["gain"].min() > 1
