"""Guards that reach zero together, where rounding decides which sign each of them shows."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw

pytestmark = pytest.mark.usefixtures("engine")


class Together(tw.Physics):
    """Four guards of one instant, t = 1, none of which moves the others; ``order`` notes them."""

    x = tw.State("1", initial=0.0)
    order = tw.State("1", initial=0.0)

    def rhs(self, x, order):
        return {"x": 1 + 0 * x, "order": 0 * order}

    @tw.event(direction=1)
    def one(self, x):
        return x - 1

    @one.reset
    def one(self, order):
        return {"order": 10 * order + 1}

    @tw.event(direction=0)
    def two(self, x):
        return 3 * (x - 1)

    @two.reset
    def two(self, order):
        return {"order": 10 * order + 2}

    @tw.event(direction=1)
    def three(self, t):
        return t - 1

    @three.reset
    def three(self, order):
        return {"order": 10 * order + 3}

    @tw.event(direction=-1)
    def four(self, x):
        return torch.cos(x * math.pi / 2)

    @four.reset
    def four(self, order):
        return {"order": 10 * order + 4}


@pytest.mark.parametrize(
    "options",
    [{"method": "tsit5"}, {"method": "rodas5p"}, {"method": "rk4", "dt": 0.3},
     {"method": "euler", "dt": 0.25}],
    ids=lambda o: o["method"],
)  # fmt: skip
def test_guards_that_meet_within_rounding_each_happen_once(options):
    sol = tw.simulate(Together(), torch.linspace(0, 3, 7, dtype=torch.float64), **options)
    assert bool(sol.ok.all())
    assert {name: int(e.count[0]) for name, e in sol.events.items()} == dict.fromkeys(
        ("one", "two", "three", "four"), 1
    )
    assert sorted(str(int(sol["order"][0, -1]))) == ["1", "2", "3", "4"]


class Drop(tw.Physics):
    """A ball that bounces, with nothing that would set its height at the floor."""

    height = tw.State("m", initial=1.0)
    velocity = tw.State("m/s", initial=0.0)

    def rhs(self, velocity):
        return {"height": velocity, "velocity": -9.81 + 0 * velocity}

    @tw.event(direction=-1)
    def impact(self, height):
        return height

    @impact.reset
    def impact(self, velocity):
        return {"velocity": -0.7 * velocity}


@pytest.mark.parametrize("options", [{}, {"method": "rodas5p"}, {"method": "rk4", "dt": 0.05}])
def test_what_a_guard_waits_for_holds_at_its_event(options):
    height = torch.linspace(0.3, 1.3, 40, dtype=torch.float64)
    sol = tw.simulate(
        Drop(), [0.0, 1.0], initial={"height": height}, keep={"down": "first_time(height <= 0)"},
        **options,
    )  # fmt: skip
    # Left on this side of zero by rounding, some rows would say the second impact, or never.
    torch.testing.assert_close(sol["down"], torch.sqrt(2 * height / 9.81), rtol=0, atol=1e-12)


def test_event_times_of_a_batch_that_failed_altogether_have_exactly_zero_gradient():
    class Broken(Drop):
        share = tw.Parameter("1", default=0.7)

        def rhs(self, t, velocity):
            fall = -9.81 + 0 * torch.log(0.6 - t)
            return {"height": velocity, "velocity": fall + 0 * velocity}

        @tw.event(direction=-1)
        def impact(self, height):
            return height

        @impact.reset
        def impact(self, velocity, share):
            return {"velocity": -share * velocity}

    share = torch.tensor([0.5, 0.6], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Broken(), [0.0, 1.0], {"share": share})
    assert not sol.ok.any() and sol.events["impact"].count.tolist() == [1, 1]
    (sol.events["impact"].first.sum() + sol.state.y.sum()).backward()
    assert share.grad is not None and share.grad.tolist() == [0.0, 0.0]


class Scaled(tw.Physics):
    """Four guards of t = 1, each with rounding of its own, at a speed that differs by row."""

    x = tw.State("1", initial=0.0)
    speed = tw.Parameter("1/s", default=1.0)

    def rhs(self, x, speed):
        return {"x": speed + 0 * x}

    @tw.event()
    def share(self, x, speed):
        return x / speed - 1

    @tw.event()
    def distance(self, x, speed):
        return 3 * (x - speed)

    @tw.event()
    def clock(self, t):
        return t - 1

    @tw.event()
    def swing(self, x, speed):
        return torch.sin(math.pi * x / speed)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("dt", [None, 0.25, 0.2, 0.125])
def test_ties_count_once_whatever_their_rounding(dt, dtype):
    speed = torch.linspace(0.3, 7, 200, dtype=torch.float64)
    method = "tsit5" if dt is None else "rk4"
    sol = tw.simulate(Scaled(), [0.0, 1.7], {"speed": speed}, method=method, dt=dt, dtype=dtype)
    assert bool(sol.ok.all())
    # ``swing`` is left behind a tie where it crosses zero between earlier nodes of a step.
    assert all(bool((event.count == 1).all()) for event in sol.events.values())


@pytest.mark.parametrize("options", [{}, {"method": "rk4", "dt": 0.05}])
def test_a_second_guard_lets_no_ball_through_the_floor(options):
    class Watched(Drop):
        @tw.event(direction=-1)
        def top(self, velocity):
            return velocity

    height = torch.linspace(0.02, 0.1, 20, dtype=torch.float64)
    sol = tw.simulate(Watched(), [0.0, 1.2], initial={"height": height}, **options)
    # The bounces end at sqrt(2 h / g) (1 + 2 e / (1 - e)), before 1.2 s, in the lower ones.
    end = torch.sqrt(2 * height / 9.81) * (1 + 1.4 / 0.3)
    assert torch.equal(sol.ok, end > 1.2)
    assert bool((sol["height"][sol.ok] > -1e-12).all())


@pytest.mark.parametrize("method", ["tsit5", "vern7", "rodas5p"])
def test_bounces_that_vanish_end_as_a_failure_though_another_event_parts_them(method):
    class Ball(tw.Physics):
        x = tw.State("m", initial=1.0)
        v = tw.State("m/s", initial=0.0)

        def rhs(self, v):
            return {"x": v, "v": -9.81 + 0.0 * v}

        @tw.event(direction=-1)
        def hit(self, x):
            return x

        @hit.reset
        def hit(self, v):
            return {"v": -0.7 * v}

        @tw.event(direction=-1)
        def top(self, v):
            return v

    height = torch.linspace(0.02, 0.1, 12, dtype=torch.float64)
    sol = tw.simulate(Ball(), [0.0, 1.2], initial={"x": height}, method=method)
    assert (sol.status == int(tw.Status.EVENT_LIMIT)).all()
    # It stops where the bounces pile up: sqrt(2 h / g) (1 + e) / (1 - e).
    last = torch.sqrt(2.0 * height / 9.81) * 1.7 / 0.3
    assert torch.allclose(sol.fail_time, last, rtol=2e-6)
