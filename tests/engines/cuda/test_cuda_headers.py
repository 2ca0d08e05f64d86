"""Right-hand sides in headers, and reductions over rows, on the cuda engine."""

from __future__ import annotations

import torch

import twinml as tw
import twinml.engines.reduce as chunks
from tests.engines.cuda.standin import standing_in
from tests.engines.engines import same_bits
from tests.kernel_physics import models

T = [0.0, 0.5, 1.0]
RHO = {"rho": torch.linspace(1.0, 28.0, 70, dtype=torch.float64)}


def test_a_header_steps_on_the_device():
    with standing_in():
        found = tw.simulate(models.Lorenz(), T, parameters=RHO, engine="cuda")
        same_bits(found, tw.simulate(models.Lorenz(), T, parameters=RHO, engine="native"))


def test_a_reduction_has_the_bits_of_the_native_engine(monkeypatch):
    monkeypatch.setattr(chunks, "CHUNK", 40)
    options = {
        "parameters": RHO,
        "keep": {"peak": "max(z)"},
        "reduce": {"peak": tw.Reduction(edges=[0.0, 10.0, 40.0], thresholds=[5.0])},
    }
    with standing_in():
        found = tw.simulate(models.Lorenz(), T, engine="cuda", **options).reduced["peak"]
    want = tw.simulate(models.Lorenz(), T, engine="native", **options).reduced["peak"]
    assert (found.mean, found.variance, found.maximum) == (want.mean, want.variance, want.maximum)
    assert torch.equal(found.bins, want.bins) and torch.equal(found.exceeded, want.exceeded)
