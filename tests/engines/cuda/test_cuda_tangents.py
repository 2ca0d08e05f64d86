"""Derivatives that kernels on a GPU follow are those of the native engine."""

from __future__ import annotations

import pytest
import torch

from tests.engines.cuda.standin import standing_in
from tests.engines.test_native_tangent_events import wall
from tests.engines.test_native_tangents import KINDS, THETA, driven
from twinml.engines.native.tangents import tangent_run
from twinml.engines.seeds import seeds_along

pytestmark = pytest.mark.usefixtures("compiler")


@pytest.mark.parametrize(
    "kind", [k if k == "tsit5" else pytest.param(k, marks=pytest.mark.slow) for k in KINDS]
)
def test_they_have_the_bits_of_the_native_ones(kind):
    options = KINDS[kind]
    theta = THETA.repeat(7, 1) * torch.linspace(0.95, 1.05, 21)[:, None].to(THETA)

    def build(theta):
        return driven(theta, True, **options)

    problem, seeds, method = build(theta), seeds_along(build, theta), options["method"]
    outcome, want = tangent_run(problem, method, seeds)
    with standing_in():
        there, found = tangent_run(problem, method, seeds, engine="cuda")
    assert torch.equal(there.states, outcome.states) and torch.equal(there.steps, outcome.steps)
    assert torch.equal(found, want)


@pytest.mark.slow
def test_they_go_through_events():
    theta = torch.tensor([[0.1, 0.2, 0.4, 0.1], [0.12, 0.3, 0.5, 0.2]], dtype=torch.float64)

    def build(theta):
        return wall(theta, method="tsit5", rtol=1e-8)

    problem, seeds = build(theta), seeds_along(build, theta)
    outcome, want = tangent_run(problem, "tsit5", seeds)
    with standing_in():
        there, found = tangent_run(problem, "tsit5", seeds, engine="cuda")
    assert torch.equal(there.events["hit"].count, outcome.events["hit"].count)
    assert torch.equal(found, want)
