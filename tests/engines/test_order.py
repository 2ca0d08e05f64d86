"""The error shrinks at the nominal order, at steps and between, across every kind of jump."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from tests.engines.engines import on_every_engine
from tests.engines.models import Forced, Spiral
from tests.solve.convergence import slope_of
from twinml.solve.methods import METHODS

NAMES = tuple(METHODS)
STEPS = {1: [256, 512], 2: [128, 256], 7: [32, 48, 64]}


def steps_of(name: str) -> list[int]:
    explicit_5 = [160, 208, 256]  # below, terms of order 6 still show
    return explicit_5 if name in ("tsit5", "dopri5") else STEPS.get(METHODS[name].order, [64, 128])


def errors_on_spiral(name: str, count: int) -> tuple[float, float]:
    ends = torch.linspace(0.0, 2.0, count + 1, dtype=torch.float64)
    between = ends[:-1, None] + (2.0 / count) * torch.linspace(0.1, 0.9, 5, dtype=torch.float64)
    t = torch.cat([ends, between.reshape(-1)]).sort().values
    sol = tw.simulate(Spiral(), t, method=name, dt=2.0 / count)
    error = torch.maximum((sol["x"] - torch.cos(t**2)).abs(), (sol["y"] - torch.sin(t**2)).abs())[0]
    at_end = torch.isin(t, ends)
    return float(error[at_end].max()), float(error[~at_end].max())


@on_every_engine("name", NAMES)
def test_the_error_shrinks_at_the_nominal_order_at_and_between_steps(engine, name):
    counts = steps_of(name)
    ends, inside = zip(*(errors_on_spiral(name, n) for n in counts), strict=True)
    order = METHODS[name].order
    assert slope_of(list(ends), counts) == pytest.approx(order, abs=0.2 if order == 7 else 0.15)
    # The interpolant adds one local error of an order above its own.
    assert slope_of(list(inside), counts) > min(order, METHODS[name].dense_order + 1) - 0.3


JUMPS = {
    "a jump of a held input inside and at both ends": {
        "inputs": {"u": tw.Signal([0.0, 1 / 3, 1.0], [0.2, 1.5, -3.0])},
    },
    "kinks of a linear input inside and at both ends": {
        "inputs": {"u": tw.Signal([0.0, 1 / 3, 1.0, 1.5], [0.2, 1.5, -0.4, 9.0], kind="linear")},
    },
    "a timed change of a parameter": {
        "changes": [
            tw.Change(1 / 3, "set", "p", -2.0),
            tw.Change(2 / 3, "add", "u", 1.0, until=5 / 6),
        ],
    },
}


@pytest.fixture(scope="module", params=JUMPS, ids=lambda name: name.replace(" ", "_"))
def jump(request):
    setting = JUMPS[request.param]
    options = {"method": "vern7", "dt": 1 / 512, "keep": "final"}
    return setting, float(tw.simulate(Forced(), [0.0, 1.0], **options, **setting)["x"])


@on_every_engine("name", NAMES)
def test_a_jump_does_not_cost_the_order(engine, name, jump):
    setting, exact = jump
    order = METHODS[name].order
    # Every jump cuts a step, at the same fraction of the step for n and 4 n.
    counts = {1: [64, 256], 2: [32, 128], 5: [16, 64]}.get(order, [8, 32])
    errors = [
        abs(float(tw.simulate(
            Forced(), [0.0, 1.0], method=name, dt=1.0 / n, keep="final", **setting
        )["x"]) - exact)
        for n in counts
    ]  # fmt: skip
    assert slope_of(errors, counts) > order - 0.4


@on_every_engine("name", ["tsit5", "dopri5", "vern7", "rodas5p", "auto"])
def test_adaptive_steps_meet_the_tolerance_across_a_jump(engine, name, jump):
    setting, exact = jump
    sol = tw.simulate(Forced(), [0.0, 1.0], method=name, rtol=1e-9, atol=1e-11, **setting)
    assert sol.ok.all()
    assert float(sol["x"][0, -1]) == pytest.approx(exact, abs=1e-8)


def test_a_held_input_counts_from_its_own_knot_on_and_not_before():
    sol = tw.simulate(
        Forced(), [0.0, 1.0, 2.0], {"p": 0.0}, {"x": 0.0},
        {"u": tw.Signal([0.0, 1.0], [0.0, 1.0])}, method="rk4", dt=0.1,
    )  # fmt: skip
    assert float(sol["x"][0, 1]) == 0.0
    assert float(sol["x"][0, 2]) == pytest.approx(float(torch.tanh(torch.tensor(1.0))), abs=1e-5)
