"""The Jacobian of observations equals that of autograd along the same steps."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.models import Custom, Forced
from twinml.engines.eager import EagerEngine
from twinml.engines.linearise import linearise
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.errors import ArgumentError
from twinml.library import CascadedTanks

OPTIONS = {
    "tsit5": {"method": "tsit5", "rtol": 1e-8},
    "vern7": {"method": "vern7", "rtol": 1e-8},
    "rk4": {"method": "rk4", "dt": 0.13},
    "rodas5p": {"method": "rodas5p", "rtol": 1e-6},
    "auto": {"rtol": 1e-8},
}
T = torch.tensor([0.0, 0.0, 0.21, 0.25, 0.5, 0.77, 1.0], dtype=torch.float64)
KNOTS = tw.Signal([0.0, 0.25, 0.6, 2.0], [0.3, -0.4, 1.0, 0.2], kind="linear")


def problems(options, keep="all"):
    """Unknowns: parameter, start, value and time of a change, scale of the observation."""

    def build(theta):
        return build_problem(
            Forced(), T, {"p": theta[:, 0]}, {"x": theta[:, 1]}, {"u": KNOTS},
            [tw.Change(theta[:, 3], "add", "p", theta[:, 2])], keep=keep,
            constants={"scale": theta[:, 4]}, **options,
        )  # fmt: skip

    def observe(problem, states):
        return (problem.constants["scale"][:, None] * states[0] ** 2).T

    return build, observe


THETA = torch.tensor(
    [[0.3, 0.5, 1.0, 0.63, 2.0], [0.1, 0.2, -1.0, 0.4, 1.0], [0.7, 1.0, 0.5, 3.0, 1.5]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_jacobian_is_that_of_autograd(name):
    options = OPTIONS[name]
    build, observe = problems(options)
    method = options.get("method", "auto")
    outcome, values, jacobian = linearise(build, observe, THETA, method)
    point = THETA.clone().requires_grad_()
    problem = build(point)
    want = observe(problem, EagerEngine().run(problem, method, "frozen").states)
    assert torch.allclose(values, want.detach(), rtol=1e-12, atol=1e-14)
    assert jacobian.shape == (len(T), 3, 5) and (outcome.status == 0).all()
    for sample in range(len(T)):
        (row,) = torch.autograd.grad(want[sample].sum(), point, retain_graph=True)
        assert torch.allclose(jacobian[sample], row, rtol=1e-9, atol=1e-11), sample


def test_only_the_end_may_be_observed():
    build, observe = problems({"method": "tsit5"}, keep="final")
    _, values, jacobian = linearise(build, observe, THETA, "tsit5")
    build, observe = problems({"method": "tsit5"})
    _, whole, every = linearise(build, observe, THETA, "tsit5")
    assert torch.allclose(values[0], whole[-1]) and torch.allclose(jacobian[0], every[-1])


def test_a_failed_row_has_a_jacobian_of_zero():
    model = Custom(lambda t, y, p: p * y * y)

    def build(theta):
        return build_problem(model, [0.0, 0.5, 2.0], {"p": theta[:, 0]}, {"y": theta[:, 1]})

    theta = torch.tensor([[0.1, 1.0], [1.0, 1.0]], dtype=torch.float64)
    outcome, _, jacobian = linearise(build, lambda p, s: s[0].T, theta, "auto")
    assert outcome.status[1] != 0 and (jacobian[:, 1] == 0).all()
    # y = y0 / (1 - p y0 t): dy/dp = y^2 t, dy/dy0 = (y / y0)^2
    y = 1 / (1 - 0.1 * 2.0)
    assert jacobian[-1, 0].tolist() == pytest.approx([y * y * 2.0, y * y], rel=1e-5)


def test_observations_that_ignore_the_path_or_the_unknowns():
    build, _ = problems({"method": "tsit5"})
    _, _, jacobian = linearise(build, lambda p, s: torch.ones(2, s.shape[1]), THETA, "auto")
    assert (jacobian == 0).all()
    only = linearise(build, lambda p, s: p.constants["scale"][None], THETA, "auto")[2]
    assert only[0].tolist() == [[0.0, 0.0, 0.0, 0.0, 1.0]] * 3


def test_float32_keeps_its_dtype():
    def build(theta):
        return build_problem(
            Forced(), T, {"p": theta[:, 0]}, {"x": theta[:, 1]}, {"u": KNOTS}, dtype=torch.float32
        )

    _, values, jacobian = linearise(build, lambda p, s: s[0].T, THETA[:, :2].float(), "auto")
    assert values.dtype == jacobian.dtype == torch.float32


def test_outputs_of_a_model_with_many_held_knots():
    model, count = CascadedTanks(), 40
    t = 4.0 * torch.arange(count, dtype=torch.float64)
    signal = tw.Signal(t, 2.0 + torch.sin(t / 10.0))
    names = ("k1", "k2", "k3", "k4")

    def build(theta):
        values = {name: theta[:, i] for i, name in enumerate(names)}
        return build_problem(model, t, values, {"h1": theta[:, 4], "h2": 5.0}, {"u": signal})

    def observe(problem, states):
        return outputs_at(problem, states, problem.t)["level"].T

    theta = torch.tensor([[0.05, 0.06, 0.05, 0.04, 4.0]], dtype=torch.float64)
    _, _, jacobian = linearise(build, observe, theta, "auto")
    for index in range(5):
        step = torch.zeros_like(theta)
        step[0, index] = 1e-5
        ends = [linearise(build, observe, theta + s * step, "auto")[1] for s in (1, -1)]
        difference = (ends[0] - ends[1]) / 2e-5
        assert torch.allclose(jacobian[..., index], difference, rtol=1e-4, atol=1e-4)


def test_quantities_are_refused_by_name():
    def build(theta):
        return build_problem(
            Forced(), T, {"p": theta[:, 0]}, inputs={"u": KNOTS}, keep={"q": "max(x)"}
        )

    with pytest.raises(ArgumentError, match="keeps quantities"):
        linearise(build, lambda p, s: s, THETA[:, :1], "auto")
