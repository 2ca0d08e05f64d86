"""The axis: steady speed, run-out by dry friction, and creep at rest."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from twinml.library import ServoAxis

MASS, GAIN, VISCOUS, COULOMB, OFFSET = 95.1089, 35.15, 203.5034, 20.3935, -3.1648


@pytest.mark.parametrize("way", [1.0, -1.0], ids=["forward", "backward"])
def test_force_and_friction_balance_at_steady_speed(way):
    sol = tw.simulate(ServoAxis(), [0.0, 20.0], inputs={"control": 3.0 * way}, rtol=1e-9)
    steady = (GAIN * 3.0 * way - way * COULOMB - OFFSET) / VISCOUS
    assert float(sol["velocity"][0, -1]) == pytest.approx(steady, rel=1e-6)


def test_a_free_carriage_runs_out_as_dry_and_viscous_friction_say():
    """M v' = -Fv v - (Fc + offset): v = (v0 + c) exp(-t Fv / M) - c, until it stops."""
    t = torch.linspace(0.0, 0.6, 13, dtype=torch.float64)
    sol = tw.simulate(
        ServoAxis(), t, {"slip_speed": 1e-5}, {"velocity": 0.3}, rtol=1e-9, atol=1e-11
    )
    shift = (COULOMB + OFFSET) / VISCOUS
    exact = (0.3 + shift) * torch.exp(-t * VISCOUS / MASS) - shift
    assert float((sol["velocity"][0] - exact).abs().max()) < 1e-7
    assert float(exact[-1]) > 0


def test_at_rest_the_offset_only_makes_it_creep():
    """Dry friction holds 3.2 of 20.4 N; the smooth one gives way at atanh of that share."""
    sol = tw.simulate(ServoAxis(), [0.0, 1.0, 5.0], rtol=1e-9)
    creep = float(sol["velocity"][0, -1])
    assert creep == pytest.approx(1e-3 * math.atanh(-OFFSET / COULOMB), rel=2e-2)
    assert float(sol["measured"][0, -1]) < 1e-3
