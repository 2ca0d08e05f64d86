"""The engines mean the same: equal numbers to rounding, equal steps, equal verdicts."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.engines import assert_same_meaning, scale_of
from tests.engines.plant import Plant, arguments
from twinml.engines.choice import engine_named
from twinml.engines.events import EventLog
from twinml.engines.normalise import build_problem
from twinml.engines.replay import replay
from twinml.engines.saving import Trajectory

pytestmark = pytest.mark.usefixtures("compiler")

FIXED = ("euler", "heun", "rk4", "tsit5", "dopri5", "vern7", "rodas5p", "euler_maruyama")
ADAPTIVE = ("tsit5", "dopri5", "vern7", "rodas5p", "auto")
# Errors of the first steps are rounding; what steps of another size change is of the order of
# the tolerance times the difference in size.
ADAPTIVE_RTOL = 1e-8


def both(model: tw.Physics, **options: Any) -> tuple[tw.Solution, tw.Solution]:
    return tuple(tw.simulate(model, engine=e, **options) for e in ("native", "eager"))


@pytest.mark.parametrize("method", FIXED)
def test_fixed_steps_with_inputs_changes_and_rows_of_their_own(method):
    given = arguments(5, method=method, dt=0.03)
    assert_same_meaning(*both(Plant(), **given), rtol=1e-13)


@pytest.mark.parametrize("method", ADAPTIVE)
def test_adaptive_steps_with_inputs_changes_and_rows_of_their_own(method):
    given = arguments(5, stiffest=1e4, method=method)
    if method not in ("rodas5p", "auto"):
        given = arguments(5, stiffest=30.0, method=method)
    found, want = both(Plant(), **given)
    assert_same_meaning(found, want, rtol=ADAPTIVE_RTOL, spare=2)
    if method == "auto":
        assert set(found.method) == {"tsit5", "rodas5p"}


@pytest.mark.parametrize("method", ["rk4", "tsit5", "rodas5p"])
def test_float32_means_the_same_within_its_rounding(method):
    given = arguments(5, 30.0, method=method, dtype=torch.float32, rtol=1e-4, atol=1e-5)
    if method == "rk4":
        given["dt"] = 0.02
    found, want = both(Plant(), **given)
    assert found["x"].dtype == torch.float32 and found.ok.all()
    assert (found.steps - want.steps).abs().max() <= 3
    wide = tw.simulate(Plant(), engine="native", **{**given, "dtype": torch.float64})
    for name in want.names:
        scale = scale_of(want[name])
        assert float(((found[name] - want[name]).abs() / scale).max()) < 1e-3, name
        assert float(((found[name] - wide[name]).abs() / scale).max()) < 2e-3, name


@pytest.mark.parametrize(
    "more",
    [
        {"max_step": 0.01},
        {"atol": {"x": 1e-11, "pair": 1e-7}, "rtol": 1e-7},
        {"max_steps": 40},
        {"t": torch.tensor([[0.0, 0.3, 2.0], [0.5, 0.5, 0.5], [0.2, 1.1, 1.9]])},
    ],
    ids=str,
)
def test_what_is_only_known_at_run_time_means_the_same(more):
    given = arguments(3, 30.0, method="tsit5")
    assert_same_meaning(*both(Plant(), **{**given, **more}), rtol=ADAPTIVE_RTOL, spare=2)


def test_backward_means_the_same_with_inputs_of_both_kinds():
    given = arguments(4, method="tsit5", changes=False) | {"t": [0.8, 0.7, 0.5, 1 / 3, 0.1, 0.0]}
    given |= {"initial": {"x": 0.1}}
    given["parameters"]["stiff"] = -given["parameters"]["stiff"]  # else it blows up backward
    found, want = both(Plant(), **given)
    assert found.ok.all()
    assert_same_meaning(found, want, rtol=ADAPTIVE_RTOL, spare=2)


QUANTITIES = {
    "top": "max(x)",
    "low": "time_of_min(x)",
    "above": "time_above(x, 0.45)",
    "first": "first_time(seen < 0.2)",
    "never": "first_time(x > 1e9)",
    "area": "integral(seen) + mean(x) * level",
    "there": "at(x, 0.77) - final(x) + initial(seen)",
}


@pytest.mark.parametrize("options", [{"method": "tsit5"}, {"method": "rk4", "dt": 0.03}], ids=str)
def test_quantities_mean_the_same(options):
    given = arguments(
        4, 30.0, keep=QUANTITIES, constants={"level": [1.0, 2.0, 3.0, 4.0]}, **options
    )
    found, want = both(Plant(), **given)
    assert_same_meaning(found, want, rtol=1e-7 if "dt" not in options else 1e-11, spare=2)
    assert torch.isinf(found["never"]).all() and found.ok.all()


@pytest.mark.parametrize("keep", ["all", "final"])
def test_what_is_kept_does_not_change_the_path(keep):
    given = arguments(4, 30.0, method="tsit5", engine="native", keep=keep)
    sol = tw.simulate(Plant(), **given)
    want = tw.simulate(Plant(), **{**given, "keep": "all"})
    x = sol["x"] if keep == "final" else sol["x"][:, -1]
    assert torch.equal(x, want["x"][:, -1]) and torch.equal(sol.steps, want.steps)
    assert torch.equal(sol.state.y, want.state.y)


def test_the_reference_that_takes_the_kernel_s_steps_has_the_kernel_s_numbers():
    given = arguments(4, 1e4, method="auto")
    problem = build_problem(Plant(), **given)
    outcome, records = engine_named("native").recorded(problem, "auto")
    assert [record.stepper.name for record in records] == ["tsit5", "rodas5p"]
    sink = Trajectory(problem)
    _, ends = replay(problem, records, [sink], EventLog(problem))
    scale = outcome.states.abs().amax((1, 2), keepdim=True)
    assert float(((sink.result() - outcome.states).abs() / scale).max()) < 1e-12
    assert torch.allclose(ends, outcome.state.y, rtol=1e-11, atol=1e-13)
