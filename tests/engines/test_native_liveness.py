"""Kernels end: bounded work for rows that mislead a solver, the right verdict, good neighbours."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.adversary import CASES, ROW, Adversary
from tests.engines.models import Decay
from twinml import Status

pytestmark = pytest.mark.usefixtures("compiler")

slow = pytest.mark.slow
METHODS = ("tsit5", "rodas5p", "auto", *(pytest.param(m, marks=slow) for m in ("dopri5", "vern7")))
EVERY = torch.arange(len(CASES), dtype=torch.float64)
T = [0.0, 0.25, 0.9, 2.0]


@pytest.fixture(scope="module", params=METHODS)
def ran(request) -> tw.Solution:
    return tw.simulate(Adversary(), T, {"case": EVERY}, method=request.param, engine="native")


@pytest.mark.parametrize("case", CASES)
def test_every_misleading_row_ends_in_bounded_work_with_the_right_verdict(ran, case):
    most, verdicts, when = CASES[case]
    row = ROW[case]
    assert int(ran.steps[row]) <= most
    assert Status(int(ran.status[row])) in verdicts
    failed = float(ran.fail_time[row])
    if ran.ok[row]:
        assert math.isnan(failed) and torch.isfinite(ran["y"][row]).all()
    else:
        assert when is None or failed == pytest.approx(when, abs=1e-3)
        after = torch.tensor(T) > failed
        assert torch.isnan(ran["y"][row, after]).all()
        assert torch.isfinite(ran["y"][row, ~after]).all()


def test_misleading_rows_do_not_touch_good_ones(ran):
    good = [ROW["a good one"], ROW["another good one"]]
    method = ran.method if isinstance(ran.method, str) else "auto"
    case = EVERY[good]
    alone = tw.simulate(Adversary(), T, {"case": case}, method=method, engine="native")
    assert torch.equal(alone["y"], ran["y"][good])
    assert torch.equal(alone.steps, ran.steps[good])


def test_the_verdicts_are_those_of_the_reference(ran):
    method = ran.method if isinstance(ran.method, str) else "auto"
    want = tw.simulate(Adversary(), T, {"case": EVERY}, method=method, engine="eager")
    assert ran.status.tolist() == want.status.tolist()
    assert list(ran.method) == list(want.method)
    assert torch.equal(torch.isnan(ran["y"]), torch.isnan(want["y"]))
    # How many trials it takes to feel a way along a wall hangs on rounding.
    walls = (want.steps > 40) | (want.rejected > 9)
    assert torch.equal(ran.steps[~walls], want.steps[~walls])


@pytest.mark.parametrize("method", ["rk4", pytest.param("rodas5p", marks=slow)])
def test_fixed_steps_end_where_a_value_is_not_finite(method):
    options = {"method": method, "dt": 0.01, "max_steps": 1000}
    native, eager = (
        tw.simulate(Adversary(), T, {"case": EVERY}, engine=e, **options)
        for e in ("native", "eager")
    )
    assert native.status.tolist() == eager.status.tolist()
    assert native.steps.tolist() == eager.steps.tolist()
    assert torch.allclose(native.fail_time, eager.fail_time, equal_nan=True)
    assert torch.allclose(native["y"], eager["y"], rtol=1e-9, equal_nan=True)


def test_a_million_steps_of_nan_are_never_taken():
    sol = tw.simulate(
        Adversary(), [0.0, 1e9], {"case": [1.0, 3.0, 5.0]}, method="tsit5", engine="native",
        max_steps=10**9,
    )  # fmt: skip
    assert (sol.steps < 300).all() and not sol.ok.any()


@pytest.mark.parametrize("dt", [1e-19, 1e-30])
def test_steps_too_small_to_be_counted_spend_their_budget(dt):
    t, most = [0.0, 1.0], 50
    sol = tw.simulate(Decay(), t, method="rk4", dt=dt, max_steps=most, engine="native")
    assert sol.status.tolist() == [tw.Status.MAX_STEPS] and sol.steps.tolist() == [most]
