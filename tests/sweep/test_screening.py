"""Morris' effects and tornado bars: which inputs matter, against functions of known effects."""

from __future__ import annotations

import numpy as np
import pytest

import twinml as tw
from tests.sweep.models import BlowUp, Decay
from twinml.data.posterior import Posterior
from twinml.errors import ArgumentError, ScenarioError, SweepError
from twinml.sweep import morris_effects


def one_each(count):
    return [(f"x{i}", (i,)) for i in range(count)]


def test_effects_of_a_plane_are_its_slopes_and_do_not_scatter():
    slopes = np.array([3.0, -2.0, 0.0])
    found = morris_effects(lambda u: (u @ slopes)[:, None], one_each(3), ["y"], trajectories=8)
    np.testing.assert_allclose(found.mean[:, 0], slopes, atol=1e-12)
    np.testing.assert_allclose(found.mean_size[:, 0], np.abs(slopes), atol=1e-12)
    np.testing.assert_allclose(found.deviation, 0, atol=1e-12)
    np.testing.assert_allclose(found.mean_size_high - found.mean_size_low, 0, atol=1e-12)


def test_an_effect_that_changes_its_sign_has_a_size_and_no_mean():
    # (u - 1/2)^2 between cell mid-points half a range apart: +-1/4 * ... cancels on average
    found = morris_effects(
        lambda u: (u[:, :1] - 0.5) * (u[:, 1:2] - 0.5), one_each(2), ["y"], trajectories=400
    )
    # the effect of x0 is u1 - 1/2, which is -3/8, -1/8, 1/8 or 3/8
    np.testing.assert_allclose(found.mean_size[:, 0], 0.25, atol=0.02)
    np.testing.assert_allclose(found.mean[:, 0], 0, atol=0.04)
    np.testing.assert_allclose(found.deviation[:, 0], np.sqrt(5 / 64), atol=0.02)
    assert (found.mean_size_low <= found.mean_size).all()
    assert (found.mean_size <= found.mean_size_high).all()


def test_morris_own_function_is_sorted_as_he_found():
    """Morris (1991), sec. 4: factors 1 to 10 matter, 11 to 20 do not."""
    rng = np.random.default_rng(0)
    first = np.concatenate([np.full(10, 20.0), rng.normal(size=10)])
    second = rng.normal(size=(20, 20))
    second[:6, :6] = -15.0

    def function(u):
        w = 2 * (u - 0.5)
        for i in (2, 4, 6):
            w[:, i] = 2 * (1.1 * u[:, i] / (u[:, i] + 0.1) - 0.5)
        y = w @ first
        for i in range(20):
            for j in range(i + 1, 20):
                y += second[i, j] * w[:, i] * w[:, j]
        for i in range(5):
            for j in range(i + 1, 5):
                for k in range(j + 1, 5):
                    y -= 10 * w[:, i] * w[:, j] * w[:, k]
        return y[:, None]

    found = morris_effects(function, one_each(20), ["y"], trajectories=40)
    size = found.mean_size[:, 0]
    assert size[:10].min() > 2 * size[10:].max()
    # factors 8 to 10 act alone and linearly, 1 to 6 with others
    assert found.deviation[7:10].max() < 0.5 * found.deviation[:6].min()


def test_factors_of_several_coordinates_move_together_and_have_no_sign():
    groups = [("pair", (0, 2)), ("single", (1,))]
    found = morris_effects(lambda u: u[:, :1] + u[:, 1:2], groups, ["y"], trajectories=16)
    np.testing.assert_allclose(found.mean_size[:, 0], 1.0)
    assert np.isnan(found.mean[0, 0]) and found.mean[1, 0] == pytest.approx(1.0)
    assert found.to_mapping()["y"]["pair"]["mean"] is None


def test_points_that_fail_cost_only_the_effects_they_end():
    def function(u):
        return np.where(u[:, :1] > 0.8, np.inf, u.sum(axis=1, keepdims=True))

    found = morris_effects(function, one_each(2), ["y"], trajectories=64)
    assert (found.used < 64).all() and (found.used > 0).all()
    np.testing.assert_allclose(found.mean_size[:, 0], 1.0)
    with pytest.raises(ArgumentError, match="trajectories is 3"):
        morris_effects(function, one_each(2), ["y"], trajectories=3)
    with pytest.raises(ArgumentError, match="each of 0 to 1 once"):
        morris_effects(function, [("a", (0,)), ("b", (0,))], ["y"])


POSTERIOR = Posterior(
    names=("rate", "initial.x"), values=np.array([1.0, 2.0]), low=np.zeros(2),
    high=np.full(2, np.inf), mean_unconstrained=np.log([1.0, 2.0]),
    covariance_unconstrained=0.01 * np.array([[1.0, 0.9], [0.9, 1.0]]), units=("1/s", "cm"),
    degrees_of_freedom=10,
)  # fmt: skip


UNIT = {"distribution": "uniform", "low": 0, "high": 1}


@pytest.fixture(scope="module")
def constrained(tmp_path_factory):
    """a, b and c on the unit interval, two of them tied; a table of rows far from each other."""
    folder = tmp_path_factory.mktemp("constrained")
    (folder / "rows.csv").write_text("p,q\n0,5\n9,0\n4,4\n8,9\n1,1\n")
    rows = {"distribution": "table", "path": str(folder / "rows.csv")}
    scenario = tw.Scenario.from_mapping(
        {
            "horizon": {"start": 0, "stop": 0.1},
            "vary": {
                "a": UNIT, "b": UNIT, "c": UNIT,
                "p": {**rows, "column": "p"}, "q": {**rows, "column": "q"},
                "kind": {"distribution": "choice", "values": [1, 9, 2], "weights": [2, 3, 2]},
            },
            "constraints": ["a + b < 0.8", "c > 0.6"],
            "quantities": {
                "sum": "a + b + 0 * final(x)", "c2": "c * c + 0 * final(x)",
                "row": "p + 10 * q + 0 * final(x)", "which": "kind + 0 * final(x)",
            },
        }
    )  # fmt: skip
    return tw.sweep(Decay(), scenario, samples=16, out=folder / "s", workers=1, block_size=16)


def test_bars_and_middle_lie_where_the_constraints_allow(constrained):
    found = constrained.tornado(level=0.8)
    label = f"table({constrained.scenario.vary['p'].distribution.path})"
    assert found.factors == ("constrained(a,b)", "c", label, "kind")
    assert found.drawn.tolist() == [True, False, True, True]
    # a and b are even on a triangle: medians of each are 0.8 * (1 - sqrt(1 / 2))
    assert found.centre[0] == pytest.approx(1.6 * (1 - np.sqrt(0.5)), abs=0.01)
    # a + b has the density 2 s / 0.64 up to 0.8
    assert found.low[0, 0] == pytest.approx(0.8 * np.sqrt(0.1), abs=0.02)
    assert found.high[0, 0] == pytest.approx(0.8 * np.sqrt(0.9), abs=0.02)
    # c is even from 0.6 to 1
    assert found.values[1]["c"] == pytest.approx((0.64, 0.8, 0.96), abs=2e-3)
    assert found.centre[1] == pytest.approx(0.64, abs=4e-3)
    # the row nearest the columns' medians, and the value in the middle by size and weight
    assert found.centre[2] == 44.0 and found.centre[3] == 2.0


def test_the_points_that_constraints_allow_are_admissible_and_spread(constrained):
    bound = constrained.task.bound
    tied = bound.factors[0]
    points = bound.admissible_points(tied)
    assert len(points) > 1024 and (points.sum(axis=1) < 0.8).all()
    everything = np.full((len(points), 5), 0.5)
    everything[:, list(tied.dimensions)] = points
    values = bound.draw_at(everything)
    np.testing.assert_array_equal(values["a"], points[:, 0])
    np.testing.assert_array_equal(values["b"], points[:, 1])


def test_morris_steps_stay_inside_a_constraint_or_are_refused(constrained, tmp_path):
    with pytest.raises(ScenarioError, match=r"'a \+ b < 0.8' leaves no such step to a, b\."):
        constrained.morris(8)
    plain = constrained.scenario.to_mapping()
    plain["constraints"] = ["c > 0.6"]
    plain["quantities"]["inside"] = "min(0, c - 0.6) + 0 * final(x)"
    free = tw.sweep(
        Decay(), tw.Scenario.from_mapping(plain), samples=16, out=tmp_path / "s", workers=1,
        block_size=16,
    )  # fmt: skip
    found = free.morris(64).to_mapping()
    # c^2 over steps of half of [0.6, 1]: (c + 0.2)^2 - c^2 per 1/2, at 0.65 and 0.75
    assert found["c2"]["c"]["mean"] == pytest.approx(0.8 * 0.8, abs=0.03)
    assert found["inside"]["c"]["mean_size"] == 0
    assert found["sum"]["a"]["mean"] == pytest.approx(1.0)
    # the rows of a table and values in no order have a size and no direction
    rows = next(name for name in found["row"] if name.startswith("table"))
    assert found["row"][rows]["mean_size"] > 0 and found["row"][rows]["mean"] is None
    assert found["which"]["kind"]["mean_size"] > 0 and found["which"]["kind"]["deviation"] is None


@pytest.fixture(scope="module")
def swept(tmp_path_factory):
    scenario = tw.Scenario.from_mapping(
        {
            "horizon": {"start": 0, "stop": 1},
            "vary": {
                "rate": {"distribution": "uniform", "low": 0.0, "high": 2.0},
                "initial.x": {"distribution": "uniform", "low": 8, "high": 12},
                "kind": {"distribution": "choice", "values": [1.0, 3.0, 2.0]},
            },
            "quantities": {"log": "log(final(x))", "scaled": "kind * initial(x)"},
        }
    )
    out = tmp_path_factory.mktemp("screening") / "s"
    return tw.sweep(Decay(), scenario, samples=32, out=out, workers=1, block_size=32)


def test_bars_of_a_tornado_end_at_the_quantiles_of_the_input(swept):
    found = swept.tornado(level=0.9)
    assert found.factors == ("rate", "initial.x", "kind")
    assert found.values[0]["rate"] == pytest.approx((0.1, 1.0, 1.9))
    # log x(1) = log x0 - rate
    np.testing.assert_allclose(found.centre[0], np.log(10) - 1, rtol=1e-5)
    np.testing.assert_allclose(
        [found.low[0, 0], found.high[0, 0]], [np.log(10) - 0.1, np.log(10) - 1.9], rtol=1e-5
    )
    # listed values have no order: the bar is the range over draws, the others at their medians
    assert found.drawn.tolist() == [False, False, True] and found.values[2] == {}
    assert (found.low[2, 1], found.high[2, 1]) == pytest.approx((10.0, 30.0))
    assert found.low[2, 0] == pytest.approx(found.high[2, 0])
    assert found.to_mapping()["log"]["kind"]["drawn"] is True


def test_morris_of_a_sweep_finds_what_moves_what(swept):
    found = swept.morris(trajectories=8)
    log = found.to_mapping()["log"]
    assert log["rate"]["mean"] == pytest.approx(-2.0, rel=1e-4)  # uniform over a width of 2
    assert log["kind"]["mean_size"] == pytest.approx(0.0, abs=1e-9)
    again = tw.open_sweep(swept.path)
    np.testing.assert_array_equal(again.morris(8, model=Decay()).mean, found.mean)
    with pytest.raises(SweepError, match=r"Write morris\(model=\.\.\.\)"):
        again.morris(8)
    with pytest.raises(SweepError, match=r"Write tornado\(model=\.\.\.\)"):
        again.tornado()


def test_what_is_calibrated_together_is_one_bar_and_one_factor(tmp_path):
    scenario = tw.Scenario.from_mapping(
        {
            "horizon": {"start": 0, "stop": 1},
            "vary": {"rate": {"distribution": "calibrated"}},
            "quantities": {"end": "final(x)"},
        }
    )
    sweep = tw.sweep(
        Decay(), scenario, samples=16, out=tmp_path / "s", workers=1, block_size=16,
        calibration=POSTERIOR,
    )  # fmt: skip
    bars, effects = sweep.tornado(), sweep.morris(8)
    assert bars.factors == effects.factors == ("calibrated(rate,initial.x)",)
    assert bars.drawn.all() and bars.low[0, 0] < bars.centre[0] < bars.high[0, 0]
    assert effects.mean_size[0, 0] > 0 and np.isnan(effects.mean[0, 0])


# torch compiles its decompositions with torch.jit at the first forward-mode derivative
@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
def test_an_end_that_fails_is_no_number_rather_than_a_wrong_one(tmp_path):
    scenario = tw.Scenario.from_mapping(
        {
            "horizon": {"start": 0, "stop": 1.5},
            "vary": {"initial.x": {"distribution": "uniform", "low": 0.1, "high": 0.9}},
            "quantities": {"end": "final(x)"},
        }
    )
    sweep = tw.sweep(
        BlowUp(), scenario, samples=8, out=tmp_path / "s", workers=1, block_size=8, max_steps=100
    )
    bars = sweep.tornado()
    assert np.isfinite(bars.low[0, 0]) and np.isnan(bars.high[0, 0])
    assert bars.to_mapping()["end"]["initial.x"]["high"] is None
