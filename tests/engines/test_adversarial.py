"""Right-hand sides that mislead a solver: bounded work, the right status, unharmed neighbours."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.engines import work
from tests.engines.models import Custom
from twinml import Status
from twinml.library import Pendulum

pytestmark = pytest.mark.usefixtures("engine")

METHODS = ["tsit5", "dopri5", "vern7", "rodas5p", "auto"]
every_method = pytest.mark.parametrize("method", METHODS)


def status(sol: tw.Solution) -> Status:
    return Status(int(sol.status[0]))


@every_method
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_rhs_that_is_never_finite_ends_at_once(method, bad):
    model = Custom(lambda t, y, p: y * bad)
    sol = tw.simulate(model, [0.0, 0.5, 1.0], method=method)
    assert work(model, sol) <= 20
    assert status(sol) == Status.NOT_FINITE and float(sol.fail_time) == 0.0
    assert torch.isnan(sol["y"][0, 1:]).all() and float(sol["y"][0, 0]) == 1.0


@every_method
def test_a_rhs_that_is_nan_after_its_first_stage_ends_soon(method):
    model = Custom(lambda t, y, p: torch.where(t > 0, math.nan, -y))
    sol = tw.simulate(model, [0.0, 1.0], method=method)
    assert work(model, sol) <= 20
    assert status(sol) == Status.NOT_FINITE and float(sol.fail_time) == 0.0


@pytest.mark.parametrize("method", ["euler", "heun", "rk4", "tsit5", "rodas5p"])
def test_fixed_steps_stop_at_the_first_value_that_is_not_finite(method):
    model = Custom(lambda t, y, p: torch.where(t > 0.5, math.nan, -y))
    sol = tw.simulate(model, torch.linspace(0, 1, 11), method=method, dt=0.1)
    assert status(sol) == Status.NOT_FINITE
    assert 0.3 < float(sol.fail_time) < 0.71
    after = sol.t > float(sol.fail_time) + 1e-9
    assert torch.isnan(sol["y"][0, after]).all()
    assert torch.isfinite(sol["y"][0, ~after]).all()


@every_method
def test_a_blow_up_is_found_where_it_happens(method):
    sol = tw.simulate(Custom(lambda t, y, p: y * y), [0.0, 0.5, 2.0], method=method)
    assert int(sol.steps) < 2000 and not sol.ok.any()
    assert status(sol) in (Status.NOT_FINITE, Status.STEP_TOO_SMALL)
    assert float(sol.fail_time) == pytest.approx(1.0, abs=1e-4)
    assert float(sol["y"][0, 1]) == pytest.approx(2.0, rel=1e-4)
    assert torch.isnan(sol["y"][0, 2])


@every_method
def test_a_pole_in_time_ends_in_bounded_work(method):
    sol = tw.simulate(Custom(lambda t, y, p: 1.0 / (1.0 - t)), [0.0, 2.0], method=method)
    assert int(sol.steps) < 3000 and not sol.ok.any()
    assert float(sol.fail_time) == pytest.approx(1.0, abs=1e-3)


@every_method
def test_a_discontinuous_rhs_costs_steps_but_not_the_answer(method):
    model = Custom(lambda t, y, p: torch.where(t < 1 / 3, 1.0, -2.0))
    sol = tw.simulate(model, [0.0, 1.0], method=method)
    assert sol.ok.all() and int(sol.steps) < 200
    assert float(sol["y"][0, -1]) == pytest.approx(1.0 + 1 / 3 - 4 / 3, abs=1e-4)


@every_method
def test_a_huge_slope_does_not_stall_at_a_step_of_zero(method):
    sol = tw.simulate(Custom(lambda t, y, p: 1e200 * torch.ones_like(y)), [0.0, 1.0], method=method)
    assert int(sol.steps) < 500
    assert float(sol["y"][0, -1]) == pytest.approx(1e200) if sol.ok.all() else True


@pytest.mark.parametrize(
    "options", [{"method": m} for m in METHODS] + [{"method": "rk4", "dt": 0.05}], ids=str
)
def test_neighbours_of_a_bad_row_are_those_of_a_good_one(options):
    def slope(t, y, p):
        return torch.where(p < 0, math.nan, -p * y)

    t = torch.linspace(0.0, 1.0, 5)
    good = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    bad = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
    want = tw.simulate(Custom(slope), t, {"p": good}, **options)
    sol = tw.simulate(Custom(slope), t, {"p": bad}, **options)
    assert sol.ok.tolist() == [True, False, True]
    for row in (0, 2):
        assert torch.equal(sol["y"][row], want["y"][row])
        assert int(sol.steps[row]) == int(want.steps[row])
    assert torch.isnan(sol["y"][1, 1:]).all()
    assert math.isnan(float(sol.fail_time[0]))


@every_method
def test_max_steps_counts_attempts_and_marks_the_row(method):
    model = Custom(lambda t, y, p: p * torch.cos(50.0 * t))
    sol = tw.simulate(model, [0.0, 10.0], {"p": [1.0, 0.0]}, method=method, max_steps=30)
    assert sol.steps[0] == 30 and Status(int(sol.status[0])) == Status.MAX_STEPS
    assert 0.0 < float(sol.fail_time[0]) < 10.0
    assert bool(sol.ok[1]) and torch.isnan(sol["y"][0, -1])
    fixed = tw.simulate(model, [0.0, 1.0], method="rk4", dt=0.1, max_steps=10)
    assert fixed.ok.all()


def test_a_trial_that_leaves_the_domain_is_tried_shorter():
    # sqrt(1 - y) is nan beyond y = 1, where the first long trials land.
    model = Custom(lambda t, y, p: 100.0 * torch.sqrt(1.0 - y))
    sol = tw.simulate(model, [0.0, 0.019], initial={"y": 0.0}, method="tsit5")
    assert sol.ok.all()
    assert float(sol["y"][0, -1]) == pytest.approx(1 - (1 - 50 * 0.019) ** 2, abs=1e-5)


@pytest.mark.parametrize("keep", ["minimum", "maximum", "clamp", "relu", "where"])
def test_no_way_of_limiting_hides_a_nan(keep):
    limit = {
        "minimum": lambda x: torch.minimum(x, torch.ones_like(x)),
        "maximum": lambda x: torch.maximum(x, torch.zeros_like(x)),
        "clamp": lambda x: torch.clamp(x, 0.0, 1.0),
        "relu": torch.relu,
        "where": lambda x: torch.where(x > 1.0, 1.0, x),
    }[keep]
    model = Custom(lambda t, y, p: limit(torch.sqrt(0.5 - t)))
    for options in ({"method": "tsit5"}, {"method": "rk4", "dt": 0.1}, {"method": "rodas5p"}):
        sol = tw.simulate(model, [0.0, 1.0], **options)
        assert not sol.ok.any() and torch.isnan(sol["y"][0, -1])
        final = tw.simulate(model, [0.0, 1.0], keep="final", **options)
        assert not final.ok.any() and torch.isnan(final["y"]).all()


def test_a_singular_system_is_called_by_its_name():
    # W = 1/(h gamma) - J with J = inf cannot be factored at any step size.
    model = Custom(lambda t, y, p: torch.where(y == 1.0, 0.0, 1.0) + torch.sqrt((y - 1.0).abs()))
    sol = tw.simulate(model, [0.0, 1.0], method="rodas5p")
    assert not sol.ok.any() and int(sol.steps) <= 20


def test_a_failed_row_can_be_raised_with_its_time_and_advice():
    sol = tw.simulate(Custom(lambda t, y, p: y * y), [0.0, 2.0])
    with pytest.raises(tw.TwinmlError, match=r"1 of 1 rows failed; row 0 at t = 1 s"):
        sol.raise_if_failed()
    assert "failed 1" in sol.explain()
    assert tw.simulate(Pendulum(), [0.0, 1.0]).raise_if_failed().ok.all()


@every_method
def test_a_wall_of_nan_is_named_as_such_and_ends_in_bounded_work(method):
    model = Custom(lambda t, y, p: torch.where(t > 1.0, math.nan, -y))
    sol = tw.simulate(model, [0.0, 0.5, 3.0], method=method)
    assert status(sol) == Status.NOT_FINITE and int(sol.steps) < 200
    assert float(sol.fail_time) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("method", ["rodas5p", "auto"])
def test_the_branch_not_taken_does_not_spoil_the_jacobian(method):
    # sqrt has no slope below zero, and where() did not choose it
    model = Custom(lambda t, y, p: -1e3 * (y + t) - torch.where(y > 0, torch.sqrt(y), 0.0))
    sol = tw.simulate(model, [0.0, 1.0], method=method, rtol=1e-8, atol=1e-10)
    assert sol.ok.all() and float(sol["y"][0, 1]) == pytest.approx(-1.0 + 1e-3, abs=1e-6)
