"""Events of kernels are those of the eager engine: which, when, in what order, what they leave."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.native.compared import Ball, Plate, agree, both, spread
from tests.engines.test_event_ties import Scaled, Together
from twinml.solve.problem import LaneState
from twinml.solve.status import Status

T = torch.linspace(0.0, 6.0, 25, dtype=torch.float64)
ROWS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def cache(folder, monkeypatch):
    """One cache for all tests of this file: they are not about building."""
    monkeypatch.setenv("TWINML_CACHE", str(folder))


def plate(dtype=torch.float64, **options):
    values = {"wall": spread(-0.3, -0.05, ROWS, 1), "loss": spread(0.1, 0.5, ROWS, 2)}
    drive = tw.Signal([0.0, 1.0, 2.5, 6.0], [0.0, 1.0, -2.0, 1.0], kind="linear")
    return both(
        Plate(), T, values, {"angle": spread(0.2, 1.0, ROWS, 3)}, inputs={"drive": drive},
        changes=[tw.Change(spread(2.0, 4.0, ROWS, 4), "set", "loss", 0.0)], dtype=dtype, **options,
    )  # fmt: skip


def test_fixed_steps_agree_with_the_eager_engine_to_rounding():
    eager, native = plate(method="rk4", dt=0.05)
    assert int(eager.events["hit"].count.sum()) > 3 * ROWS
    agree(eager, native, 1e-12)


def test_float32_agrees_to_its_own_rounding():
    keep = {"end": "final(angle)", "top": "max(rate)", "mean": "mean(energy)",
            "when": "first_time(rate < -0.5)", "above": "time_above(angle, 0.1)"}  # fmt: skip
    eager, native = plate(torch.float32, method="rk4", dt=0.05, keep=keep)
    assert torch.equal(native.events["hit"].count, eager.events["hit"].count)
    for name in keep:
        assert torch.allclose(native[name], eager[name], rtol=0, atol=1e-4), name
    times = native.events["hit"].time, eager.events["hit"].time
    assert torch.allclose(*times, rtol=0, atol=1e-5, equal_nan=True)


def test_a_bouncing_ball_has_its_closed_form_and_its_end_is_a_failure():
    heights = torch.cat([spread(0.3, 3.0, 30, 5), spread(0.02, 0.05, 10, 6)])
    with torch.no_grad():
        sol = tw.simulate(
            Ball(), [0.0, 1.5], initial={"height": heights}, method="vern7", engine="native"
        )
    piled = torch.sqrt(2 * heights / 9.81) * (1 + 2 * 0.7 / 0.3) < 1.5
    assert 5 < int(piled.sum()) < 30
    assert torch.equal(sol.status == int(Status.EVENT_LIMIT), piled)
    assert torch.equal(sol.ok, ~piled)
    first = torch.sqrt(2 * heights / 9.81)
    assert torch.allclose(sol.events["impact"].first, first, rtol=0, atol=1e-12)
    second = (first * (1 + 2 * 0.7)).where(sol.events["impact"].count > 1, torch.nan)
    found = sol.events["impact"].time[:, 1]
    assert torch.allclose(found, second, rtol=0, atol=1e-12, equal_nan=True)
    counts = sol.events["top"].count - sol.events["impact"].count
    assert bool((counts[~piled].abs() <= 1).all())


def test_a_row_is_the_same_in_every_bit_wherever_it_runs():
    heights = spread(0.05, 3.0, 61, 7)
    order = torch.randperm(61, generator=torch.Generator().manual_seed(8))
    keep = {"peak": "max(velocity)", "when": "time_of_max(velocity)", "up": "time_above(height, 1)",
            "below": "first_time(height < 0.2)", "mean": "mean(height)"}  # fmt: skip

    def run(heights):
        with torch.no_grad():
            return tw.simulate(
                Ball(), [0.0, 1.5], initial={"height": heights}, keep=keep, method="tsit5",
                engine="native",
            )  # fmt: skip

    whole, mixed, alone = run(heights), run(heights[order]), run(heights[17:18])
    for found, rows in ((mixed, order), (alone, torch.tensor([17]))):
        assert torch.equal(found.steps, whole.steps[rows])
        for name in keep:
            assert torch.equal(found[name].nan_to_num(-1), whole[name][rows].nan_to_num(-1)), name
        for name, event in whole.events.items():
            times = found.events[name].time, event.time[rows]
            assert torch.equal(times[0].nan_to_num(-1), times[1].nan_to_num(-1))


@pytest.mark.parametrize("dt", [0.3, 0.25])
def test_guards_that_meet_happen_once_each_in_the_same_order(dt):
    agree(*both(Together(), [0.0, 0.7, 1.3, 3.0], method="rk4", dt=dt), 1e-13)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_ties_count_once_whatever_their_rounding(dtype):
    speed = torch.linspace(0.3, 7, 200, dtype=torch.float64)
    with torch.no_grad():
        sol = tw.simulate(
            Scaled(), [0.0, 1.7], {"speed": speed}, method="tsit5", engine="native", dtype=dtype
        )
    assert bool(sol.ok.all())
    assert all(bool((event.count == 1).all()) for event in sol.events.values())


class Tank(tw.Physics):
    """A level that rises by an input until it is full, where the row ends."""

    level = tw.State("1", initial=0.0)
    full = tw.Parameter("1", default=1.0)
    inflow = tw.Input("1/s", default=1.0)

    def rhs(self, level, inflow):
        return {"level": inflow + 0 * level}

    @tw.event(direction=-1, terminal=True)
    def brim(self, level, full):
        return torch.log(full + 1) - torch.log(level + 1)

    @brim.reset
    def brim(self, level):
        return {"level": 0.5 * level}

    @tw.event()
    def pulse(self, inflow):
        return inflow - 2.5

    @pulse.reset
    def pulse(self, level):
        return {"level": level - 0.25}


def test_a_terminal_event_ends_its_row_after_its_reset():
    full = torch.tensor([0.5, 1.0, 1.5, 9.0], dtype=torch.float64)
    inflow = tw.Signal([0.0, 1.0], [1.0, 3.0])
    for keep in ("all", {"mean": "mean(level)", "end": "final(level)", "top": "max(level)"}):
        eager, native = both(
            Tank(), torch.linspace(0, 2, 9), {"full": full}, inputs={"inflow": inflow},
            method="heun", dt=0.125, keep=keep,
        )  # fmt: skip
        agree(eager, native, 1e-14)
    assert native.status.tolist() == [16, 16, 16, 0] and bool(native.ok.all())
    # At t = 1 the inflow passes 2.5: a boundary, then the event, which takes a quarter away.
    assert native.events["pulse"].count.tolist() == [0, 0, 1, 1]
    assert native["end"].tolist() == pytest.approx([0.25, 0.5, 0.75, 3.75])


def test_a_run_in_two_parts_remembers_the_sides_of_its_guards():
    first, second = [0.0, 0.45152364098573087], [0.45152364098573087, 1.0]
    for engine in ("eager", "native"):
        with torch.no_grad():
            start = tw.simulate(Ball(), first, method="rk4", dt=0.1, engine=engine)
            assert start.state.side is not None and start.state.near is not None
            sol = tw.simulate(Ball(), second, method="rk4", dt=0.1, engine=engine,
                              start=start.state)  # fmt: skip
        total = [int(s.events["impact"].count + s.events["top"].count) for s in (start, sol)]
        assert (sum(total), start.state.side.dtype) == (2, torch.int64), engine
        assert bool((sol["height"] > -1e-12).all())


def test_a_moved_guard_of_a_continued_run_has_crossed():
    with torch.no_grad():
        state = tw.simulate(Ball(), [0.0, 0.1], method="rk4", dt=0.05, engine="native").state
    moved = LaneState(state.t, state.y.clone(), state.h, side=state.side, near=state.near)
    moved.y[0] -= 5.0  # under the floor: the impact comes first thing
    agree(*both(Ball(), [0.1, 0.2], method="rk4", dt=0.05, start=moved), 1e-14)


def test_more_events_than_allowed_are_a_failure():
    eager, native = both(
        Plate(), [0.0, 6.0], {"wall": [-0.1, 9.0]}, method="rk4", dt=0.05, max_events=2,
        keep="final",
    )  # fmt: skip
    agree(eager, native, 1e-12)
    assert native.status.tolist()[0] == int(Status.EVENT_LIMIT)


class Edge(tw.Physics):
    """A guard that knows its state up to ``edge`` only."""

    x = tw.State("1", initial=0.0)
    edge = tw.Parameter("1", default=1.0)

    def rhs(self, x):
        return {"x": 1 + 0 * x}

    @tw.event(direction=-1)
    def close(self, x, edge):
        return torch.sqrt(edge - x) + 0.1


def test_a_guard_that_is_not_finite_fails_its_row():
    edge = torch.tensor([0.5, 2.0, -1.0], dtype=torch.float64)
    for options in ({"method": "rk4", "dt": 0.125}, {"method": "tsit5"}):
        eager, native = both(Edge(), [0.0, 1.0], {"edge": edge}, **options)
        assert native.status.tolist() == [4, 0, 4] and eager.status.tolist() == [4, 0, 4]
        assert float(native.fail_time[2]) == 0.0
        assert float(native.fail_time[0]) == pytest.approx(0.5, abs=0.13)
        assert torch.equal(native.events["close"].count, eager.events["close"].count)


class Kicked(tw.Physics):
    """A relaxation that turns stiff half-way, kicked each time its clock passes a whole number."""

    y = tw.State("1", initial=1.0)
    swing = tw.State("1", initial=0.0)
    rate = tw.Parameter("1/s", default=1.0)

    def rhs(self, t, y, rate):
        fast = torch.where(t < 2.0, rate, 1e4 * rate)
        return {"y": -fast * (y - torch.cos(t)), "swing": math.pi * torch.cos(math.pi * t)}

    @tw.event()
    def beat(self, swing):
        return swing

    @beat.reset
    def beat(self, y):
        return {"y": y + 0.1}


def test_events_go_on_where_a_stiff_row_is_handed_over():
    rate = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    keep = {"end": "final(y)", "mean": "mean(y)", "top": "max(swing)", "start": "initial(y)"}
    eager, native = both(Kicked(), [0.0, 4.5], {"rate": rate}, method="auto", keep=keep)
    assert native.method == eager.method == "rodas5p"
    assert torch.equal(native.events["beat"].count, eager.events["beat"].count)
    assert native.events["beat"].count.tolist() == [4, 4, 4]
    for name in keep:
        assert torch.allclose(native[name], eager[name], rtol=0, atol=1e-5), name
