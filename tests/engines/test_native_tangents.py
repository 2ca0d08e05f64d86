"""Derivatives that kernels follow: those of the numerical map with its steps frozen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Forced
from twinml.engines.eager import EagerEngine
from twinml.engines.native.engine import NativeEngine
from twinml.engines.native.tangents import Seeds, passes_of, tangent_run
from twinml.engines.normalise import build_problem
from twinml.engines.seeds import seeds_along
from twinml.engines.tangent import state_tangents
from twinml.library import Lorenz, Robertson

pytestmark = pytest.mark.usefixtures("compiler")

KINDS = {
    "tsit5": {"method": "tsit5", "rtol": 1e-6},
    "dopri5": {"method": "dopri5", "rtol": 1e-6},
    "vern7": {"method": "vern7", "rtol": 1e-6},
    "rodas5p": {"method": "rodas5p", "rtol": 1e-5},
    "auto": {"method": "auto", "rtol": 1e-6},
    "euler-fixed": {"method": "euler", "dt": 0.013},
    "heun-fixed": {"method": "heun", "dt": 0.013},
    "rk4-fixed": {"method": "rk4", "dt": 0.013},
    "tsit5-fixed": {"method": "tsit5", "dt": 0.013},
    "dopri5-fixed": {"method": "dopri5", "dt": 0.013},
    "vern7-fixed": {"method": "vern7", "dt": 0.013},
    "rodas5p-fixed": {"method": "rodas5p", "dt": 0.013},
    "euler_maruyama-fixed": {"method": "euler_maruyama", "dt": 0.013},
}
# A kernel takes a second or two to compile: what is not named here is slow.
QUICK = (("tsit5", True), ("rodas5p", True), ("rk4-fixed", False))
CASES = [
    pytest.param(
        kind,
        moving,
        id=f"{kind}-{'moving' if moving else 'fixed'}-times",
        marks=[] if (kind, moving) in QUICK else pytest.mark.slow,
    )
    for kind in KINDS
    for moving in (False, True)
]


class Driven(tw.Physics):
    """A pendulum with every kind of forcing: a line, steps, timed changes, a table of its own."""

    angle = tw.State("rad", initial=0.3)
    rate = tw.State("rad/s", initial=0.0)
    push = tw.Input("1/s^2", default=0.0)
    tilt = tw.Input("1/s^2", default=0.1)
    bias = tw.Input("1/s^2", default=0.0)
    stiff = tw.Parameter("1/s^2", default=9.0)
    loss = tw.Parameter("1/s", default=0.4)
    beat = tw.Parameter("1/s", default=2.0)
    lean = tw.Output("1")

    def rhs(self, t, angle, rate, push, tilt, bias, stiff, loss, beat):
        pull = -stiff * torch.sin(angle) + push * torch.cos(beat * t) + tilt * angle + bias
        return {"angle": rate, "rate": pull - loss * rate * torch.sqrt(1.0 + rate * rate)}

    def outputs(self, angle, push, loss):
        return {"lean": torch.sin(angle) * loss + push}


TIMES = torch.tensor([0.0, 0.0, 0.21, 0.25, 0.5, 0.77, 1.0, 1.4], dtype=torch.float64)
# stiff, loss, beat, angle, rate, bias, scale of tilt, value, until and value of changes, at.
BEST = torch.tensor([9.0, 0.4, 2.0, 0.3, 0.1, 0.2, 1.0, 1.3, 1.1, 0.2, 0.63], dtype=torch.float64)
SPREAD = torch.tensor([1.0, 0.9, 1.07], dtype=torch.float64)
THETA = BEST * (1.0 + (SPREAD[:, None] - 1.0) * torch.cos(torch.arange(11.0)))
WAVE = torch.tensor([0.3, -0.4, 0.8, 0.2], dtype=torch.float64)


def driven(theta: torch.Tensor, moving: bool = True, **options: Any) -> Any:
    """The pendulum at unknowns (B, 11); with or without times of changes that move."""
    k = theta.to(options.get("dtype", torch.float64))
    at, until = (theta[:, 10], theta[:, 8]) if moving else (0.63, 1.1)
    return build_problem(
        Driven(), TIMES, {"stiff": k[:, 0], "loss": k[:, 1], "beat": k[:, 2]},
        {"angle": k[:, 3], "rate": k[:, 4]},
        {
            "push": tw.Signal([0.0, 0.35, 0.9, 2.0], WAVE * k[:, 6:7], kind="linear"),
            "tilt": tw.Signal([0.0, 0.4, 1.2], [0.1, 0.7, -0.2]),
            "bias": k[:, 5],
        },
        [
            tw.Change(at, "multiply", "stiff", k[:, 7], until=until),
            tw.Change(at, "add", "bias", k[:, 9]),
            tw.Change(0.8, "multiply", "push", k[:, 7], until=1.3),
            tw.Change(0.3, "set", "tilt", k[:, 9], until=0.5),
        ],
        **options,
    )  # fmt: skip


def closeness(found: torch.Tensor, want: torch.Tensor) -> float:
    """Largest difference, as a share of each direction's largest derivative."""
    scale = want.abs().amax((0, 1, 2), keepdim=True).clamp(min=1e-300)
    return float(((found - want) / scale).abs().max())


def by_kernel(build: Any, theta: torch.Tensor, **options: Any) -> tuple[Any, torch.Tensor]:
    with torch.no_grad():
        problem = build(theta)
    return tangent_run(problem, options.pop("method"), seeds_along(build, theta), **options)


@pytest.mark.parametrize(("kind", "moving"), CASES)
def test_they_are_those_of_torch_along_the_steps_that_the_kernel_took(kind, moving):
    options = KINDS[kind]

    def build(theta):
        return driven(theta, moving, **options)

    outcome, found = by_kernel(build, THETA, method=options["method"])
    problem = build(THETA)
    plain, records = NativeEngine().recorded(problem, options["method"])
    assert torch.equal(plain.states, outcome.states) and torch.equal(plain.steps, outcome.steps)
    with torch.no_grad():
        want = state_tangents(build, THETA, problem, records)
    assert found.shape == want.shape == (2, 3, len(TIMES), 11)
    assert closeness(found, want) < (1e-10 if "dt" in options else 1e-9)
    assert float(found[..., 8].abs().max() > 0) == moving


@pytest.mark.parametrize(
    ("kind", "moving"), [case for case in CASES if "dt" in KINDS[case.values[0]]]
)
def test_fixed_steps_have_the_derivative_that_autograd_gives_of_the_reference(kind, moving):
    options = KINDS[kind]

    def build(theta):
        return driven(theta, moving, **options)

    _, found = by_kernel(build, THETA, method=options["method"])
    point = THETA.clone().requires_grad_()
    states = EagerEngine().run(build(point), options["method"], "frozen").states
    want = torch.zeros_like(found)
    for state in range(2):
        for sample in range(len(TIMES)):
            total = states[state, :, sample].sum()
            if total.requires_grad:
                (row,) = torch.autograd.grad(total, point, retain_graph=True)
                want[state, :, sample] = row
    assert closeness(found, want) < 1e-10


@pytest.mark.parametrize(
    "name",
    [
        "tsit5",
        pytest.param("rk4-fixed", marks=pytest.mark.slow),
        pytest.param("rodas5p", marks=pytest.mark.slow),
    ],
)
def test_they_are_those_of_central_differences(name):
    options = {**KINDS[name]}
    if "dt" not in options:
        options |= {"rtol": 1e-11, "atol": 1e-12}
    size = 1e-4

    def build(theta):
        return driven(theta, name != "rk4-fixed", **options)

    _, found = by_kernel(build, THETA, method=options["method"])
    engine = NativeEngine()
    want = torch.zeros_like(found)
    for place in range(11):
        step = torch.zeros(11, dtype=torch.float64)
        step[place] = size
        with torch.no_grad():
            ends = [engine.run(build(THETA + s * step), options["method"], "frozen").states
                    for s in (1, -1)]  # fmt: skip
        want[..., place] = (ends[0] - ends[1]) / (2 * size)
    assert closeness(found, want) < 1e-6


@pytest.mark.parametrize("kind", ["tsit5", pytest.param("rodas5p", marks=pytest.mark.slow)])
def test_the_bits_do_not_depend_on_the_rows_beside_the_order_the_threads_or_the_pass(kind):
    options = KINDS[kind]
    count = 600

    def build(theta):
        return driven(theta, True, **options)

    theta = THETA.repeat(count // 3, 1) * torch.linspace(0.9, 1.1, count)[:, None].to(THETA)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        outcome, whole = by_kernel(build, theta, method=options["method"])
        torch.set_num_threads(1)
        _, one = by_kernel(build, theta, method=options["method"])
    finally:
        torch.set_num_threads(before)
    assert outcome.kernels[0].threads == 2 and torch.equal(one, whole)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(1))[:37]
    _, some = by_kernel(build, theta[order], method=options["method"])
    assert torch.equal(some, whole[:, order])
    _, alone = by_kernel(build, theta[7:8], method=options["method"])
    assert torch.equal(alone, whole[:, 7:8])
    for widest in (1, 2):
        _, narrow = by_kernel(build, theta[:9], method=options["method"], widest=widest)
        assert torch.equal(narrow, whole[:, :9])


@pytest.mark.slow
def test_only_the_end_may_be_kept():
    def build(theta, keep):
        return driven(theta, True, method="tsit5", keep=keep)

    _, ends = by_kernel(lambda theta: build(theta, "final"), THETA, method="tsit5")
    _, whole = by_kernel(lambda theta: build(theta, "all"), THETA, method="tsit5")
    assert ends.shape == (2, 3, 1, 11)
    assert torch.equal(ends[:, :, 0], whole[:, :, -1])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_float32_agrees_with_float64_to_its_own_rounding(method):
    found = [
        by_kernel(
            lambda theta, dtype=dtype: driven(
                theta.to(torch.float64), True, method=method, rtol=1e-5, dtype=dtype
            ),
            THETA.to(dtype),
            method=method,
        )[1]
        for dtype in (torch.float32, torch.float64)
    ]
    assert found[0].dtype == torch.float32
    assert closeness(found[0].to(torch.float64), found[1]) < 2e-3


def test_failed_rows_are_exactly_zero_and_leave_the_others_alone():
    model = Custom(lambda t, y, p: p * y * y)

    def build(theta):
        return build_problem(
            model, [0.0, 0.5, 2.0], {"p": theta[:, 0]}, {"y": theta[:, 1]}, method="tsit5"
        )

    theta = torch.tensor([[0.1, 1.0], [1.0, 1.0], [torch.nan, 1.0], [0.1, 2.0]]).to(torch.float64)
    outcome, found = by_kernel(build, theta, method="tsit5")
    assert [bool(s) for s in outcome.status] == [False, True, True, False]
    assert (found[:, 1:3] == 0).all()
    assert torch.equal(found[:, ::3], by_kernel(build, theta[::3], method="tsit5")[1])
    # y = y0 / (1 - p y0 t): dy/dp = y^2 t, dy/dy0 = (y / y0)^2
    y = 1 / (1 - 0.1 * 2.0)
    assert found[0, 0, -1].tolist() == pytest.approx([y * y * 2.0, y * y], rel=1e-5)


def test_backward_in_time_and_without_length():
    def build(theta, t):
        return build_problem(
            Forced(), t, {"p": theta[:, 0]}, {"x": theta[:, 1]},
            {"u": tw.Signal([0.0, 0.4, 1.0], [0.2, 0.9, 0.1], kind="linear")}, method="tsit5",
        )  # fmt: skip

    theta = torch.tensor([[0.3, 0.5], [0.4, 0.6]], dtype=torch.float64)
    forward, there = by_kernel(lambda x: build(x, [0.0, 0.3, 1.0]), theta, method="tsit5")
    ends = torch.stack([theta[:, 0], forward.states[0, :, -1]], dim=1)
    _, back = by_kernel(lambda x: build(x, [1.0, 0.3, 0.0]), ends, method="tsit5")
    # There and back is the identity: dx0 = back_p + back_x there_p, 1 = back_x there_x.
    one = back[0, :, -1, 1] * there[0, :, -1, 1]
    none = back[0, :, -1, 0] + back[0, :, -1, 1] * there[0, :, -1, 0]
    assert one.tolist() == pytest.approx([1.0, 1.0], rel=1e-5)
    assert none.tolist() == pytest.approx([0.0, 0.0], abs=1e-5)
    _, moved = by_kernel(lambda x: build(x, [0.5, 0.5]), theta, method="tsit5")
    assert moved[0, :, :, 1].tolist() == [[1.0, 1.0]] * 2 and (moved[0, :, :, 0] == 0).all()


def test_rows_that_turn_stiff_are_handed_over_with_their_derivatives():
    names = ("k1", "k2", "k3")
    model = Robertson()
    best = torch.tensor([model.default(n) for n in names], dtype=torch.float64)

    def build(theta):
        return build_problem(
            model, [0.0, 0.3, 40.0], {n: theta[:, i] * best[i] for i, n in enumerate(names)},
            method="auto", rtol=1e-8, atol=1e-10,
        )  # fmt: skip

    theta = torch.ones(3, 3, dtype=torch.float64) * SPREAD[:, None]
    outcome, found = by_kernel(build, theta, method="auto")
    assert list(outcome.method) == ["rodas5p"] * 3 or outcome.method == "rodas5p"
    plain, records = NativeEngine().recorded(build(theta), "auto")
    assert len(records) == 2 and torch.equal(plain.states, outcome.states)
    with torch.no_grad():
        want = state_tangents(build, theta, build(theta), records)
    assert float(((found - want).abs() / want.abs().amax((1, 2), keepdim=True)).max()) < 1e-9
    # Mass is kept along every direction.
    assert float(found.sum(0).abs().max()) < 1e-9


def test_a_direction_may_name_anything_and_the_rest_stands_still():
    problem = build_problem(
        Lorenz(), [0.0, 0.2], {"rho": torch.tensor([28.0, 20.0])}, method="tsit5"
    )
    one = torch.ones(1, 2, dtype=torch.float64)
    _, by_rho = tangent_run(problem, "tsit5", Seeds(parameters={"rho": one}))
    _, both = tangent_run(
        problem, "tsit5", Seeds(parameters={"rho": torch.cat([one, 2 * one, 0 * one])})
    )
    assert torch.equal(both[..., 0], by_rho[..., 0]) and torch.equal(both[..., 1], 2 * both[..., 0])
    assert (both[..., 2] == 0).all()
    assert tangent_run(problem, "tsit5", Seeds())[1].shape == (3, 2, 2, 0)


def test_directions_share_passes_of_one_width():
    assert [passes_of(n, 4) for n in (1, 2, 3, 4, 5, 6, 9)] == [
        (1, 1), (1, 2), (1, 4), (1, 4), (2, 4), (2, 4), (3, 4),
    ]  # fmt: skip
    assert passes_of(3, 2) == (2, 2) and passes_of(3, 1) == (3, 1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["hold", "linear"])
def test_a_signal_that_all_rows_share_may_have_as_many_knots_as_there_are_rows(kind):
    values = torch.tensor([0.3, -0.4, 0.8], dtype=torch.float64)
    times = torch.tensor([0.0, 0.35, 1.0], dtype=torch.float64)
    p = torch.tensor([0.3, 0.5, 0.7], dtype=torch.float64)

    def problem(values):
        signal = tw.Signal(times, values, kind=kind)
        return build_problem(
            Forced(), [0.0, 0.5, 1.0], {"p": p}, inputs={"u": signal}, method="rk4", dt=0.1
        )

    seeds = Seeds(inputs={"u": torch.eye(3, dtype=torch.float64)})
    _, found = tangent_run(problem(values), "rk4", seeds)
    leaf = values.clone().requires_grad_()
    states = EagerEngine().run(problem(leaf), "rk4", "frozen").states
    assert states is not None
    for row in range(3):
        (want,) = torch.autograd.grad(states[0, row, -1], leaf, retain_graph=True)
        assert torch.allclose(found[0, row, -1], want, rtol=1e-12, atol=1e-14)
