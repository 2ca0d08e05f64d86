"""The reactor's published steady states, their stability, and ignition."""

from __future__ import annotations

import pytest
import torch

import twinml as tw
from twinml.library import StirredReactor

# Seborg et al., example 2.5: the nominal state; the cold state as in the process-control course
# of Hedengren (apmonitor.com/pdc, stirred reactor): 0.87725294608097 mol/L, 324.475443431599 K.
NOMINAL = (0.5, 350.0)
COLD = (0.87725294608097, 324.475443431599)


def slopes(state: torch.Tensor) -> torch.Tensor:
    model = StirredReactor()
    values = {
        n: torch.tensor([model.default(n)], dtype=torch.float64) for n in model.declared.inputs
    }
    values |= {
        n: torch.tensor([model.default(n)], dtype=torch.float64) for n in model.declared.parameters
    }
    values |= {"concentration": state[:1], "temperature": state[1:]}
    return model.derivatives(values, state[:, None])[:, 0]


def growth(state: torch.Tensor) -> list[float]:
    """Real parts of the eigenvalues of the linearisation, per minute, smallest first."""
    jacobian = torch.autograd.functional.jacobian(slopes, state)
    assert isinstance(jacobian, torch.Tensor)
    return sorted(torch.linalg.eigvals(jacobian).real.tolist())


def root(start: tuple[float, float]) -> torch.Tensor:
    state = torch.tensor(start, dtype=torch.float64)
    for _ in range(30):
        jacobian = torch.autograd.functional.jacobian(slopes, state)
        assert isinstance(jacobian, torch.Tensor)
        state = state - torch.linalg.solve(jacobian, slopes(state))
    return state


@pytest.mark.parametrize(
    ("published", "stable"), [(COLD, True), (NOMINAL, False)], ids=["cold", "nominal"]
)
def test_the_published_states_are_steady(published, stable):
    found = root(published)
    # the nominal one is printed to three digits
    assert found.tolist() == pytest.approx(published, rel=1e-9 if stable else 1e-3)
    assert (growth(found)[-1] < 0) == stable


def test_the_saddle_parts_the_cold_state_from_the_hot_side():
    saddle = root(NOMINAL)
    slow, fast = growth(saddle)
    assert slow < 0 < fast
    starts = {
        "concentration": saddle[0].expand(2),
        "temperature": saddle[1] + torch.tensor([-2.0, 2.0], dtype=torch.float64),
    }
    sol = tw.simulate(StirredReactor(), [0.0, 1.0, 30.0], initial=starts, rtol=1e-8)
    assert float(sol["temperature"][0, 1]) < 345 and float(sol["temperature"][1, 1]) > 360
    assert float(sol["temperature"][0, 2]) == pytest.approx(COLD[1], abs=1e-3)


def test_the_default_start_stays_where_it_is_until_the_coolant_warms():
    sol = tw.simulate(
        StirredReactor(), [0.0, 30.0], inputs={"coolant": torch.tensor([300.0, 306.0])},
        keep={"hottest": "max(temperature)"}, rtol=1e-8,
    )  # fmt: skip
    cold, warm = sol["hottest"].tolist()
    assert cold == pytest.approx(COLD[1], abs=1e-2)
    assert warm > 450


def test_nothing_burns_without_a_reaction():
    """Then the tank mixes feed and coolant: first order, 1 + UA / (q rho c) per minute."""
    sol = tw.simulate(
        StirredReactor(), [0.0, 40.0], {"rate_factor": 0.0}, {"temperature": 300.0}, rtol=1e-10
    )
    share = 5e4 / (100 * 1000 * 0.239)
    mixed = (350 + share * 300) / (1 + share)
    assert float(sol["temperature"][0, -1]) == pytest.approx(mixed, rel=1e-9)
    assert float(sol["conversion"][0, -1]) == pytest.approx(0.0, abs=1e-9)
