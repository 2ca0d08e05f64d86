"""Tables inside right-hand sides: values, slopes, both modes of differentiation, refusals."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pytest
import torch
from torch.autograd import forward_ad

import twinml as tw
from twinml.errors import ArgumentError, ShapeError

KNOTS = torch.tensor([-1.0, 0.1, 0.3, 2.0], dtype=torch.float64)
VALUES = torch.tensor([3.0, 0.7, 0.9, -5.0], dtype=torch.float64)


def test_it_agrees_with_numpy_inside_and_outside_the_table():
    x = torch.linspace(-3.0, 4.0, 301, dtype=torch.float64)
    expected = np.interp(x.numpy(), KNOTS.numpy(), VALUES.numpy())
    assert np.allclose(tw.interp(x, KNOTS, VALUES).numpy(), expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_knots_give_the_values_of_the_table_exactly(dtype):
    found = tw.interp(KNOTS.to(dtype), KNOTS, VALUES)
    assert found.dtype == dtype and torch.equal(found, VALUES.to(dtype))


def test_infinity_holds_the_end_values_and_nan_stays_nan():
    x = torch.tensor([-torch.inf, torch.inf, torch.nan], dtype=torch.float64)
    found = tw.interp(x, KNOTS, VALUES)
    assert found[:2].tolist() == [3.0, -5.0] and torch.isnan(found[2])


def test_any_shape_and_stride_is_kept():
    x = torch.rand((4, 3), dtype=torch.float64).T
    assert tw.interp(x, KNOTS, VALUES).shape == (3, 4)
    assert tw.interp(x[0, 0], KNOTS, VALUES).shape == ()
    both = torch.stack([KNOTS, VALUES], dim=1)
    assert torch.equal(tw.interp(x, both[:, 0], both[:, 1]), tw.interp(x, KNOTS, VALUES))


def test_slopes_are_those_of_the_intervals_in_reverse_and_forward_mode():
    x = torch.tensor([-2.0, -1.0, 0.2, 0.3, 2.0, 3.0], dtype=torch.float64)
    expected = torch.tensor([0.0, -2.3 / 1.1, 1.0, -5.9 / 1.7, -5.9 / 1.7, 0.0], dtype=x.dtype)
    wanted = x.clone().requires_grad_()
    (reverse,) = torch.autograd.grad(tw.interp(wanted, KNOTS, VALUES).sum(), wanted)
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        dual = forward_ad.make_dual(x, torch.ones_like(x))
        forward = forward_ad.unpack_dual(tw.interp(dual, KNOTS, VALUES)).tangent
    assert torch.allclose(reverse, expected, rtol=1e-13)
    assert torch.allclose(forward, expected, rtol=1e-13)


def test_values_can_be_learned():
    x = torch.tensor([-0.4, 0.25, 1.9, 5.0], dtype=torch.float64)
    values = VALUES.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda v: tw.interp(x, KNOTS, v), (values,))
    tw.interp(x, KNOTS, values).sum().backward()
    assert values.grad is not None and values.grad[-1] > 1.0


def table(**entries):
    return {"x": torch.zeros(2, dtype=torch.float64), "knots": KNOTS, "values": VALUES, **entries}


@pytest.mark.parametrize(
    ("entries", "error", "words"),
    [
        ({"knots": torch.tensor([0.0, 2.0, 1.0, 3.0])}, ArgumentError, "do not rise from 2 to 1"),
        ({"knots": torch.tensor([0.0, 1.0, 1.0, 3.0])}, ArgumentError, "do not rise from 1 to 1"),
        ({"knots": torch.tensor([0.0, torch.nan, 1.0, 3.0])}, ArgumentError, "nan at place 1"),
        ({"values": torch.tensor([0.0, 1.0, torch.inf, 3.0])}, ArgumentError, "inf at place 2"),
        ({"values": VALUES[:3]}, ShapeError, r"\(4,\) and values of shape \(3,\)"),
        ({"knots": KNOTS[None], "values": VALUES[None]}, ShapeError, r"expected \(K,\)"),
        ({"knots": KNOTS[:1], "values": VALUES[:1]}, ShapeError, "2 or more"),
        ({"knots": [0.0, 1.0]}, ArgumentError, "a list as knots.*register_buffer"),
        ({"values": torch.arange(4)}, ArgumentError, "torch.int64 as values"),
        ({"x": 0.5}, ArgumentError, "a float as x"),
        ({"x": torch.zeros(2, device="meta")}, ArgumentError, r"model\.to\('meta'\)"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused_with_the_place(entries, error, words):
    with pytest.raises(error, match=words):
        tw.interp(**table(**entries))


def test_a_table_spoilt_later_is_noticed():
    knots = KNOTS.clone()
    tw.interp(torch.zeros(1), knots, VALUES)
    knots[1] = 5.0
    with pytest.raises(ArgumentError, match=r"do not rise from 5 to 0\.3"):
        tw.interp(torch.zeros(1), knots, VALUES)


class Tank(tw.Physics):
    """A tank whose outflow is known by a table of its level."""

    level = tw.State("m", initial=1.5)
    inflow = tw.Input("m/s", default=0.0)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("levels", torch.tensor([0.0, 0.5, 2.0], dtype=torch.float64))
        self.outflow = torch.nn.Parameter(torch.tensor([0.0, 0.5, 1.25], dtype=torch.float64))

    def rhs(self, level, inflow):
        return {"level": inflow - tw.interp(level, self.levels, self.outflow)}


def level(t: torch.Tensor) -> torch.Tensor:
    """Closed form without inflow: slope 1/2 above 0.5 m, slope 1 below."""
    meet = 2.0 * torch.log(torch.tensor(2.0))
    return torch.where(t < meet, -0.5 + 2.0 * torch.exp(-t / 2), 0.5 * torch.exp(meet - t))


@pytest.mark.parametrize("method", ["tsit5", "rodas5p", "auto"])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-7), (torch.float32, 3e-4)])
def test_a_model_with_a_table_is_solved_across_its_kinks(method, dtype, tolerance):
    t = torch.linspace(0.0, 4.0, 21, dtype=torch.float64)
    rtol = 1e-8 if dtype == torch.float64 else 1e-5
    sol = tw.simulate(Tank(), t, method=method, rtol=rtol, dtype=dtype)
    assert sol["level"].dtype == dtype
    assert torch.allclose(sol["level"][0].double(), level(t), atol=tolerance)


def test_df_dt_of_a_stiff_method_sees_the_slope_of_a_table_of_time():
    class Clocked(tw.Physics):
        x = tw.State("1", initial=0.0)

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("times", torch.tensor([0.0, 4.0], dtype=torch.float64))
            self.register_buffer("rates", torch.tensor([0.0, 8.0], dtype=torch.float64))

        def rhs(self, t, x):
            return {"x": tw.interp(t, self.times, self.rates) - x}

    sol = tw.simulate(Clocked(), [0.0, 3.0], method="rodas5p", rtol=1e-10, atol=1e-12)
    assert float(sol["x"][0, -1]) == pytest.approx(2.0 * (3.0 - 1.0 + np.exp(-3.0)), abs=1e-8)


def test_the_gradient_of_a_simulation_by_the_values_agrees_with_differences():
    model = Tank()
    times = [0.0, 3.0]

    def end() -> torch.Tensor:
        return tw.simulate(model, times, method="rk4", dt=0.01)["level"][0, -1]

    end().backward()
    assert model.outflow.grad is not None
    for place in range(3):
        with torch.no_grad():
            model.outflow[place] += 1e-5
            high = float(end())
            model.outflow[place] -= 2e-5
            low = float(end())
            model.outflow[place] += 1e-5
        assert float(model.outflow.grad[place]) == pytest.approx((high - low) / 2e-5, abs=1e-6)


def test_a_copied_or_pickled_model_keeps_its_table():
    t = [0.0, 1.0]
    want = tw.simulate(Tank(), t)["level"]
    for twin in (copy.deepcopy(Tank()), pickle.loads(pickle.dumps(Tank()))):
        assert torch.equal(tw.simulate(twin, t)["level"], want)


def test_a_tracer_sees_one_operation():
    class Root(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("knots", KNOTS)
            self.register_buffer("values", VALUES)

        def forward(self, x):
            return 2.0 * tw.interp(x, self.knots, self.values)

    traced = torch.fx.symbolic_trace(Root())
    calls = [node.target for node in traced.graph.nodes if node.op == "call_function"]
    assert tw.interp in calls and len(calls) == 2
    x = torch.linspace(-2.0, 3.0, 7, dtype=torch.float64)
    assert torch.equal(traced(x), Root()(x))
