"""How many states a kernel holds and a dense linear system takes: refusals and reasons, no hang."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.engines.size import MOST_OPERATIONS, MOST_STATES
from twinml.errors import ArgumentError
from twinml.fields import transport
from twinml.solve import control
from twinml.solve.methods import DENSE_STATES

BAR = transport("bar", "u", left="dirichlet", right="dirichlet")


def bar(cells: int) -> tw.Physics:
    class Bar(tw.Physics):
        u = tw.State("1", initial=0.0, size=cells)
        d = tw.Parameter("1/s", default=1.0)

        def rhs(self, u, d):
            return {"u": BAR(u, 1.0, d, left=1.0, right=0.0)}

    return Bar()


class Dense(tw.Physics):
    """Every state depends on all others: some hundred states are ten thousand operations."""

    u = tw.State("1", initial=0.1, size=60)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("links", torch.eye(60, dtype=torch.float64) + 0.01)

    def rhs(self, u):
        return {"u": -torch.tanh(u @ self.links) @ self.links}


def test_fifty_states_stay_native():
    sol = tw.simulate(bar(50), [0.0, 1e-4], method="euler", dt=1e-5)
    assert sol.engine == "native", sol.reason


def test_more_states_than_a_kernel_holds_run_eager_and_say_so():
    sol = tw.simulate(bar(MOST_STATES + 1), [0.0, 1e-6], method="euler", dt=1e-6)
    assert sol.engine == "eager"
    assert sol.reason.startswith(f"auto: the model has {MOST_STATES + 1} states")


def test_more_operations_than_a_kernel_has_run_eager_and_say_so():
    sol = tw.simulate(Dense(), [0.0, 0.1], method="euler", dt=0.1)
    assert sol.engine == "eager"
    assert "equations of 60 states are" in sol.reason and f"up to {MOST_OPERATIONS:,}" in sol.reason


def test_a_dense_method_for_a_large_grid_is_refused_by_name():
    with pytest.raises(ArgumentError, match=r"'rodas5p' was asked for with 10,000 states.*0.8 GB"):
        tw.simulate(bar(10_000), [0.0, 1.0], method="rodas5p")


def test_a_stiff_large_grid_goes_on_explicitly_and_ends_with_a_status():
    cells = DENSE_STATES + 1
    sol = tw.simulate(bar(cells), [0.0, 1.0], max_steps=60)
    assert sol.method == "tsit5" and sol.engine == "eager"
    assert tw.Status(int(sol.status[0])) == tw.Status.MAX_STEPS
    assert f"{cells:,} states are too many" in sol.reason and "rodas5p" in sol.reason


def test_norms_of_many_states_are_those_of_few():
    generator = torch.Generator().manual_seed(0)
    error = torch.rand(1001, 3, generator=generator, dtype=torch.float64)
    size, atol = torch.rand(1001, 3, generator=generator, dtype=torch.float64), torch.ones(1001)
    found = control.scaled_norm(error, size, 1e-3, atol.double())
    want = (error / (1 + 1e-3 * size)).square().mean(0).sqrt()
    assert torch.allclose(found, want, rtol=1e-14)
    alone = control.scaled_norm(error[:, :1], size[:, :1], 1e-3, atol.double())
    assert torch.equal(alone, found[:1])


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_the_gradient_of_a_stiff_run_of_a_field_is_refused_where_its_jacobian_has_none():
    d = torch.tensor([0.5], dtype=torch.float64, requires_grad=True)
    given = {"t": [0.0, 0.1], "parameters": {"d": d}, "engine": "eager", "keep": "final"}
    stiff = tw.simulate(bar(6), method="rodas5p", **given)
    with pytest.raises(ArgumentError, match="second derivative of field_op 'bar' was asked for"):
        torch.autograd.grad(stiff["u"].sum(), d)
    explicit = tw.simulate(bar(6), method="tsit5", **given)
    (gradient,) = torch.autograd.grad(explicit["u"].sum(), d)
    native = tw.simulate(bar(6), method="rodas5p", **{**given, "engine": "native"})
    (want,) = torch.autograd.grad(native["u"].sum(), d)
    assert torch.allclose(gradient, want, rtol=1e-5)
