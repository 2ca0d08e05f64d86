"""float32 throughout, and going on from where a run stopped."""

from __future__ import annotations

import warnings

import pytest
import torch

import twinml as tw
from tests.engines.models import Decay, Forced, Spiral
from twinml.errors import ArgumentError, ShapeError
from twinml.library import CascadedTanks, Outbreak
from twinml.solve.methods import METHODS

pytestmark = pytest.mark.usefixtures("engine")


@pytest.mark.parametrize("method", [*METHODS, "auto"])
def test_float32_is_kept_everywhere_and_gives_what_it_can(method):
    fixed = METHODS[method].order < 3 or method == "rk4" if method != "auto" else False
    options = {"dt": 1e-2} if fixed else {"rtol": 1e-5, "atol": 1e-6}
    sol = tw.simulate(
        Decay(), [0.0, 0.5, 1.0], {"k": [1.0, 2.0]}, dtype=torch.float32, method=method,
        inputs={"u": tw.Signal([0.0, 0.3], [0.0, 0.0])}, **options,
    )  # fmt: skip
    assert sol["x"].dtype == sol["twice"].dtype == sol.state.y.dtype == torch.float32
    assert sol.t.dtype == sol.fail_time.dtype == torch.float64
    want = torch.exp(-torch.tensor([[1.0], [2.0]]) * torch.tensor([0.0, 0.5, 1.0]))
    assert torch.allclose(sol["x"], want, atol=1e-2 if "euler" in method else 1e-4)


def test_quantities_and_gradients_keep_float32():
    k = torch.tensor([1.0, 2.0], requires_grad=True)
    keep = {"a": "max(x) + mean(x)", "b": "first_time(x < 0.5)", "c": "time_of_max(x)",
            "d": "time_above(x, 0.5) * k", "e": "at(x, 0.25)"}  # fmt: skip
    sol = tw.simulate(
        Decay(), [0.0, 1.0], {"k": k}, dtype=torch.float32, keep=keep, rtol=1e-5,
        changes=[tw.Change(0.9, "set", "k", 1.0)],
    )  # fmt: skip
    assert all(sol[name].dtype == torch.float32 for name in keep)
    (gradient,) = torch.autograd.grad(sol["b"].sum(), k)
    assert gradient.dtype == torch.float32
    # t = log 2 / k
    assert gradient.tolist() == pytest.approx([-0.6931, -0.6931 / 4], rel=1e-3)


@pytest.mark.parametrize("model", [Outbreak(), CascadedTanks()], ids=lambda m: type(m).__name__)
def test_float32_follows_float64(model):
    t = torch.linspace(0.0, 20.0, 21)
    wide, narrow = (
        tw.simulate(model, t, dtype=d, rtol=1e-5) for d in (torch.float64, torch.float32)
    )
    for name in wide.names:
        scale = float(wide[name].abs().max()) + 1e-12
        assert float((wide[name] - narrow[name]).abs().max()) < 1e-3 * scale


def test_late_times_do_not_lose_float32_steps():
    # Time itself stays float64: at t = 1e6 a float32 clock would tick in steps of 0.06.
    sol = tw.simulate(Decay(), [1e6, 1e6 + 0.01], dtype=torch.float32, rtol=1e-5)
    assert sol.ok.all()
    assert float(sol["x"][0, -1]) == pytest.approx(0.990050, abs=1e-5)


def test_a_tolerance_below_the_dtype_is_warned_about():
    with pytest.warns(UserWarning, match=r"rtol=1e-08 is below what float32 can give"):
        tw.simulate(Decay(), [0.0, 0.1], dtype=torch.float32, rtol=1e-8)
    with pytest.warns(UserWarning, match="below what float64 can give"):
        tw.simulate(Decay(), [0.0, 0.1], rtol=1e-17, max_steps=50)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tw.simulate(Decay(), [0.0, 0.1], dtype=torch.float32)


def test_plain_numbers_are_taken_at_full_precision():
    sol = tw.simulate(
        Decay(), [0.0], {"k": 0.1}, {"x": [0.1, 0.3]}, {"u": tw.Signal([0.0], [0.7])},
        keep={"x": "final(x)", "k": "k * 1", "u": "initial(u)", "c": "c + 0"}, constants={"c": 0.9},
    )  # fmt: skip
    assert sol["x"].tolist() == [0.1, 0.3]
    assert sol["k"].tolist() == [0.1] * 2 and sol["u"].tolist() == [0.7] * 2
    assert sol["c"].tolist() == [0.9] * 2


@pytest.mark.parametrize("method", METHODS)
def test_fixed_steps_split_at_a_grid_point_give_the_same_bits(method):
    options = {"method": method, "dt": 0.125}
    whole = tw.simulate(Spiral(), [0.0, 0.5, 1.0], **options)
    half = tw.simulate(Spiral(), [0.0, 0.5], **options)
    rest = tw.simulate(Spiral(), [0.5, 1.0], start=half.state, **options)
    for name in ("x", "y"):
        assert torch.equal(rest[name][:, -1], whole[name][:, -1])


@pytest.mark.parametrize("method", ["tsit5", "rodas5p", "auto"])
def test_adaptive_runs_go_on_within_the_tolerance(method):
    u = tw.Signal([0.0, 0.5, 0.8], [1.0, -1.0, 2.0])
    p = torch.tensor([0.1, 0.5], dtype=torch.float64)
    options = {"parameters": {"p": p}, "inputs": {"u": u}, "method": method, "rtol": 1e-8}
    whole = tw.simulate(Forced(), [0.0, 0.5, 1.0], **options)
    half = tw.simulate(Forced(), [0.0, 0.5], **options)
    rest = tw.simulate(Forced(), [0.5, 1.0], start=half.state, **options)
    assert torch.allclose(rest["x"][:, -1], whole["x"][:, -1], rtol=1e-7)
    # The proposed step was handed on: no new start-up.
    assert (half.steps + rest.steps <= whole.steps + 2).all()


def test_a_start_that_does_not_fit_is_named():
    half = tw.simulate(Decay(), [0.0, 0.5])
    with pytest.raises(ArgumentError, match=r"t begins at 0.4 but row 0 of start stopped at 0.5"):
        tw.simulate(Decay(), [0.4, 1.0], start=half.state)
    with pytest.raises(ArgumentError, match="both start= and initial="):
        tw.simulate(Decay(), [0.5, 1.0], start=half.state, initial={"x": 1.0})
    with pytest.raises(
        ShapeError, match=r"start holds states of shape \(1, 1\); expected \(2, 1\)"
    ):
        tw.simulate(Spiral(), [0.5, 1.0], start=half.state)
