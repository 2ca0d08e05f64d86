"""Derivatives across events: saltation of the numerical map, with its steps frozen."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.event_models import Ball, Wall, bounces, wave
from tests.engines.models import Custom
from tests.engines.test_gradient import check
from twinml.engines.eager import EagerEngine
from twinml.engines.linearise import linearise
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.solve.status import Status

OPTIONS = {
    "rk4": {"method": "rk4", "dt": 0.1},
    "tsit5": {"method": "tsit5", "rtol": 1e-11, "atol": 1e-13},
    "rodas5p": {"method": "rodas5p", "dt": 0.1},
    "auto": {"rtol": 1e-11, "atol": 1e-13},
    "vern7": {"method": "vern7", "rtol": 1e-11, "atol": 1e-13},
}
KEEPS = {
    "all": "all",
    "final": "final",
    "quantities": {
        "q": "max(rate) + integral(energy) + time_above(angle, 0.1) + at(angle, 1.3)"
        " + first_time(rate > 0.5) + time_of_max(rate) + mean(rate)"
    },
}
T = [0.0, 0.3, 0.7, 1.0, 1.5]
WEIGHTS = torch.tensor([0.3, -0.2, 1.0, 0.7, 0.5], dtype=torch.float64)


def summed(sol, keep, names, event):
    happened = sol.events[event]
    total = happened.time[0, : int(happened.count)].sum()
    if keep == "all":
        return total + sum((sol[name] * WEIGHTS).sum() for name in names)
    return total + sum(sol[name].sum() for name in (names if keep == "final" else "q"))


@pytest.mark.parametrize("name", OPTIONS)
def test_gradients_of_a_bouncing_ball(name):
    def run(v):
        sol = tw.simulate(
            Ball(), T, {"gravity": v[0], "restitution": v[1]}, {"height": v[2]}, **OPTIONS[name]
        )
        return summed(sol, "all", ("height", "velocity"), "impact")

    check(run, [9.81, 0.7, 1.0])


CASES = [("rodas5p", "all"), *((n, k) for n in ("rk4", "vern7") for k in KEEPS)]


@pytest.mark.parametrize(("name", "keep"), CASES)
def test_gradients_of_a_nonlinear_impact_with_a_moving_change_and_knot(name, keep):
    def run(v):
        signal = tw.Signal(
            torch.stack([v[4] * 0, v[4], v[4] + 2]), torch.stack([v[3], v[3], -v[3]]), "linear"
        )
        sol = tw.simulate(
            Wall(), T, {"wall": v[0], "loss": v[1]}, {"angle": v[2]}, {"drive": signal},
            changes=[tw.Change(v[5], "set", "loss", 0.5)], keep=KEEPS[keep], **OPTIONS[name],
        )  # fmt: skip
        return summed(sol, keep, ("angle", "rate", "energy"), "hit")

    check(run, [-0.1, 0.2, 0.4, 0.7, 0.43, 0.82], rel=2e-6)


def test_the_time_of_a_terminal_event_moves_by_the_implicit_function():
    # sin(w t) / w = 1/2
    w = torch.tensor([0.8, 1.2], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(
        wave(1, terminal=True), [0.0, 3.0], {"w": w}, keep="final", method="vern7",
        rtol=1e-12, atol=1e-14,
    )  # fmt: skip
    assert (sol.status == Status.EVENT_STOP).all()
    angle = torch.asin(w.detach() / 2)
    want = 0.5 / torch.cos(angle) / w.detach() - angle / w.detach() ** 2
    (by_w,) = torch.autograd.grad(sol.events["middle"].first.sum(), w, retain_graph=True)
    assert torch.allclose(by_w, want, rtol=1e-8)
    # The state at the event stays on the guard; v = cos(w t) moves with it.
    by_x, by_v = (torch.autograd.grad(sol[n].sum(), w, retain_graph=True)[0] for n in "xv")
    assert torch.allclose(by_x, torch.zeros_like(by_x), atol=1e-8)
    assert torch.allclose(by_v, -torch.tan(angle) / 2, rtol=1e-7)


def test_samples_after_a_terminal_event_spoil_no_gradient():
    class Stop(Wall):
        @tw.event(direction=-1, terminal=True)
        def hit(self, angle, wall):
            return angle - wall

    start = torch.tensor([0.4, 0.05], dtype=torch.float64, requires_grad=True)
    wall = torch.tensor([-0.1, -1.5], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Stop(), T, {"wall": wall}, {"angle": start}, **OPTIONS["rk4"])
    assert sol.status.tolist() == [Status.EVENT_STOP, 0]
    loss = sol["energy"].nansum() + sol["angle"].nansum() + sol.events["hit"].time.nansum()
    by_start, by_wall = torch.autograd.grad(loss, (start, wall))
    assert torch.isfinite(by_start).all() and by_start.abs().min() > 0
    assert by_wall[0] != 0 and by_wall[1] == 0


def test_a_row_beyond_its_events_has_exactly_zero_gradient():
    e = torch.tensor([0.7, 0.2], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Ball(), [0.0, 1.5], {"restitution": e}, max_events=4, keep="final")
    assert sol.ok.tolist() == [True, False]
    loss = sol["height"][0] + sol.events["impact"].time.nansum()
    (gradient,) = torch.autograd.grad(loss, e)
    assert gradient[0] != 0 and gradient[1] == 0
    assert torch.allclose(sol.events["impact"].time[1].detach(), bounces(4, 0.2), atol=1e-12)


def test_a_grazing_event_is_announced_and_its_gradient_is_finite():
    # y = (t - 1/2)^2 touches zero at a node of the one step.
    touch = type("Touch", (Custom,), {"low": tw.event(direction=-1)(lambda self, y: y)})
    model = touch(lambda t, y, p: 2.0 * p * (t - 0.5))
    p = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    with pytest.warns(UserWarning, match="event 'low' of Touch grazes zero in 1 rows"):
        sol = tw.simulate(
            model, [0.0, 1.25], {"p": p}, {"y": 0.25}, method="rk4", dt=1.25, keep="final"
        )
    assert sol.events["low"].time[0, 0] == 0.5
    (gradient,) = torch.autograd.grad(sol["y"].sum(), p)
    assert torch.isfinite(gradient)


def test_values_with_and_without_gradients_are_the_same():
    for options in OPTIONS.values():
        e = torch.tensor([0.7, 0.6], dtype=torch.float64)
        plain = tw.simulate(Ball(), T, {"restitution": e}, **options)
        traced = tw.simulate(Ball(), T, {"restitution": e.clone().requires_grad_()}, **options)
        for name in ("height", "velocity"):
            assert torch.allclose(
                plain[name], traced[name].detach(), rtol=1e-12, atol=1e-14, equal_nan=True
            )
        assert torch.equal(plain.events["impact"].time.nan_to_num(),
                           traced.events["impact"].time.detach().nan_to_num())  # fmt: skip


def test_going_on_from_a_state_keeps_the_gradient():
    def run(v):
        options = OPTIONS["tsit5"]
        half = tw.simulate(Ball(), [0.0, 0.9], {"restitution": v[0]}, {"height": v[1]}, **options)
        rest = tw.simulate(
            Ball(), [0.9, 1.5], {"restitution": v[0]}, start=half.state, keep="final", **options
        )
        return rest["height"].sum()

    check(run, [0.7, 1.0])


@pytest.mark.parametrize("name", ["rk4", "tsit5", "rodas5p", "auto"])
def test_the_jacobian_of_observations_is_that_of_autograd(name):
    t = torch.tensor([*T, 2.5], dtype=torch.float64)
    options = {k: 1e-7 if k == "rtol" else v for k, v in OPTIONS[name].items()}
    method = options.get("method", "auto")

    def build(theta):
        return build_problem(
            Wall(), t, {"wall": theta[:, 0], "loss": theta[:, 1]}, {"angle": theta[:, 2]},
            {"drive": tw.Signal([0.0, 0.8, 3.0], [0.5, -0.5, 0.0])},
            [tw.Change(theta[:, 3], "set", "loss", 0.4)], **options,
        )  # fmt: skip

    def observe(problem, states):
        outputs = outputs_at(problem, states, problem.t)
        return torch.cat([outputs["energy"].T, states[0].T])

    theta = torch.tensor([[-0.1, 0.2, 0.4, 1.2], [-0.2, 0.1, 0.7, 0.3]], dtype=torch.float64)
    outcome, values, jacobian = linearise(build, observe, theta, method, "eager")
    point = theta.clone().requires_grad_()
    problem = build(point)
    solved = EagerEngine().run(problem, method, "frozen")
    assert (solved.events["hit"].count > 1).all() and (outcome.status == 0).all()
    want = observe(problem, solved.states)
    assert torch.allclose(values, want.detach(), rtol=1e-11, atol=1e-13)
    for sample in range(want.shape[0]):
        (row,) = torch.autograd.grad(want[sample].sum(), point, retain_graph=True)
        assert torch.allclose(jacobian[sample], row, rtol=1e-8, atol=1e-10), sample


def test_the_restitution_of_a_ball_is_calibrated_from_a_record():
    class Seen(Ball):
        seen = tw.Output("m")

        def outputs(self, height):
            return {"seen": height}

    t = torch.linspace(0.0, 1.4, 71, dtype=torch.float64)
    truth = tw.simulate(Seen(), t, {"restitution": 0.62, "gravity": 9.7}, {"height": 1.1})
    noise = 1e-3 * torch.randn(71, generator=torch.Generator().manual_seed(0)).double()
    record = tw.Record(
        time=t.numpy(), columns={"seen": (truth["seen"][0] + noise).numpy()}, units={"seen": "m"}
    )
    model = type("Fitted", (Seen,), {
        "restitution": tw.Parameter("1", default=0.7, low=0.1, high=0.99),
        "gravity": tw.Parameter("m/s^2", default=9.81, low=5.0, high=15.0),
        "height": tw.State("m", initial=1.0, low=0.5, high=2.0),
    })()  # fmt: skip
    cal = tw.calibrate(
        model, record, fit=["restitution", "gravity"], fit_initial=["height"], starts=8, seed=0
    )
    want = {"restitution": 0.62, "gravity": 9.7, "initial.height": 1.1}
    for name, value, std in zip(cal.names, cal.values, cal.std, strict=True):
        assert abs(value - want[name]) < 4 * std and std < 0.01, (name, value, std)
    assert math.isfinite(sum(cal.std))
