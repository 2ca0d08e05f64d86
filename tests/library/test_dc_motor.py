"""The motor against its data sheet and against a textbook's poles."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from twinml.library import DcMotor

RPM = 30.0 / math.pi


def steady(**given) -> dict[str, float]:
    sol = tw.simulate(DcMotor(), [0.0, 0.2], inputs=given, rtol=1e-9)
    return {name: float(sol[name][0, -1]) for name in ("speed", "armature")}


def test_the_data_sheet_comes_out():
    """maxon RE 40, 148867: values at the nominal voltage, printed to three digits."""
    free = steady(voltage=24.0)
    assert free["speed"] == pytest.approx(7580, rel=2e-3)
    assert free["armature"] == pytest.approx(0.137, rel=1e-2)
    rated = steady(voltage=24.0, load=0.170)
    # 3.33 rpm/mNm; the sheet's 6930 rpm at the rated torque count the warm winding too
    assert (free["speed"] - rated["speed"]) / 170 == pytest.approx(3.33, rel=5e-3)
    assert rated["armature"] == pytest.approx(5.77, rel=1e-2)
    stalled = tw.simulate(
        DcMotor(), [0.0, 0.1], {"inertia": 1e3}, inputs={"voltage": 24.0}, rtol=1e-9
    )
    current = float(stalled["current"][0, -1])
    assert current == pytest.approx(75.7, rel=1e-3)
    assert 0.0302 * current == pytest.approx(2.280, rel=5e-3)


def test_the_run_up_takes_the_mechanical_time_constant():
    """4.81 ms on the data sheet, which leaves the inductance out."""
    t = torch.tensor([0.0, 4.81e-3, 0.1], dtype=torch.float64)
    sol = tw.simulate(DcMotor(), t, {"inductance": 1e-7, "coulomb": 0.0}, rtol=1e-8)
    share = float(sol["omega"][0, 1] / sol["omega"][0, 2])
    assert share == pytest.approx(1 - math.exp(-1), abs=2e-3)


def test_two_poles_shape_the_textbooks_step():
    """CTMS, Univ. of Michigan, DC motor speed: poles -9.9975 and -2.0025, 0.1 rad/s a volt."""
    values = {"inertia": 0.01, "viscous": 0.1, "k": 0.01, "resistance": 1.0, "inductance": 0.5}
    t = torch.linspace(0.0, 4.0, 21, dtype=torch.float64)
    sol = tw.simulate(
        DcMotor(), t, {**values, "coulomb": 0.0}, inputs={"voltage": 1.0}, rtol=1e-10, atol=1e-13
    )
    fast, slow, gain = 9.9975, 2.0025, 0.01 / (0.1 * 1.0 + 0.01**2)
    rest = (fast * torch.exp(-slow * t) - slow * torch.exp(-fast * t)) / (fast - slow)
    assert float((sol["omega"][0] - gain * (1 - rest)).abs().max()) < 1e-6


def test_dry_friction_holds_a_shaft_below_breakaway():
    """Half of the friction torque makes it creep at atanh(1/2) of the slip speed, no faster."""
    half = 0.5 * 0.137 * 0.317
    sol = tw.simulate(DcMotor(), [0.0, 1.0], inputs={"voltage": half})
    creep = float(sol["omega"][0, -1])
    assert 0.2 < creep < math.atanh(0.5)
    back = tw.simulate(DcMotor(), [0.0, 1.0], inputs={"voltage": -half})
    assert float(back["omega"][0, -1]) == pytest.approx(-creep, rel=1e-6)
