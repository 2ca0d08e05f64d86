"""Events happen when their guard reaches zero, in order, once each."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.engines import work
from tests.engines.event_models import Ball, Ramp, Wall, bounces, wave
from tests.engines.models import Custom, Decay
from tests.solve.convergence import slope_of
from twinml.errors import ArgumentError, ShapeError
from twinml.solve.status import Status

pytestmark = pytest.mark.usefixtures("engine")

FINE = {"rtol": 1e-11, "atol": 1e-13}
T = torch.linspace(0.0, 2.0, 41, dtype=torch.float64)
METHODS = [
    {"method": "tsit5"}, {"method": "dopri5"}, {"method": "vern7"}, {"method": "rodas5p"},
    {"method": "auto"}, {"method": "rk4", "dt": 0.13}, {"method": "rodas5p", "dt": 0.1},
    {"method": "tsit5", "dt": 0.7},
]  # fmt: skip
ALL = pytest.mark.parametrize("options", METHODS, ids=lambda o: "-".join(map(str, o.values())))


def times(sol, name, row=0):
    event = sol.events[name]
    return event.time[row, : event.count[row]]


@ALL
def test_a_ball_bounces_when_it_must(options):
    sol = tw.simulate(Ball(), T, {"restitution": [0.7, 0.5, 0.6]}, {"height": [1, 0.3, 9]},
                      **options)  # fmt: skip
    # The second would bounce infinitely often before the end.
    assert sol.status.tolist() == [0, Status.EVENT_LIMIT, 0]
    for row, (e, h) in enumerate([(0.7, 1.0), (0.5, 0.3), (0.6, 9.0)]):
        found = times(sol, "impact", row)[:12]
        want = bounces(len(found), e, 9.81, h)
        assert torch.allclose(found, want, rtol=0, atol=1e-12), row
    assert sol.events["impact"].time.shape == (3, 100)
    assert sol.events["impact"].count.tolist()[::2] == [4, 1]
    assert torch.isnan(sol.events["impact"].time[0, 4:]).all()
    first = bounces(1)
    before = first > T
    assert torch.allclose(sol["height"][0][before], 1 - 0.5 * 9.81 * T[before] ** 2, atol=1e-12)


@pytest.mark.parametrize("direction", [-1, 0, 1])
@pytest.mark.parametrize("method", ["tsit5", "rodas5p", "vern7"])
def test_only_crossings_of_its_direction_are_events(direction, method):
    rtol, stop = {"tsit5": (1e-10, 9.0), "rodas5p": (1e-9, 9.0), "vern7": (1e-11, 20.0)}[method]
    sol = tw.simulate(wave(direction), [0.0, stop], method=method, rtol=rtol, atol=1e-12)
    up = [math.pi / 6 + 2 * math.pi * k for k in range(4)]
    down = [5 * math.pi / 6 + 2 * math.pi * k for k in range(3)]
    want = [t for t in {1: up, -1: down, 0: sorted(up + down)}[direction] if t < stop]
    assert times(sol, "middle").tolist() == pytest.approx(want, abs=10 * rtol)


@pytest.fixture(scope="module")
def wall():
    """Time of the first hit, and the states when as much time has passed again."""
    options = {"method": "vern7", "rtol": 1e-13, "atol": 1e-14}
    hit = float(times(tw.simulate(Wall(), [0.0, 1.0], **options), "hit")[0])
    sol = tw.simulate(Wall(), [0.0, 2 * hit], keep="final", **options)
    assert int(sol.events["hit"].count) == 1
    return hit, sol


@pytest.mark.parametrize(
    ("name", "counts"), [("tsit5", [30, 40, 48]), ("rodas5p", [12, 16, 24]), ("rk4", [24, 48])]
)
def test_an_event_does_not_cost_the_order(name, counts, wall):
    hit, exact = wall
    errors = []
    for count in counts:  # the event halves a step, whatever the count
        dt = hit / (count + 0.5)
        sol = tw.simulate(Wall(), [0.0, 2 * hit], keep="final", method=name, dt=dt)
        gaps = [3.0 * (sol["angle"] - exact["angle"]), sol["rate"] - exact["rate"]]
        errors.append(float(torch.cat(gaps).norm()))
    order = {"rk4": 4}.get(name, 5)
    assert slope_of(errors, [n + 0.5 for n in counts]) == pytest.approx(order, abs=0.15)


def test_several_events_in_one_step_are_found_one_by_one():
    sol = tw.simulate(Ball(), [0.0, 2.0], method="rk4", dt=2.0)
    assert torch.allclose(times(sol, "impact"), bounces(4), atol=1e-12)
    # Up and down through the same level in one step.
    model = type("Hill", (Custom,), {"top": tw.event()(lambda self, y: y - 0.8)})
    hill = model(lambda t, y, p: 4.0 * (1.0 - 2.0 * t))  # y = 4 t (1 - t)
    sol = tw.simulate(hill, [0.0, 1.0], initial={"y": 0.0}, method="tsit5", dt=1.0)
    half = math.sqrt(0.05)
    assert times(sol, "top").tolist() == pytest.approx([0.5 - half, 0.5 + half], abs=1e-12)


class Pair(tw.Physics):
    """Two guards that reach zero together; ``trace`` writes down who came first."""

    x = tw.State("1", initial=0.0)
    trace = tw.State("1", initial=0.0)
    shift = tw.Parameter("1", default=0.0)

    def rhs(self, x, trace):
        return {"x": 1.0 + 0.0 * x, "trace": 0.0 * trace}

    @tw.event(direction=1)
    def first(self, x):
        return x - 0.3

    @first.reset
    def first(self, trace):
        return {"trace": 10.0 * trace + 1.0}

    @tw.event(direction=-1)
    def second(self, x, shift):
        return 0.9 - 3.0 * (x - shift)

    @second.reset
    def second(self, trace):
        return {"trace": 10.0 * trace + 2.0}


@ALL
def test_ties_are_taken_in_the_order_declared(options):
    sol = tw.simulate(Pair(), [0.0, 1.0], {"shift": [0.0, 1e-3, -1e-3]}, **options)
    assert sol["trace"][:, -1].tolist() == [12.0, 12.0, 21.0]
    for name in ("first", "second"):
        assert sol.events[name].count.tolist() == [1, 1, 1]
        assert float(times(sol, name)[0]) == pytest.approx(0.3, abs=1e-12)


def test_a_reset_may_carry_the_state_across_another_guard():
    class Chain(Ramp):
        @tw.event(direction=-1)
        def low(self, x):
            return x + 3.0

        @low.reset
        def low(self, x):
            return {"x": 0.0 * x}

    sol = tw.simulate(Chain(), [0.0, 2.5], {"back": [-4.0, -2.0]})
    assert sol.events["full"].count.tolist() == [2, 1]
    assert sol.events["low"].count.tolist() == [2, 0]
    assert torch.equal(times(sol, "full"), times(sol, "low"))
    assert sol["x"][:, -1].tolist() == pytest.approx([0.5, -0.5], abs=1e-12)


def test_an_event_without_a_reset_changes_nothing():
    plain = tw.simulate(wave(0).__class__.__bases__[0](), [0.0, 5.0, 9.0], method="vern7", **FINE)
    watched = tw.simulate(wave(0), [0.0, 5.0, 9.0], method="vern7", **FINE)
    assert torch.allclose(plain["x"], watched["x"], atol=1e-10)


# Guards at zero


def test_a_guard_that_starts_at_zero_has_to_leave_it_first():
    sol = tw.simulate(Ball(), [0.0, 1.1], initial={"height": 0.0, "velocity": [4.905, 0.4905]})
    assert sol.status.tolist() == [0, Status.EVENT_LIMIT]
    assert times(sol, "impact", 0).tolist() == pytest.approx([1.0], abs=1e-12)
    assert times(sol, "impact", 1)[:3].tolist() == pytest.approx([0.1, 0.17, 0.219], abs=1e-12)
    resting = tw.simulate(Ball(), [0.0, 5.0], {"gravity": 0.0}, {"height": 0.0})
    assert resting.events["impact"].count.tolist() == [0] and resting["height"][0, -1] == 0.0
    # Leaving to the far side is no crossing from the near one.
    fallen = tw.simulate(Ball(), [0.0, 1.0], initial={"height": 0.0, "velocity": -1.0})
    assert fallen.events["impact"].count.tolist() == [0] and fallen["height"][0, -1] < 0


@ALL
@pytest.mark.parametrize("restitution", [0.1, 0.5, 0.8])
def test_bounces_that_never_end_are_stopped_after_few_evaluations(options, restitution):
    model = Ball()
    sol = tw.simulate(model, [0.0, 9.0], {"restitution": restitution}, **options)
    assert int(sol.status) == Status.EVENT_LIMIT and not sol.ok.any()
    end = float(bounces(1)) * (1 + 2 * restitution / (1 - restitution))
    assert float(sol.fail_time) == pytest.approx(end, abs=1e-5)
    assert float(sol.state.y[0]) == pytest.approx(0.0, abs=1e-12)  # not below the ground
    assert 3 <= int(sol.events["impact"].count) <= 100 and work(model, sol) < 3000


def test_two_resets_that_undo_each_other_end_at_their_instant():
    class Flip(Custom):
        @tw.event()
        def low(self, y):
            return y - 0.5

        @low.reset
        def low(self):
            return {"y": 2.0}

        @tw.event()
        def high(self, y):
            return y - 1.0

        @high.reset
        def high(self):
            return {"y": 0.0}

    model = Flip(lambda t, y, p: torch.ones_like(y))
    sol = tw.simulate(model, [0.0, 1.0], initial={"y": [0.0, -9.0]})
    assert sol.status.tolist() == [Status.EVENT_LIMIT, 0] and work(model, sol) < 100
    assert float(sol.fail_time[0]) == pytest.approx(0.5, abs=1e-15)
    assert sol.events["low"].count.tolist() == sol.events["high"].count.tolist() == [100, 0]


def test_one_more_than_max_events_is_a_failure():
    want = bounces(5)
    keep = {"top": "max(height)"}
    for kept in ("all", "final", keep):
        sol = tw.simulate(Ball(), T, keep=kept, max_events=3)
        assert int(sol.status) == Status.EVENT_LIMIT and not sol.ok.any()
        assert float(sol.fail_time) == pytest.approx(float(want[3]), abs=1e-12)
        assert times(sol, "impact").tolist() == pytest.approx(want[:3].tolist(), abs=1e-12)
        assert sol.events["impact"].time.shape == (1, 3)
    sol = tw.simulate(Ball(), T, max_events=3)
    assert torch.equal(torch.isnan(sol["height"][0]), sol.fail_time < T)
    assert tw.simulate(Ball(), T, max_events=4).ok.all()
    with pytest.raises(tw.TwinmlError, match="EVENT_LIMIT: more events than max_events"):
        sol.raise_if_failed()


# Save points, boundaries and ends

EXACT = {"method": "euler", "dt": 0.25}  # no rounding on a ramp


def test_a_sample_at_an_event_shows_what_the_event_left():
    sol = tw.simulate(Ramp(), [0.0, 0.75, 1.0, 1.0, 1.5], **EXACT)
    assert sol["x"][0].tolist() == [0.0, 0.75, -4.0, -4.0, -3.5]
    keep = {"at": "at(x, 1)", "before": "at(x, 0.75)", "max": "max(x)", "min": "min(x)"}
    sol = tw.simulate(Ramp(), [0.0, 1.5], keep=keep, **EXACT)
    assert [float(sol[name]) for name in keep] == [-4.0, 0.75, 1.0, -4.0]


def test_an_event_at_the_end_happens():
    keep = {"end": "final(x)", "min": "min(x)", "at": "at(x, 1)", "mean": "mean(x)",
            "first": "first_time(x < -1)"}  # fmt: skip
    for kept, want in (("all", None), ("final", None), (keep, [-4.0, -4.0, -4.0, 0.5, 1.0])):
        sol = tw.simulate(Ramp(), [0.0, 0.5, 1.0], keep=kept, **EXACT)
        assert sol.ok.all() and times(sol, "full").tolist() == [1.0]
        assert float(sol.state.y) == -4.0
        if want is None:
            assert float(sol["x"][0, -1] if kept == "all" else sol["x"]) == -4.0
        else:
            assert [float(sol[name]) for name in keep] == pytest.approx(want, abs=1e-15)


@pytest.mark.parametrize("options", [EXACT, {"method": "tsit5", "max_step": 0.25}], ids=str)
def test_a_reset_at_a_boundary_sees_what_holds_from_there_on(options):
    u = tw.Signal([0.0, 1.0, 3.0], [0.0, 1.0, 2.0])
    sol = tw.simulate(Ramp(), [0.0, 1.0, 1.5], inputs={"u": u}, **EXACT)
    assert sol["x"][0].tolist() == [0.0, -3.0, -2.5]
    changed = [tw.Change(1.0, "set", "back", -2.0), tw.Change(1.0, "set", "slope", 2.0)]
    sol = tw.simulate(Ramp(), [0.0, 1.0, 1.5], changes=changed, **EXACT)
    assert sol["x"][0].tolist() == [0.0, -2.0, -1.0]
    # Where the reset itself reaches the boundary, and after it.
    late = [tw.Change(1.125, "set", "slope", 2.0)]
    sol = tw.simulate(Ramp(), [0.0, 1.5], changes=late, **options)
    assert float(sol["x"][0, -1]) == pytest.approx(-4 + 0.125 + 0.75, abs=1e-12)


class Valve(tw.Physics):
    """Opens while the command is above the threshold; ``open`` is a state of events alone."""

    open = tw.State("1", initial=0.0)
    passed = tw.State("1", initial=0.0)
    u = tw.Input("1", default=0.0)
    threshold = tw.Parameter("1", default=0.5)

    def rhs(self, open):
        return {"open": 0.0 * open, "passed": open}

    @tw.event(direction=1)
    def rise(self, u, threshold):
        return u - threshold

    @rise.reset
    def rise(self):
        return {"open": 1.0}

    @tw.event(direction=-1)
    def fall(self, u, threshold):
        return u - threshold

    @fall.reset
    def fall(self):
        return {"open": 0.0}


@pytest.mark.parametrize("options", [{"method": "rk4", "dt": 0.3}, {}, {"method": "rodas5p"}],
                         ids=str)  # fmt: skip
def test_inputs_and_changes_that_jump_across_a_guard_are_events_at_their_time(options):
    held = tw.Signal([0.0, 1.0, 2.5], [0.0, 1.0, 0.0])
    sol = tw.simulate(Valve(), [0.0, 1.0, 2.5, 3.0], inputs={"u": held}, **options)
    assert times(sol, "rise").tolist() == [1.0] and times(sol, "fall").tolist() == [2.5]
    assert sol["open"][0].tolist() == [0.0, 1.0, 0.0, 0.0]
    assert float(sol["passed"][0, -1]) == pytest.approx(1.5, abs=1e-12)
    linear = tw.Signal([0.0, 1.0, 2.0, 4.0], [0.0, 1.0, 0.0, 0.0], kind="linear")
    sol = tw.simulate(Valve(), [0.0, 3.0], inputs={"u": linear}, **options)
    assert times(sol, "rise").tolist() == pytest.approx([0.5], abs=1e-14)
    assert times(sol, "fall").tolist() == pytest.approx([1.5], abs=1e-14)
    change = tw.Change(1.25, "set", "threshold", -1.0, until=2.0)
    sol = tw.simulate(Valve(), [0.0, 3.0], changes=[change], **options)
    assert times(sol, "rise").tolist() == [1.25] and times(sol, "fall").tolist() == [2.0]
    assert float(sol["passed"][0, -1]) == pytest.approx(0.75, abs=1e-12)


# Terminal events


@ALL
def test_a_terminal_event_ends_its_row_and_is_no_failure(options):
    class Drop(Ball):
        @tw.event(direction=-1, terminal=True)
        def impact(self, height):
            return height

    landing = bounces(1)
    sol = tw.simulate(Drop(), T, {"gravity": [9.81, 0.1]}, **options)
    assert sol.status.tolist() == [Status.EVENT_STOP, 0] and sol.ok.all()
    assert torch.isnan(sol.fail_time).all() and sol.raise_if_failed() is sol
    assert torch.allclose(sol.events["impact"].first[:1], landing, atol=1e-12)
    assert torch.equal(torch.isnan(sol["height"][0]), landing < T)
    assert torch.isfinite(sol["height"][1]).all()
    v = -9.81 * float(landing)
    assert float(sol.state.y[1, 0]) == pytest.approx(-0.7 * v, abs=1e-10)  # after its reset
    final = tw.simulate(Drop(), T, keep="final", **options)
    assert float(final["velocity"][0]) == pytest.approx(-0.7 * v, abs=1e-10)
    keep = {"end": "final(velocity)", "fall": "integral(velocity)", "mean": "mean(velocity)",
            "low": "min(velocity)", "at": "at(height, 1)", "above": "time_above(height, 0.5)",
            "never": "first_time(height < -1)"}  # fmt: skip
    sol = tw.simulate(Drop(), T, keep=keep, **options)
    want = [-0.7 * v, -1.0, -1.0 / float(landing), v, math.nan, math.sqrt(1 / 9.81), math.inf]
    got = [float(sol[name][0]) for name in keep]
    assert got == pytest.approx(want, abs=1e-9, nan_ok=True)


# Rows, starts, phases


def test_an_event_leaves_other_rows_unchanged():
    options = {"keep": "all", "method": "auto"}
    drive = {"drive": [0.3, 0.1, 0.2]}
    calm = tw.simulate(Wall(), T, {"wall": [-0.1, -1.5, -0.2]}, inputs=drive, **options)
    hit = tw.simulate(Wall(), T, {"wall": [-0.1, -0.1, -0.2]}, inputs=drive, **options)
    lost = tw.simulate(Wall(), T, {"wall": [-0.1, math.nan, -0.2]}, inputs=drive, **options)
    assert calm.events["hit"].count[1] == 0 and hit.events["hit"].count[1] > 0
    assert lost.status.tolist() == [0, Status.NOT_FINITE, 0]
    for other in (hit, lost):
        for row in (0, 2):
            for name in ("angle", "rate", "energy"):
                assert torch.equal(calm[name][row], other[name][row])
            assert torch.equal(times(calm, "hit", row), times(other, "hit", row))


@ALL
@pytest.mark.parametrize("place", ["before", "at", "after"])
def test_going_on_from_a_state_equals_one_run(options, place):
    whole = tw.simulate(Ball(), [0.0, 2.0], **options)
    second = float(times(whole, "impact")[1])
    split = {"before": second - 1e-3, "at": second, "after": second + 1e-9}[place]
    half = tw.simulate(Ball(), [0.0, split], **options)
    rest = tw.simulate(Ball(), [split, 2.0], start=half.state, **options)
    joined = torch.cat([times(half, "impact"), times(rest, "impact")])
    assert torch.allclose(joined, times(whole, "impact"), rtol=0, atol=1e-11)
    assert torch.allclose(rest["height"][0, -1], whole["height"][0, -1], atol=1e-9)


def test_going_on_behind_a_terminal_event_does_not_repeat_it():
    model = wave(0, terminal=True)
    sol = tw.simulate(model, [0.0, 9.0], method="vern7", **FINE)
    found = []
    for _ in range(3):
        found += times(sol, "middle").tolist()
        begin = float(sol.state.t)
        sol = tw.simulate(model, [begin, 9.0], start=sol.state, method="vern7", **FINE)
    want = [math.pi / 6, 5 * math.pi / 6, math.pi / 6 + 2 * math.pi]
    assert found == pytest.approx(want, abs=1e-9)


def test_a_guard_that_a_new_parameter_moves_across_zero_fires_at_the_start():
    half = tw.simulate(Valve(), [0.0, 1.0], inputs={"u": 0.4})
    rest = tw.simulate(Valve(), [1.0, 2.0], {"threshold": 0.3}, inputs={"u": 0.4},
                       start=half.state)  # fmt: skip
    assert times(rest, "rise").tolist() == [1.0]
    assert float(rest["passed"][0, -1]) == pytest.approx(1.0, abs=1e-12)
    fresh = tw.simulate(Valve(), [1.0, 2.0], {"threshold": 0.3}, inputs={"u": 0.4})
    assert int(fresh.events["rise"].count) == 0


def test_a_row_handed_over_to_the_stiff_method_keeps_its_events():
    class Stiff(Custom):
        @tw.event()
        def level(self, y):
            return y - 0.5

        @level.reset
        def level(self, y):
            return {"y": y + 0.0}

    model = Stiff(lambda t, y, p: -p * (y - torch.cos(t)))
    sol = tw.simulate(model, [0.0, 9.0], {"p": [1e5, 1.0]}, rtol=1e-8)
    assert sol.method.tolist() == ["rodas5p", "tsit5"]
    want = [math.pi / 3, 5 * math.pi / 3, 7 * math.pi / 3]
    assert times(sol, "level").tolist() == pytest.approx(want, abs=2e-5)


# Bad guards, bad arguments


def test_a_guard_that_is_not_a_number_ends_its_row_after_few_evaluations():
    def model(guard):
        return type("Plant", (Custom,), {"low": tw.event()(guard)})(lambda t, y, p: -p + 0.0 * y)

    for options in ({"method": "tsit5"}, {"method": "rodas5p"}, {"method": "rk4", "dt": 0.1}):
        plant = model(lambda self, y: torch.sqrt(y - 0.55))
        sol = tw.simulate(plant, [0.0, 1.0], {"p": [1.0, 0.1]}, **options)
        assert sol.status.tolist() == [Status.NOT_FINITE, 0]
        assert float(sol.fail_time[0]) <= 0.45 + 1e-12 and work(plant, sol) < 1000
        plant = model(lambda self, y: y / 0.0 * 0.0)
        sol = tw.simulate(plant, [0.0, 1.0], **options)
        assert sol.status.tolist() == [Status.NOT_FINITE] and work(plant, sol) <= 3
    # What lies behind an event has not happened.
    beyond = type("Plant", (Custom,), {
        "low": tw.event(terminal=True)(lambda self, y: y - 0.5),
        "root": tw.event()(lambda self, y: torch.sqrt(y - 0.4) + 1.0),
    })  # fmt: skip
    sol = tw.simulate(beyond(lambda t, y, p: -1.0 + 0.0 * y), [0.0, 1.0], method="rk4", dt=1.0)
    assert sol.status.tolist() == [Status.EVENT_STOP]


def test_a_reset_to_nowhere_fails_at_the_event():
    model = type("Plant", (Ramp,), {})()
    sol = tw.simulate(model, [0.0, 3.0], {"back": [math.nan, -4.0]})
    assert sol.status.tolist() == [Status.NOT_FINITE, 0]
    assert float(sol.fail_time[0]) == pytest.approx(1.0, abs=1e-12)


def test_events_backward_and_with_the_adjoint_are_named_errors():
    with pytest.raises(ArgumentError, match=r"t runs backward and Ball has events \['impact'\]"):
        tw.simulate(Ball(), [1.0, 0.0])
    p = torch.tensor(0.5, requires_grad=True)
    with pytest.raises(ArgumentError, match=r"gradient='adjoint' was asked for with events"):
        tw.simulate(Ball(), [0.0, 1.0], {"restitution": p}, gradient="adjoint")


@pytest.mark.parametrize("value", [0, -1, 2.5, "many", True])
def test_max_events_is_a_whole_number(value):
    with pytest.raises(ArgumentError, match=r"max_events=.*whole number from 1"):
        tw.simulate(Ball(), [0.0, 1.0], max_events=value)


def test_a_start_of_another_model_is_refused():
    state = tw.simulate(Ball(), [0.0, 1.0]).state
    two = type("Two", (Ball,), {"top": tw.event()(lambda self, velocity: velocity)})()
    with pytest.raises(ShapeError, match="start knows 1 events and Two has 2"):
        tw.simulate(two, [1.0, 2.0], start=state)


def test_quantities_across_resets_have_their_closed_form():
    g, e = 9.81, 0.7
    first, second, third = bounces(3).tolist()
    speed = g * first
    top = 0.5 * (e * speed) ** 2 / g
    stop = 0.5 * (second + third)  # the top of the second bounce
    keep = {
        "fastest": "max(velocity)", "when": "time_of_max(velocity)", "area": "integral(velocity)",
        "height": "integral(height)", "top": "at(height, peak)", "up": "time_above(velocity, 0)",
        "first": "first_time(velocity > 0)", "slow": "min(velocity)", "mean": "mean(height)",
    }  # fmt: skip
    peak = 0.5 * (first + second)
    sol = tw.simulate(Ball(), [0.0, stop], keep=keep, constants={"peak": peak}, method="vern7")
    area = 2 / 3 * first + 2 / 3 * top * (second - first) + 2 / 3 * e * e * top * (stop - second)
    want = {
        "fastest": e * speed, "when": first, "area": e * e * top - 1.0, "height": area,
        "top": top, "up": 0.5 * (second - first) + stop - second, "first": first, "slow": -speed,
        "mean": area / stop,
    }  # fmt: skip
    for name, value in want.items():
        assert float(sol[name]) == pytest.approx(value, abs=1e-11), name


def test_single_precision_runs():
    sol = tw.simulate(Ball(), T, dtype=torch.float32, rtol=1e-5)
    assert sol.ok.all() and sol.events["impact"].time.dtype == torch.float64
    assert torch.allclose(times(sol, "impact"), bounces(4), atol=1e-5)


def test_a_solution_tells_its_events():
    sol = tw.simulate(Ball(), T)
    assert "event    impact: 4 times in 1 rows, first at t = 0.451524 s" in sol.explain()
    data = sol.to_xarray()
    assert data["impact.time"].shape == (1, 100) and data["impact.count"].item() == 4
    assert tw.simulate(Decay(), [0.0, 1.0]).events == {}
