"""A row's numbers do not depend on the rows beside it, their order, the threads or the cut."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

import twinml as tw
from tests.engines.engines import same_bits
from tests.engines.plant import Plant, arguments
from twinml import Status
from twinml.library import Lorenz

pytestmark = pytest.mark.usefixtures("compiler")

FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
COUNT = 29


def some_rows(given_: dict[str, Any], index: torch.Tensor) -> dict[str, Any]:
    """The arguments of some rows of a batch, in that order."""

    def cut(value: Any) -> Any:
        return value[index] if isinstance(value, torch.Tensor) and value.ndim else value

    changes = [
        tw.Change(cut(c.at), c.action, c.target, cut(c.value), cut(c.until))
        for c in given_["changes"]
    ]
    parameters = {name: cut(value) for name, value in given_["parameters"].items()}
    return {**given_, "parameters": parameters, "changes": changes}


KINDS = {
    "explicit": arguments(COUNT, 100.0, method="tsit5"),
    "auto": arguments(COUNT, 1e5, method="auto"),
    "fixed": arguments(COUNT, method="rk4", dt=1 / 32),
}


@pytest.fixture(scope="module", params=KINDS)
def batch(request) -> tuple[dict[str, Any], tw.Solution]:
    given_ = {**KINDS[request.param], "engine": "native"}
    return given_, tw.simulate(Plant(), **given_).raise_if_failed()


@FEW
@given(index=some.lists(some.integers(0, COUNT - 1), min_size=1, max_size=40))
def test_any_choice_of_rows_in_any_order_has_the_same_bits(batch, index):
    given_, whole = batch
    part = tw.simulate(Plant(), **some_rows(given_, torch.tensor(index)))
    same_bits(part, whole, index)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_rows_among_bad_ones_have_the_same_bits(batch, bad):
    given_, whole = batch
    q = given_["parameters"]["q"].clone()
    q[1::2] = bad
    found = tw.simulate(Plant(), **{**given_, "parameters": {**given_["parameters"], "q": q}})
    assert found.ok.tolist() == [row % 2 == 0 for row in range(COUNT)]
    for name in found.names:
        assert torch.equal(found[name][::2], whole[name][::2])
        assert torch.isnan(found[name][1::2, -1]).all()
    assert torch.equal(found.steps[::2], whole.steps[::2])
    assert (found.steps[1::2] <= (20 if bad != 1e300 else 300)).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_and_two_threads_give_the_same_bits(kind):
    index = torch.arange(600) % COUNT
    given_ = {**some_rows(KINDS[kind], index), "engine": "native"}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = tw.simulate(Plant(), **given_)
        torch.set_num_threads(2)
        two = tw.simulate(Plant(), **given_)
    finally:
        torch.set_num_threads(before)
    assert (one.kernels[0].threads, two.kernels[0].threads) == (1, 2)
    same_bits(two, one)
    # Rows that say the same are the same, wherever the queue put them.
    same_bits(one, tw.simulate(Plant(), **{**KINDS[kind], "engine": "native"}), index.tolist())


@FEW
@given(cut=some.integers(1, COUNT - 1))
def test_a_batch_cut_in_two_gives_the_same_bits(batch, cut):
    given_, whole = batch
    for index in (torch.arange(cut), torch.arange(cut, COUNT)):
        same_bits(tw.simulate(Plant(), **some_rows(given_, index)), whole, index.tolist())


@FEW
@given(shift=some.integers(-(2**20), 2**20))
def test_fixed_steps_of_an_autonomous_model_do_not_depend_on_the_time_of_day(shift):
    rho = torch.linspace(1.0, 40.0, 5, dtype=torch.float64)
    t = torch.tensor([0.0, 0.3125, 1.0], dtype=torch.float64)
    options = {"parameters": {"rho": rho}, "method": "rk4", "dt": 2.0**-7, "engine": "native"}
    here, there = (tw.simulate(Lorenz(), t + s, **options) for s in (0.0, float(shift)))
    for name in "xyz":
        assert torch.equal(here[name], there[name])


@FEW
@given(shift=some.floats(-1e3, 1e3))
def test_adaptive_steps_of_an_autonomous_model_are_shifted_to_rounding(shift):
    t = torch.tensor([0.0, 0.3, 1.0], dtype=torch.float64)
    options = {"method": "tsit5", "engine": "native"}
    here, there = (tw.simulate(Lorenz(), t + s, **options) for s in (0.0, shift))
    assert int((here.steps - there.steps).abs()) <= 1
    for name in "xyz":
        assert torch.allclose(here[name], there[name], rtol=1e-8, atol=1e-9)


def test_going_on_from_a_state_gives_the_bits_of_the_whole(batch):
    given_, _ = batch
    t = torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64)
    # The change at 1.0 ends a step there in the whole as well.
    whole = tw.simulate(Plant(), **{**given_, "t": t})
    half = tw.simulate(Plant(), **{**given_, "t": t[:2]})
    rest = tw.simulate(Plant(), **{**given_, "t": t[1:], "start": half.state})
    # "auto" begins with the explicit method again, in rows that were handed over too.
    exact = given_["method"] != "auto"
    for name in whole.names:
        if exact:
            assert torch.equal(rest[name][:, -1], whole[name][:, -1]), name
        else:
            assert torch.allclose(rest[name][:, -1], whole[name][:, -1], rtol=1e-6, atol=1e-8)
    if exact:
        assert torch.equal(half.steps + rest.steps, whole.steps)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_zero_length_and_rows_with_their_own_times(kind):
    t = torch.tensor(
        [[0.0, 0.0, 0.5, 2.0], [0.7, 0.7, 0.7, 0.7], [0.3, 1.0, 1.0, 1.9], [2.0, 2.0, 2.0, 2.0]],
        dtype=torch.float64,
    )
    given_ = {**some_rows(KINDS[kind], torch.arange(4)), "engine": "native"}
    sol = tw.simulate(Plant(), **{**given_, "t": t}).raise_if_failed()
    assert sol.steps[1] == 0 and sol.steps[3] == 0
    for row in range(4):
        one = some_rows(given_, torch.tensor([row]))
        same_bits(tw.simulate(Plant(), **{**one, "t": t[row : row + 1]}), sol, [row])
        shared = tw.simulate(Plant(), **{**one, "t": t[row]})
        for name in sol.names:
            assert torch.equal(shared[name], sol[name][row : row + 1])
    assert (sol["x"][[1, 3]] == 0.5).all()


def test_a_row_that_needs_more_steps_than_allowed_leaves_the_others_alone(batch):
    given_, whole = batch
    limit = int(whole.steps.max()) - 1
    found = tw.simulate(Plant(), **{**given_, "max_steps": limit})
    fast = whole.steps < limit
    assert torch.equal(found.ok, fast | (whole.steps == limit)) and not found.ok.all()
    assert (found.status[~found.ok] == int(Status.MAX_STEPS)).all()
    same_rows = fast.nonzero()[:, 0]
    for name in found.names:
        assert torch.equal(found[name][same_rows], whole[name][same_rows])
