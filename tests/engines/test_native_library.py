"""Every model of the library by kernels, against the reference engine."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch

import twinml as tw
from tests.engines.engines import assert_same_meaning
from twinml import library

pytestmark = pytest.mark.usefixtures("compiler")

EXPLICIT = ("euler", "heun", "rk4", "tsit5", "dopri5", "vern7", "rodas5p")
ADAPTIVE = ("tsit5", "dopri5", "vern7", "rodas5p", "auto")
WAYS = [*((m, True) for m in EXPLICIT), *((m, False) for m in ADAPTIVE)]
NOISY = [("euler_maruyama", True), ("auto", True)]
# The span, in each model's own time unit, in which something happens and a fiftieth is stable.
SPANS = {
    "Lorenz": 1.0, "Robertson": 1e-3, "BrownianParticle": 20.0, "DcMotor": 0.05, "ServoAxis": 0.02,
    "Building2r2c": 50.0, "BouncingBall": 1.3, "VanDerPol": 4.0, "ReactorBed": 375.0,
    "HeatRod": 10.0, "StirredReactor": 0.2,
}  # fmt: skip
KEEPS = ("all", "final", "quantities")


def cases() -> list:
    """Each model in one way, and in turn every way and every kind of result; the rest is slow."""
    found = []
    for place, name in enumerate(library.__all__):
        ways = NOISY if getattr(library, name)().has_noise else WAYS
        for number, (way, keep) in enumerate(itertools.product(ways, KEEPS)):
            quick = (number // 3, number % 3) == ((5 * place) % len(ways), place % 3)
            marks = [] if quick else [pytest.mark.slow]
            found.append(pytest.param(name, *way, keep, marks=marks))
    return found


def scenario(model: tw.Physics) -> dict[str, Any]:
    """Three rows whose first parameter and first state differ, and inputs that move."""
    declared = model.declared
    span = SPANS.get(type(model).__name__, 2.0)
    spread = torch.tensor([1.0, 1.05, 0.93], dtype=torch.float64)
    found: dict[str, Any] = {"t": [0.0, 0.3 * span, 0.31 * span, span]}
    name, parameter = next(iter(declared.parameters.items()))
    found["parameters"] = {name: parameter.default * spread}
    found["inputs"] = {
        name: tw.Signal(
            [0.0, 0.4 * span, span],
            [value.default or 0.1, 1.1 * (value.default or 0.5), value.default or 0.2],
            "linear" if place % 2 else "hold",
        )
        for place, (name, value) in enumerate(declared.inputs.items())
    }
    return found


@pytest.mark.parametrize(("name", "method", "fixed", "keep"), cases())
def test_the_library_means_the_same_by_kernels(name, method, fixed, keep):
    model = getattr(library, name)()
    given = scenario(model)
    span = given["t"][-1]
    given["method"] = method
    if fixed:
        given["dt"] = span / 50
    if keep == "quantities":
        # A quantity is of one number; grids declare outputs for theirs. Least values are often
        # those of a start at rest, or of bounces: equal to rounding, so their time means nothing.
        scalars = [name for name, state in model.declared.states.items() if state.size is None]
        state = [*scalars, *model.declared.outputs][0]
        given["keep"] = {
            "top": f"max({state})",
            "when": f"time_of_max({state})",
            "mean": f"mean({state})",
        }
    else:
        given["keep"] = keep
    native, eager = (tw.simulate(model, engine=e, **given) for e in ("native", "eager"))
    # Over the hundreds of steps of a grid rounding moves the time of its peak a little more.
    adaptive = 1e-5 if name in ("HeatRod", "ReactorBed") else 1e-6
    rtol = 1e-11 if fixed else adaptive
    # Where a state turns over, the time of its peak has fewer digits than the peak; a pendulum's
    # mean is what is left of two halves that cancel.
    apart = {"when": 1e-9} if fixed else {"mean": 1e-5} if name == "Pendulum" else None
    assert_same_meaning(native, eager, rtol=rtol, spare=0 if fixed else 2, apart=apart)
    for name, log in eager.events.items():
        assert torch.equal(native.events[name].count, log.count)
        assert torch.allclose(
            native.events[name].time, log.time, rtol=1e-9, atol=0.0, equal_nan=True
        )
