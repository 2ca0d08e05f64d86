"""torchdiffeq's adjoint agrees with frozen steps, and names what it cannot do."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Decay, Forced
from twinml.errors import ArgumentError, SolveError

pytest.importorskip("torchdiffeq", reason="the adjoint is torchdiffeq's")


class Learned(tw.Physics):
    """A rate with a learned part, a parameter and an input."""

    x = tw.State("1", initial=0.7)
    u = tw.Input("1", default=0.1)
    p = tw.Parameter("1", default=1.0)

    def __init__(self) -> None:
        super().__init__()
        self.net = tw.nn.mlp(1, hidden=(4,), zero=False, seed=3)

    def rhs(self, t, x, u, p):
        return {"x": u - p * x + self.net(x) * torch.cos(t)}


def gradients(gradient, options):
    model = Learned()
    p = torch.tensor([0.5, 1.5], dtype=torch.float64, requires_grad=True)
    x = torch.tensor([0.2, 0.9], dtype=torch.float64, requires_grad=True)
    u = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    sol = tw.simulate(
        model, [0.0, 0.4, 1.0], {"p": p}, {"x": x}, {"u": u}, gradient=gradient, **options
    )
    weights = torch.tensor([0.3, 1.0, -2.0], dtype=torch.float64)
    wanted = [p, x, u, *model.parameters()]
    found = torch.autograd.grad((sol["x"] * weights).sum(), wanted)
    return sol, torch.cat([g.reshape(-1).to(torch.float64) for g in found])


@pytest.mark.parametrize(
    ("options", "rel"),
    [({"rtol": 1e-10, "atol": 1e-12}, 1e-6), ({"method": "rk4", "dt": 0.02}, 1e-4)],
    ids=["adaptive", "rk4"],
)
def test_the_adjoint_agrees_with_frozen_steps(options, rel):
    frozen, want = gradients("frozen", options)
    adjoint, found = gradients("adjoint", options)
    assert torch.allclose(adjoint["x"], frozen["x"], rtol=1e-6)
    assert torch.allclose(found, want, rtol=rel, atol=rel)
    assert adjoint.ok.all()


def test_backward_spans_agree_too():
    found = []
    for gradient in ("frozen", "adjoint"):
        k = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
        sol = tw.simulate(Decay(), [1.0, 0.0], {"k": k}, gradient=gradient, rtol=1e-9, keep="final")
        found.append(torch.autograd.grad(sol["x"].sum(), k)[0])
    assert torch.allclose(*found, rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"method": "tsit5"}, r"method='tsit5'; the adjoint knows"),
        ({"keep": {"q": "max(x)"}}, "quantities or save points per row"),
        ({"t": [[0.0, 1.0]] * 2}, "quantities or save points per row"),
        ({"t": [0.0]}, "a single or a repeated save point"),
        ({"t": [0.0, 1.0, 1.0]}, "a single or a repeated save point"),
        (
            {"inputs": {"u": tw.Signal([0.0, 0.5], [1.0, 2.0])}},
            "inputs with knots or timed changes",
        ),
        ({"changes": [tw.Change(0.5, "set", "p", 1.0)]}, "inputs with knots or timed changes"),
        ({"dt": 0.1}, "dt and an adaptive method"),
        ({"max_step": 0.1}, "max_step, which the adjoint does not know"),
    ],
)
def test_what_the_adjoint_cannot_do_is_a_named_error(change, text):
    p = torch.tensor([0.3, 0.3], dtype=torch.float64, requires_grad=True)
    options = {"t": [0.0, 1.0], "parameters": {"p": p}, "gradient": "adjoint", **change}
    with pytest.raises(ArgumentError, match=text):
        tw.simulate(Forced(), **options)


def test_a_bad_row_under_the_adjoint_is_a_named_error():
    p = torch.tensor([0.3, 0.3], dtype=torch.float64, requires_grad=True)
    model = Custom(lambda t, y, p: p * torch.sqrt(0.5 - t))
    with pytest.raises(SolveError, match="torchdiffeq gave up"):
        tw.simulate(model, [0.0, 1.0], {"p": p}, gradient="adjoint")


def test_an_unknown_gradient_is_refused():
    with pytest.raises(ArgumentError, match=r"gradient='exact'; expected 'frozen' or 'adjoint'"):
        tw.simulate(Decay(), [0.0, 1.0], gradient="exact")
