"""Derivatives of every model of the library by kernels, against the reference engine."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.test_native_hybrid import Learned
from tests.engines.test_native_library import scenario
from twinml import library

pytestmark = [pytest.mark.usefixtures("compiler"), pytest.mark.slow]

NAMES = [name for name in library.__all__ if not getattr(library, name)().has_noise]


def check(model: tw.Physics, given: dict, method: str) -> None:
    declared = model.declared
    by = [*declared.parameters]
    by += [f"initial.{name}" for name, state in declared.states.items() if state.size is None]
    of = [name for name, state in declared.states.items() if state.size is None]
    of += list(declared.outputs)
    span = given["t"][-1]
    found = {}
    for engine in ("native", "eager"):
        with torch.no_grad():
            sol = tw.simulate(model, engine=engine, method=method, dt=span / 40, **given)
        found[engine] = sol.jacobian(of, by)
    # What an unknown hardly moves is moved by rounding.
    whole = found["eager"].abs().amax((0, 1, 2), keepdim=True)
    scale = torch.maximum(found["eager"].abs().amax((0, 1), keepdim=True), 1e-5 * whole)
    scale = scale.clamp(min=1e-12)
    assert float(((found["native"] - found["eager"]) / scale).abs().max()) < 1e-8


@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
@pytest.mark.parametrize("name", NAMES)
def test_the_library_has_the_same_derivatives_by_kernels(name, method):
    model = getattr(library, name)()
    check(model, scenario(model), method)


@pytest.mark.parametrize("method", ["tsit5", "rodas5p"])
def test_a_learned_term_has_the_same_derivatives_by_kernels(method):
    x = torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)
    check(Learned(), {"t": [0.0, 0.25, 0.3, 1.0], "initial": {"x": x}}, method)
