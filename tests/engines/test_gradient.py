"""Gradients are those of the numerical map with its steps frozen."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Decay, Forced, Oscillator, Polynomial

FIXED = {"method": "rk4", "dt": 0.1}
ADAPTIVE = {"method": "tsit5", "rtol": 1e-11, "atol": 1e-13}
STIFF = {"method": "rodas5p", "rtol": 1e-10, "atol": 1e-12}
AUTO = {"rtol": 1e-11, "atol": 1e-13}
OPTIONS = [FIXED, ADAPTIVE, STIFF, AUTO, {"method": "rodas5p", "dt": 0.1}]
SMOOTH = {"method": "vern7", "rtol": 1e-11, "atol": 1e-13}
KEEPS = {
    "all": "all",
    "final": "final",
    "quantities": {"x": "max(x) + 0.3 * integral(x * x) + at(x, 0.55) + 0.2 * time_above(x, 0.51)"},
}


def check(function, values, rel=1e-6):
    """Autograd against central differences, entry by entry."""
    point = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(function(point), point)
    for index in range(point.numel()):
        step = torch.zeros_like(point)
        step[index] = 1e-5 * max(1.0, abs(values[index]))
        with torch.no_grad():
            high, low = function(point.detach() + step), function(point.detach() - step)
        difference = float((high - low) / (2 * step[index]))
        assert float(gradient[index]) == pytest.approx(difference, rel=rel, abs=1e-8), index


CASES = [(o, k) for o in range(len(OPTIONS)) for k in KEEPS if k == "all" or o < 2]


@pytest.mark.parametrize(("option", "keep"), CASES)
def test_gradients_of_everything_that_enters(option, keep):
    options = OPTIONS[option]
    weights = torch.tensor([0.3, -0.2, 1.0], dtype=torch.float64)

    def run(v):
        sol = tw.simulate(
            Forced(), [0.0, 0.45, 1.0], {"p": v[0]}, {"x": v[1]},
            {"u": tw.Signal([0.0, 0.4, 1.0], torch.stack([v[2], v[3], v[3]]), kind="linear")},
            changes=[tw.Change(v[4], "add", "p", v[5])], keep=KEEPS[keep], **options,
        )  # fmt: skip
        return (sol["x"] * weights).sum() if keep == "all" else sol["x"].sum()

    # The time of the change may not cross a step of the fixed grid.
    check(run, [0.3, 0.5, 0.9, -0.4, 0.63, 1.3])


def test_gradients_reach_the_weights_of_a_network():
    class Learned(tw.Physics):
        x = tw.State("1", initial=0.7)

        def __init__(self):
            super().__init__()
            self.net = tw.nn.mlp(1, hidden=(4,), zero=False, seed=3)

        def rhs(self, x):
            return {"x": -x + self.net(x)}

    model = Learned().double()
    sol = tw.simulate(model, [0.0, 1.0], keep="final", **ADAPTIVE)
    sol["x"].sum().backward()
    weight = model.net.layers[0].weight
    with torch.no_grad():
        values = []
        for sign in (1, -1):
            weight[2, 0] += sign * 1e-5
            values.append(float(tw.simulate(model, [0.0, 1.0], keep="final", **ADAPTIVE)["x"]))
            weight[2, 0] -= sign * 1e-5
    assert float(weight.grad[2, 0]) == pytest.approx((values[0] - values[1]) / 2e-5, rel=1e-6)


def test_values_with_and_without_gradients_are_the_same():
    p = torch.tensor([0.1, 0.5], dtype=torch.float64)
    plain = tw.simulate(Forced(), [0.0, 1.0, 3.0], {"p": p})
    traced = tw.simulate(Forced(), [0.0, 1.0, 3.0], {"p": p.clone().requires_grad_()})
    assert torch.allclose(plain["x"], traced["x"].detach(), rtol=1e-13, atol=0)
    assert torch.equal(plain.steps, traced.steps)


def test_the_end_of_a_change_and_a_moving_knot_have_gradients():
    def run(v):
        sol = tw.simulate(
            Decay(), [0.0, 2.0], inputs={"u": tw.Signal(
                torch.stack([v[0] * 0, v[0]]), torch.tensor([0.0, 1.0], dtype=torch.float64))},
            changes=[tw.Change(0.2, "set", "k", 3.0, until=v[1])], keep="final", **ADAPTIVE,
        )  # fmt: skip
        return sol["x"].sum()

    check(run, [0.7, 1.2])


def gradient_of(text, model, t, names, **options):
    tensors = {
        n: torch.tensor(v, dtype=torch.float64, requires_grad=True) for n, v in names.items()
    }
    sol = tw.simulate(model, t, tensors, keep={"q": text}, **SMOOTH, **options)
    return torch.autograd.grad(sol["q"].sum(), list(tensors.values()))


def test_the_derivative_of_a_peak_is_that_of_the_path_at_the_peak():
    # x = sin(w t) / w peaks at 1 / w.
    (by_w,) = gradient_of("max(x)", Oscillator(), [0.0, 1.4], {"w": 2.0})
    assert float(by_w) == pytest.approx(-0.25, rel=1e-6)
    (by_w,) = gradient_of("min(-x)", Oscillator(), [0.0, 1.4], {"w": 2.0})
    assert float(by_w) == pytest.approx(0.25, rel=1e-6)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        # sin(w t) / w: peak at pi / (2 w); first reaches 1/4 at asin(w / 4) / w.
        ("time_of_max(x)", -math.pi / 2 / 4),
        ("first_time(x > 0.25)", 0.25 / math.sqrt(1 - 0.25) / 2 - math.asin(0.5) / 4),
        # above from asin(w / 4) / w to (pi - asin(w / 4)) / w
        ("time_above(x, 0.25)",
         -math.pi / 4 - 2 * (0.25 / math.sqrt(1 - 0.25) / 2 - math.asin(0.5) / 4)),
    ],
)  # fmt: skip
def test_the_derivative_of_a_time_is_that_of_the_implicit_function(text, want):
    (by_w,) = gradient_of(text, Oscillator(), [0.0, 1.55], {"w": 2.0})
    assert float(by_w) == pytest.approx(want, rel=1e-6)


def test_times_move_with_a_change_before_them():
    # After the change at a: x = exp(-a) exp(a - t) ... with k = 2: x = exp(-a - 2 (t - a)).
    at = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(
        Decay(), [0.0, 3.0], changes=[tw.Change(at, "set", "k", 2.0)],
        keep={"q": "first_time(x < 0.25)"}, **SMOOTH,
    )  # fmt: skip
    # -a - 2 (t - a) = log(1/4)  ->  t = (a + log 4) / 2
    assert float(sol["q"].detach()) == pytest.approx((0.3 + math.log(4)) / 2, abs=1e-9)
    (by_at,) = torch.autograd.grad(sol["q"].sum(), at)
    assert float(by_at) == pytest.approx(0.5, rel=1e-6)


def test_a_threshold_has_a_gradient():
    level = torch.tensor(0.25, dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(
        Decay(),
        [0.0, 3.0],
        constants={"level": level},
        keep={"q": "time_above(x, level)"},
        **ADAPTIVE,
    )
    (by_level,) = torch.autograd.grad(sol["q"].sum(), level)
    assert float(by_level) == pytest.approx(-4.0, rel=1e-7)


def test_a_grazing_crossing_is_announced_and_its_gradient_is_finite():
    c = torch.tensor(1.0, dtype=torch.float64, requires_grad=True)
    with pytest.warns(UserWarning, match=r"'x' grazes its threshold in \d rows"):
        sol = tw.simulate(
            Polynomial(),
            [0.0, 1.0],
            {"c": c},
            keep={"q": "time_above(x, 1)"},
            method="tsit5",
            dt=1.0,
        )
    if sol["q"].requires_grad:
        (by_c,) = torch.autograd.grad(sol["q"].sum(), c, allow_unused=True)
        assert by_c is None or torch.isfinite(by_c)


@pytest.mark.parametrize("keep", ["all", "final", {"y": "max(y) * p"}], ids=["all", "final", "q"])
@pytest.mark.parametrize("options", [{"method": "tsit5"}, {"method": "rk4", "dt": 0.1}], ids=str)
def test_a_failed_row_has_exactly_zero_gradient_and_spoils_nobody(keep, options):
    def slope(t, y, p):
        return torch.where(p < 0, torch.sqrt(p) * y, -p * y)

    good = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64, requires_grad=True)
    bad = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64, requires_grad=True)
    start = torch.ones(3, dtype=torch.float64, requires_grad=True)
    t = [0.0, 0.5, 1.0]
    want = tw.simulate(Custom(slope), t, {"p": good}, {"y": start}, keep=keep, **options)
    (by_good,) = torch.autograd.grad(want["y"].sum(), good)
    sol = tw.simulate(Custom(slope), t, {"p": bad}, {"y": start}, keep=keep, **options)
    by_bad, by_start = torch.autograd.grad(sol["y"][sol.ok].sum(), (bad, start))
    assert by_bad[1] == 0.0 and by_start[1] == 0.0
    assert torch.equal(by_bad[::2], by_good[::2])
    by_bad, _ = torch.autograd.grad(
        tw.simulate(Custom(slope), t, {"p": bad}, {"y": start}, keep=keep, **options)["y"].nansum(),
        (bad, start),
    )
    assert by_bad[1] == 0.0 and torch.isfinite(by_bad).all()


def test_outputs_of_a_failed_row_do_not_spoil_gradients():
    class Scaled(tw.Physics):
        y = tw.State("1", initial=1.0)
        p = tw.Parameter("1", default=1.0)
        out = tw.Output("1")

        def rhs(self, y, p):
            return {"y": p * y * y}

        def outputs(self, y, p):
            return {"out": p * torch.sqrt(y)}

    p = torch.tensor([0.1, 1.0], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Scaled(), [0.0, 1.0, 2.0], {"p": p})
    assert sol.ok.tolist() == [True, False]
    (by_p,) = torch.autograd.grad(sol["out"][sol.ok].sum(), p)
    assert by_p[1] == 0.0 and torch.isfinite(by_p).all()


def test_a_rejected_trial_outside_the_domain_does_not_poison_the_gradient():
    def run(v):
        model = Custom(lambda t, y, p: 100.0 * p * torch.sqrt(1.0 - y))
        sol = tw.simulate(model, [0.0, 0.015], {"p": v[0]}, {"y": v[1]}, keep="final", **ADAPTIVE)
        assert sol.ok.all()
        return sol["y"].sum()

    check(run, [1.0, 0.0], rel=1e-5)


@pytest.mark.parametrize("keep", KEEPS.values(), ids=KEEPS)
def test_rows_that_all_failed_give_exactly_zero_gradient(keep):
    p = torch.tensor([math.nan], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(Decay(), [0.0, 1.0], {"k": p}, keep=keep)
    assert not sol.ok.any()
    (gradient,) = torch.autograd.grad(torch.nan_to_num(sol["x"]).sum(), p)
    assert gradient.tolist() == [0.0]


def test_going_on_from_a_state_keeps_the_gradient():
    def run(v):
        half = tw.simulate(Forced(), [0.0, 0.5], {"p": v[0]}, {"x": v[1]}, **ADAPTIVE)
        rest = tw.simulate(
            Forced(), [0.5, 1.0], {"p": v[0]}, start=half.state, keep="final", **ADAPTIVE
        )
        return rest["x"].sum()

    check(run, [0.3, 0.5])


def test_save_points_with_a_gradient_are_a_named_error():
    t = torch.tensor([0.0, 1.0], requires_grad=True)
    with pytest.raises(tw.TwinmlError, match="t asks for a gradient"):
        tw.simulate(Decay(), t)
