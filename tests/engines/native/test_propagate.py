"""A propagator gives what simulate gives, in every bit, whatever came before."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.engines.native.propagate import Propagator
from twinml.errors import ArgumentError, ShapeError
from twinml.library import CascadedTanks, Lorenz, VanDerPol

ROWS = 7


def simulated(model, span, states, t=0.0, parameters=None, inputs=None, **options):
    initial = dict(zip(model.declared.states, states, strict=True))
    times = torch.tensor([t, t + span], dtype=torch.float64)
    found = tw.simulate(
        model, times, parameters, initial, inputs, keep="final", engine="native", **options
    )
    return torch.stack([found[name] for name in model.declared.states]), found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=["float64", "float32"])
@pytest.mark.parametrize("options", [{}, {"dt": 0.01, "method": "rk4"}, {"method": "rodas5p"}])
def test_calls_give_the_bits_of_simulate(dtype, options):
    model, span = Lorenz(), 0.05
    options = {"method": "tsit5", **options, "dtype": dtype}
    rho = torch.linspace(1, 28, ROWS, dtype=dtype)
    step = Propagator(model, span, ROWS, parameters={"rho": rho}, **options)
    states = torch.linspace(-3, 9, 3 * ROWS, dtype=dtype).reshape(3, ROWS)
    for call in range(3):
        expected, found = simulated(
            model, span, states, call * span, parameters={"rho": rho}, **options
        )
        states = step(states, call * span)
        assert torch.equal(states, expected)
        assert torch.equal(step.status, found.status)


def test_new_inputs_and_parameters_hold_from_their_call_on():
    model, span = CascadedTanks(), 4.0
    inflow = torch.linspace(1, 3, ROWS, dtype=torch.float64)
    step = Propagator(model, span, ROWS, inputs={"u": 1.0})
    states = torch.full((2, ROWS), 4.0, dtype=torch.float64)
    first = step(states)
    assert torch.equal(first, simulated(model, span, states, inputs={"u": 1.0}, method="tsit5")[0])
    new = {"parameters": {"k1": 0.07}, "inputs": {"u": inflow}}
    second = step(first, **new)
    assert torch.equal(second, simulated(model, span, first, method="tsit5", **new)[0])
    assert torch.equal(step(first), second)


def test_a_row_that_fails_is_nan_and_leaves_the_next_call_alone():
    step = Propagator(VanDerPol(), 0.1, ROWS)
    states = torch.ones(2, ROWS, dtype=torch.float64)
    good = step(states)
    bad = states.clone()
    bad[0, 3] = torch.nan
    found = step(bad)
    assert torch.isnan(found[:, 3]).all()
    assert (step.status != 0).tolist() == [row == 3 for row in range(ROWS)]
    others = [row for row in range(ROWS) if row != 3]
    assert torch.equal(found[:, others], good[:, others])
    assert torch.equal(step(states), good)


def test_what_cannot_be_propagated_is_refused():
    with pytest.raises(ArgumentError, match="Name a method"):
        Propagator(Lorenz(), 0.1, ROWS, method="auto")
    with pytest.raises(ArgumentError, match="above 0"):
        Propagator(Lorenz(), 0.0, ROWS)
    step = Propagator(Lorenz(), 0.1, ROWS)
    with pytest.raises(ShapeError, match="components, then rows"):
        step(torch.zeros(ROWS, 3, dtype=torch.float64))
    with pytest.raises(ArgumentError, match="no parameter or input"):
        step(torch.zeros(3, ROWS, dtype=torch.float64), parameters={"roh": 1.0})
