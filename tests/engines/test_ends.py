"""Where a span begins, ends and is sampled makes no difference to the path."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay, Forced, Spiral
from twinml.solve.methods import METHODS

pytestmark = pytest.mark.usefixtures("engine")

FIXED, ADAPTIVE = {"method": "rk4", "dt": 0.01}, {"method": "tsit5", "rtol": 1e-9, "atol": 1e-11}
BOTH = pytest.mark.parametrize("options", [FIXED, ADAPTIVE], ids=["fixed", "adaptive"])


def exact(t: float) -> float:
    return math.cos(t * t)


@pytest.mark.parametrize("name", METHODS)
def test_a_span_that_is_no_multiple_of_dt_ends_at_its_end(name):
    sol = tw.simulate(Spiral(), [0.0, 0.5, 1.003], method=name, dt=0.01)
    assert int(sol.steps) == 101
    assert float(sol["x"][0, -1]) == pytest.approx(exact(1.003), abs=0.03)
    assert float(sol.state.t) == 1.003


@pytest.mark.parametrize("name", METHODS)
def test_a_first_step_longer_than_the_span_is_cut(name):
    sol = tw.simulate(Spiral(), [0.0, 0.1], method=name, dt=5.0)
    assert int(sol.steps) == 1 and float(sol.state.t) == 0.1
    assert float(sol["x"][0, -1]) == pytest.approx(exact(0.1), abs=1e-4)


def test_the_grid_comes_from_whole_numbers_of_steps():
    # 0.1 is no binary fraction: adding it ten times would miss 1.0 and cost another step.
    sol = tw.simulate(Decay(), [0.0, 1.0], method="rk4", dt=0.1)
    assert int(sol.steps) == 10
    long = tw.simulate(Decay(), [0.0, 1000.0], method="euler", dt=0.1)
    assert int(long.steps) == 10_000


@BOTH
def test_backward_undoes_forward(options):
    there = tw.simulate(Spiral(), [0.0, 0.4, 1.0], **options)
    end = {"x": there["x"][0, -1], "y": there["y"][0, -1]}
    back = tw.simulate(Spiral(), [1.0, 0.4, 0.0], initial=end, **options)
    assert float(back["x"][0, 1]) == pytest.approx(exact(0.4), abs=1e-7)
    assert float(back["x"][0, 2]) == pytest.approx(1.0, abs=1e-7)


@BOTH
def test_backward_reads_inputs_from_the_interval_below(options):
    u = tw.Signal([0.0, 0.5, 1.0], [1.0, -2.0, 7.0])
    there = tw.simulate(Forced(), [0.0, 1.0], inputs={"u": u}, **options)
    back = tw.simulate(
        Forced(), [1.0, 0.0], initial={"x": there["x"][0, -1]}, inputs={"u": u}, **options
    )
    assert float(back["x"][0, -1]) == pytest.approx(0.5, abs=1e-7)


def test_backward_with_a_change_is_a_named_error():
    with pytest.raises(tw.TwinmlError, match=r"t runs backward and there are timed changes"):
        tw.simulate(Decay(), [1.0, 0.0], changes=[tw.Change(0.5, "set", "k", 2.0)])


@BOTH
@pytest.mark.parametrize("t", [[2.0], [2.0, 2.0], [2.0, 2.0, 2.0]])
def test_a_span_of_zero_length_is_its_start(options, t):
    for keep in ("all", "final"):
        sol = tw.simulate(Decay(), t, keep=keep, **options)
        assert sol.ok.all() and int(sol.steps) == 0
        assert (sol["x"] == 1.0).all() and (sol["twice"] == 2.0).all()


@BOTH
def test_save_points_at_both_ends_and_repeated_ones(options):
    sol = tw.simulate(Decay(), [0.0, 0.0, 0.7, 0.7, 1.0, 1.0], **options)
    want = torch.exp(-sol.t)
    assert torch.allclose(sol["x"][0], want, atol=1e-8, rtol=0)
    assert (sol["x"][0, ::2] == sol["x"][0, 1::2]).all()


@BOTH
def test_rows_may_have_their_own_times(options):
    t = torch.tensor([[0.0, 0.5, 1.0], [1.0, 1.0, 4.0], [2.0, 2.0, 2.0]], dtype=torch.float64)
    sol = tw.simulate(Decay(), t, **options)
    assert sol.t.shape == (3, 3)
    assert torch.allclose(sol["x"], torch.exp(t[:, :1] - t), atol=1e-8, rtol=0)


@BOTH
def test_save_points_do_not_change_the_path(options):
    few = tw.simulate(Forced(), [0.0, 1.0], **options)
    many = tw.simulate(Forced(), torch.linspace(0, 1, 1001, dtype=torch.float64), **options)
    assert float(few["x"][0, -1]) == float(many["x"][0, -1])
    assert int(few.steps) == int(many.steps)


def test_knots_that_equal_grid_times_but_for_rounding_take_no_extra_step():
    knots = torch.arange(11, dtype=torch.float64) * 0.1  # 3 * 0.1 != 0.3
    shifted = knots.clone()
    shifted[3], shifted[7] = 0.3, 0.7
    values = torch.sin(torch.arange(11.0))
    for kind in ("hold", "linear"):
        sols = [
            tw.simulate(Forced(), [0.0, 1.0], inputs={"u": tw.Signal(k, values, kind)},
                        method="rk4", dt=0.1)
            for k in (knots, shifted)
        ]  # fmt: skip
        assert [int(sol.steps) for sol in sols] == [10, 10]
        assert float(sols[0]["x"][0, -1]) == pytest.approx(float(sols[1]["x"][0, -1]), abs=1e-15)


@BOTH
def test_changes_at_start_end_and_never_do_what_they_say(options):
    plain = tw.simulate(Decay(), [0.0, 1.0], {"k": 2.0}, **options)
    changed = tw.simulate(Decay(), [0.0, 1.0], changes=[
        tw.Change(0.0, "set", "k", 2.0),
        tw.Change(1.0, "set", "k", 50.0),
        tw.Change(float("inf"), "set", "k", 70.0),
        tw.Change(0.5, "set", "k", 90.0, until=0.5),
        tw.Change(-3.0, "set", "k", 90.0, until=-1.0),
    ], **options)  # fmt: skip
    assert float(plain["x"][0, -1]) == pytest.approx(float(changed["x"][0, -1]), rel=1e-9)


def test_changes_act_in_the_order_given_and_end():
    changes = [tw.Change(0.0, "multiply", "k", 3.0, until=1.0), tw.Change(0.5, "add", "k", 1.0)]
    sol = tw.simulate(Decay(), [0.0, 0.5, 1.0, 2.0], changes=changes, **ADAPTIVE)
    want = [1.0, math.exp(-1.5), math.exp(-3.5), math.exp(-5.5)]
    assert torch.allclose(sol["x"][0], torch.tensor(want, dtype=torch.float64), atol=1e-9)
    swapped = tw.simulate(Decay(), [0.0, 0.5, 1.0], changes=changes[::-1], **ADAPTIVE)
    assert float(swapped["x"][0, 2]) == pytest.approx(math.exp(-1.5 - 3.0), abs=1e-9)


def test_rows_may_change_at_their_own_times():
    at = torch.tensor([0.2, 0.6, 3.0], dtype=torch.float64)
    sol = tw.simulate(Decay(), [0.0, 1.0], changes=[tw.Change(at, "set", "k", 0.0)], **ADAPTIVE)
    assert torch.allclose(sol["x"][:, -1], torch.exp(-at.clamp(max=1.0)), atol=1e-8)


def test_a_clipped_step_does_not_shrink_the_next():
    knots = torch.linspace(0.0, 10.0, 11, dtype=torch.float64)
    options = {"method": "tsit5", "rtol": 1e-6}
    free = tw.simulate(Decay(), [0.0, 10.0], inputs={"u": 1.0}, **options)
    cut = tw.simulate(
        Decay(), [0.0, 10.0], inputs={"u": tw.Signal(knots, torch.ones(11))}, **options
    )
    assert int(cut.steps) <= int(free.steps) + 2 * 10


def test_max_step_is_kept():
    sol = tw.simulate(Decay(), [0.0, 10.0], max_step=0.25)
    assert int(sol.steps) >= 40


def test_outputs_at_a_jump_show_the_value_after_it():
    class Echo(tw.Physics):
        x = tw.State("1", initial=0.0)
        u = tw.Input("1")
        seen = tw.Output("1")

        def rhs(self, x):
            return {"x": -x}

        def outputs(self, u):
            return {"seen": u}

    sol = tw.simulate(Echo(), [0.0, 1.0, 2.0], inputs={"u": tw.Signal([0.0, 1.0], [3.0, 4.0])})
    assert sol["seen"][0].tolist() == [3.0, 4.0, 4.0]
