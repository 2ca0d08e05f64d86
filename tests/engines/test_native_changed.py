"""What a caller writes between a run and its derivative changes no number."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import forward_ad

import twinml as tw
from twinml.errors import ArgumentError

pytestmark = [pytest.mark.usefixtures("compiler"), pytest.mark.real_auto]
T = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)


class Decay(tw.Physics):
    x = tw.State("1", initial=1.0)
    k = tw.Parameter("1", default=2.0)
    u = tw.Input("1", default=0.0)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def rhs(self, x, k, u):
        return {"x": -k * x * x * self.scale + u}


@pytest.fixture
def given() -> dict[str, torch.Tensor]:
    numbers = {"k": [2.0, 1.5, 1.0], "values": [0.1, 0.3, 0.2], "at": [0.4] * 3, "value": [3.0] * 3}
    return {name: torch.tensor(v, dtype=torch.float64) for name, v in numbers.items()}


def gradient(model, given, meanwhile) -> torch.Tensor:
    x = torch.tensor([1.0, 0.8, 1.2], dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(
        model, T, {"k": given["k"]}, {"x": x},
        {"u": tw.Signal([0.0, 0.5, 1.0], given["values"], "linear")},
        changes=[tw.Change(given["at"], "set", "k", given["value"])],
    )  # fmt: skip
    assert sol.engine == "native"
    meanwhile()
    return torch.autograd.grad(sol["x"][:, -1].sum(), x)[0]


@pytest.mark.parametrize("name", ["k", "values", "at", "value", "scale"])
def test_a_tensor_written_to_before_the_way_back_changes_no_gradient(name, given):
    model = Decay()
    want = gradient(model, given, lambda: None)
    tensor = model.scale if name == "scale" else given[name]
    # A window refilled in numpy is one that torch does not see.
    assert torch.equal(gradient(model, given, lambda: tensor.numpy().fill(0.7)), want)


def test_the_jacobian_of_a_run_whose_tensors_have_changed_is_refused(given):
    sol = tw.simulate(Decay(), T, {"k": given["k"]})
    before = sol.jacobian("x", "k")
    assert torch.equal(sol.jacobian("x", "k"), before)
    given["k"].zero_()
    with pytest.raises(ArgumentError, match="has been changed in place since"):
        sol.jacobian("x", "k")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_transforms_of_torch_go_to_the_reference():
    start = torch.ones(3, dtype=torch.float64)

    def last(x):
        sol = tw.simulate(Decay(), T, initial={"x": x}, rtol=1e-9)
        assert sol.engine == "eager" and "kernels" in sol.reason
        return sol["x"][:, -1]

    want = torch.full((3,), 1.0 / 9.0, dtype=torch.float64)
    assert torch.allclose(torch.func.grad(lambda x: last(x).sum())(start), want, rtol=1e-6)
    with forward_ad.dual_level():
        along = forward_ad.unpack_dual(last(forward_ad.make_dual(start, start))).tangent
    assert along is not None and torch.allclose(along, want, rtol=1e-6)
