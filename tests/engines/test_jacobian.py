"""``sol.jacobian``: derivatives by name, the same on every engine."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Decay, Forced, Polynomial
from twinml.engines.native import tangents
from twinml.errors import ArgumentError
from twinml.library import Outbreak

F64 = torch.float64
K = torch.tensor([0.5, 0.8, 1.1], dtype=F64)
TIMES = [0.0, 0.3, 0.5, 1.0]


class Pair(tw.Physics):
    """A state of two components."""

    x = tw.State("1", size=2, initial=1.0)
    k = tw.Parameter("1/s", default=1.0)
    total = tw.Output("1")

    def outputs(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"total": x.sum(-1)}

    def rhs(self, x: torch.Tensor, k: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"x": -k[..., None] * x}


def decay(engine: str, **options: Any) -> tw.Solution:
    given = {"t": TIMES, "parameters": {"k": K}, "initial": {"x": 2.0}, "inputs": {"u": 0.4}}
    return tw.simulate(Decay(), **{**given, "rtol": 1e-10, "atol": 1e-12, **options}, engine=engine)


def exact() -> torch.Tensor:
    """Derivatives of 2 x by k, u and x(0), (B, T, 3), for x = u/k + (x0 - u/k) exp(-k t)."""
    t, k, u, x0 = torch.tensor(TIMES, dtype=F64), K[:, None], 0.4, 2.0
    fall = torch.exp(-k * t)
    by_k = -u / k**2 * (1 - fall) - (x0 - u / k) * t * fall
    return 2 * torch.stack([by_k, (1 - fall) / k, fall], dim=-1)


@pytest.mark.parametrize("method", ["tsit5", pytest.param("rodas5p", marks=pytest.mark.slow)])
def test_it_is_the_derivative_of_the_exact_solution(engine, method):
    found = decay(engine, method=method).jacobian("twice", ["k", "u", "initial.x"])
    assert found.shape == (3, 4, 3)
    torch.testing.assert_close(found, exact(), rtol=1e-7, atol=1e-8)


@pytest.mark.usefixtures("compiler")
def test_kernels_give_what_torch_gives(monkeypatch):
    calls = []
    run = tangents.tangent_run
    monkeypatch.setattr(tangents, "tangent_run", lambda *args: calls.append(1) or run(*args))
    by = ["k", "u", "initial.x"]
    native, eager = (
        decay(engine, method="tsit5", rtol=1e-6).jacobian("twice", by)
        for engine in ("native", "eager")
    )
    assert calls == [1]
    torch.testing.assert_close(native, eager, rtol=1e-8, atol=1e-9)


def test_several_values_have_an_axis_and_ends_have_no_times():
    sol = decay("eager")
    both = sol.jacobian(["twice", "x"], ["k", "initial.x"])
    assert both.shape == (3, 4, 2, 2)
    assert torch.equal(both[:, :, 0], sol.jacobian("twice", ["k", "initial.x"]))
    torch.testing.assert_close(both[:, :, 0], 2 * both[:, :, 1])
    ends = decay("eager", keep="final").jacobian("twice", "k")
    assert ends.shape == (3, 1)
    torch.testing.assert_close(ends, both[:, -1, 0, :1])
    area = decay("eager", keep={"area": "integral(x)"}).jacobian("area", "initial.x")
    torch.testing.assert_close(area[:, 0], (1 - torch.exp(-K)) / K, rtol=1e-8, atol=0)


def test_what_initial_ties_moves_along(engine):
    sol = tw.simulate(
        Outbreak(), [0.0, 2.0], initial={"infected": 3.0}, engine=engine, method="tsit5"
    )
    first = sol.jacobian(["susceptible", "infected"], ["initial.infected", "population"])[0, 0]
    assert first.tolist() == [[-1.0, 1.0], [1.0, 0.0]]
    peak = tw.simulate(Polynomial(), [0.0, 0.25], {"c": K}, engine=engine, method="tsit5")
    assert peak.jacobian("x", "c")[:, 1, 0].tolist() == [1.0, 1.0, 1.0]


def test_rows_with_changes_signals_and_times_of_their_own(engine):
    u = tw.Signal([0.0, 0.4, 3.0], torch.stack([K, 1.3 - K, 2 * K], dim=1), kind="linear")
    t = torch.stack([torch.linspace(0.0, 1.0 + k, 4, dtype=F64) for k in K])
    given: dict[str, Any] = {
        "t": t, "parameters": {"p": 0.3 * K}, "initial": {"x": 0.4 + 0.1 * K}, "inputs": {"u": u},
        "changes": [tw.Change(0.5 * K, "multiply", "p", 1.0 + K)], "method": "rk4", "dt": 0.07,
        "engine": engine,
    }  # fmt: skip
    found = tw.simulate(Forced(), **given).jacobian("x", ["p", "initial.x"])
    for place, (group, name) in enumerate((("parameters", "p"), ("initial", "x"))):
        ends = []
        for step in (1e-6, -1e-6):
            moved = {**given, group: {name: given[group][name] + step}}
            ends.append(tw.simulate(Forced(), **moved)["x"])
        torch.testing.assert_close(
            found[..., place], (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8
        )


def test_failed_rows_are_zero(engine):
    model = Custom(lambda t, y, p: p * y * y)
    sol = tw.simulate(
        model, [0.0, 2.0], {"p": torch.tensor([0.1, 1.0], dtype=F64)}, engine=engine, method="tsit5"
    )
    found = sol.jacobian("y", ["p", "initial.y"])
    assert sol.ok.tolist() == [True, False]
    assert (found[1] == 0).all() and found[0, 1].tolist() == pytest.approx(
        [3.125, 1.5625], rel=1e-4
    )


def test_going_on_from_a_state_differentiates_by_that_state(engine):
    first = decay(engine, method="tsit5")
    rest = tw.simulate(
        Decay(), [1.0, 1.5], {"k": K}, inputs={"u": 0.4}, start=first.state, engine=engine,
        method="tsit5",
    )  # fmt: skip
    found = rest.jacobian("x", "initial.x")[:, -1, 0]
    torch.testing.assert_close(found, torch.exp(-0.5 * K), rtol=1e-5, atol=0)


def test_what_has_no_derivative_is_refused_by_name():
    sol = decay("eager")
    with pytest.raises(ArgumentError, match="has no 'z'"):
        sol.jacobian("z", "k")
    with pytest.raises(ArgumentError, match=r"by 'kk'.*Did you mean 'k'"):
        sol.jacobian("x", ["kk"])
    with pytest.raises(ArgumentError, match=r"by 'initial\.y'"):
        sol.jacobian("x", ["initial.y"])
    with pytest.raises(ArgumentError, match="at least one name"):
        sol.jacobian("x", [])
    with pytest.raises(ArgumentError, match="'k' twice"):
        sol.jacobian("x", ["k", "k"])
    signal = decay("eager", inputs={"u": tw.Signal([0.0, 1.0], [0.1, 0.2])})
    with pytest.raises(ArgumentError, match="'u', which is a Signal"):
        signal.jacobian("x", "u")
    wide = tw.simulate(Pair(), [0.0, 1.0], engine="eager")
    with pytest.raises(ArgumentError, match="size 2"):
        wide.jacobian("x", "k")
    with pytest.raises(ArgumentError, match="2 components"):
        wide.jacobian("total", "initial.x")
    with pytest.raises(ArgumentError, match="not made by simulate"):
        dataclasses.replace(sol, derivatives=None).jacobian("x", "k")
