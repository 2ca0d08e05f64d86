"""Derivatives that kernels carry through events are those of the reference engine."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.event_models import Ball, Ramp, Wall, wave
from twinml.engines.eager import EagerEngine
from twinml.engines.native.tangents import tangent_run
from twinml.engines.normalise import build_problem
from twinml.engines.seeds import seeds_along

pytestmark = pytest.mark.usefixtures("compiler")

F64 = torch.float64
PUSH = torch.tensor([1.0, 3.0, 0.5], dtype=F64)


def ball(theta, **options):
    """A fall that bounces ever sooner."""
    values = {"gravity": theta[:, 0], "restitution": theta[:, 1]}
    start = {"height": theta[:, 2], "velocity": theta[:, 3]}
    return build_problem(Ball(), torch.linspace(0.0, 1.6, 9, dtype=F64), values, start, **options)


def wall(theta, **options):
    """Hits between knots of a line, with changes whose times move."""
    return build_problem(
        Wall(), torch.linspace(0.0, 4.0, 11, dtype=F64),
        {"wall": -theta[:, 0], "loss": theta[:, 1]}, {"angle": theta[:, 2], "rate": theta[:, 3]},
        {"drive": tw.Signal([0.0, 1.5, 5.0], theta[:, 1:2] * PUSH, kind="linear")},
        [tw.Change(theta[:, 2] * 2.7, "add", "drive", theta[:, 3], until=theta[:, 2] * 6.0)],
        **options,
    )  # fmt: skip


def ramp(theta, **options):
    """Thrown back again and again."""
    values = {"slope": theta[:, 0], "back": -4 * theta[:, 1]}
    times = torch.linspace(0.0, 20.0, 11, dtype=F64)
    return build_problem(Ramp(), times, values, {"x": theta[:, 3]}, **options)


def ending(theta, **options):
    """Ends at its event."""
    times = torch.linspace(0.0, 2.0, 9, dtype=F64)
    return build_problem(
        wave(1, terminal=True), times, {"w": theta[:, 0]}, {"x": theta[:, 3] - 0.1}, **options
    )


PROBLEMS: dict[str, tuple[Any, list[list[float]]]] = {
    "ball": (ball, [[9.0, 0.7, 1.0, 0.1], [9.5, 0.6, 0.9, 0.2]]),
    "wall": (wall, [[0.1, 0.2, 0.4, 0.1], [0.12, 0.3, 0.5, 0.2]]),
    "ramp": (ramp, [[1.1, 0.9, 0.4, 0.1], [0.97, 1.1, 0.5, 0.2]]),
    "ending": (ending, [[1.1, 0.9, 0.4, 0.1], [0.97, 1.1, 0.5, 0.2]]),
}
WAYS: dict[str, tuple[dict[str, Any], float]] = {
    "rk4-fixed": ({"method": "rk4", "dt": 0.05}, 1e-10),
    "rodas5p-fixed": ({"method": "rodas5p", "dt": 0.05}, 1e-10),
    "tsit5": ({"method": "tsit5", "rtol": 1e-10, "atol": 1e-12}, 1e-9),
    "vern7-final": ({"method": "vern7", "rtol": 1e-10, "atol": 1e-12, "keep": "final"}, 1e-9),
    "rodas5p": ({"method": "rodas5p", "rtol": 1e-9, "atol": 1e-11}, 1e-9),
    "auto": ({"method": "auto", "rtol": 1e-10, "atol": 1e-12}, 1e-9),
}
QUICK = (("wall", "rk4-fixed"),)


@pytest.mark.parametrize(
    ("name", "way"),
    [
        pytest.param(name, way, marks=[] if (name, way) in QUICK else pytest.mark.slow)
        for name in PROBLEMS
        for way in WAYS
    ],
)
def test_they_are_those_of_the_reference(name, way):
    make, values = PROBLEMS[name]
    options, tolerance = WAYS[way]
    theta = torch.tensor(values, dtype=F64)

    def build(theta):
        return make(theta, **options)

    outcome, found = tangent_run(build(theta), options["method"], seeds_along(build, theta))
    point = theta.clone().requires_grad_()
    wanted = EagerEngine().run(build(point), options["method"], "frozen")
    for event, log in wanted.events.items():
        assert torch.equal(outcome.events[event].count, log.count) and int(log.count.min()) > 0
    want = torch.zeros_like(found)
    assert wanted.states is not None
    for state, sample in torch.cartesian_prod(*map(torch.arange, wanted.states.shape[::2])):
        value = wanted.states[state, :, sample].nan_to_num().sum()
        (row,) = torch.autograd.grad(value, point, retain_graph=True, allow_unused=True)
        want[state, :, sample] = 0.0 if row is None else row
    scale = want.abs().amax((0, 1, 2)).clamp(min=1e-3)
    assert float(((found - want).abs() / scale).max()) < tolerance


class Touch(tw.Physics):
    """y = p (t - 1/2)^2 reaches below zero by a rounding, at a node of the one step."""

    y = tw.State("1")
    p = tw.Parameter("1", default=1.0)

    def rhs(self, t, p):
        return {"y": 2.0 * p * (t - 0.5)}

    @tw.event(direction=-1)
    def low(self, y):
        return y


@pytest.mark.slow
def test_a_grazing_event_is_flagged_and_its_time_stands_still():
    def build(theta):
        return build_problem(
            Touch(), [0.0, 1.25], {"p": theta[:, 0]}, {"y": 0.25 - 1e-15}, method="rk4", dt=1.25
        )

    theta = torch.tensor([[1.0]], dtype=F64)
    problem, seeds = build(theta), seeds_along(build, theta)
    with pytest.warns(UserWarning, match="event 'low' of Touch grazes zero 1 times"):
        outcome, found = tangent_run(problem, "rk4", seeds)
    assert int(outcome.events["low"].count) == 1 and bool(torch.isfinite(found).all())
