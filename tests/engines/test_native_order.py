"""Kernels keep their method's order across jumps inside and at both ends, at steps and between."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.plant import Plant, arguments
from tests.solve.convergence import slope_of
from twinml.solve.methods import METHODS

pytestmark = pytest.mark.usefixtures("compiler")

COUNTS = {1: [128, 512], 2: [64, 256], 5: [32, 128], 7: [16, 48]}
END = 2.0


def times(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Save points at ends of steps and between them, and which are ends."""
    ends = torch.linspace(0.0, END, count + 1, dtype=torch.float64)
    between = ends[:-1, None] + (END / count) * torch.linspace(0.1, 0.9, 3, dtype=torch.float64)
    t = torch.cat([ends, between.reshape(-1)]).sort().values
    return t, torch.isin(t, ends)


def path(count: int, **options: Any) -> tw.Solution:
    """Held and linear inputs and timed changes, some of which act at both ends."""
    given = arguments(1, engine="native", **options)
    return tw.simulate(Plant(), **{**given, "t": times(count)[0]})


@cache
def reference(count: int) -> tw.Solution:
    return path(count, method="dopri5", rtol=1e-12, atol=1e-13)


def errors(method: str, count: int) -> tuple[float, float]:
    found, want = path(count, method=method, dt=END / count), reference(count)
    at_end = times(count)[1]
    pair = (found["pair"] - want["pair"]).abs().amax(-1)
    error = torch.maximum((found["x"] - want["x"]).abs(), pair)[0]
    return float(error[at_end].max()), float(error[~at_end].max())


@pytest.mark.parametrize("method", METHODS)
def test_a_jump_does_not_cost_the_order(method):
    order = METHODS[method].order
    counts = COUNTS.get(order, [32, 128])
    ends, inside = zip(*(errors(method, n) for n in counts), strict=True)
    assert slope_of(list(ends), counts) > order - 0.4
    assert slope_of(list(inside), counts) > min(order, METHODS[method].dense_order + 1) - 0.4
