"""The oscillator, linear and with a cubic spring, against what is known in closed form."""

from __future__ import annotations

import math

import pytest
import torch

import twinml as tw
from twinml.library import MassSpringDamper

TIGHT = {"rtol": 1e-10, "atol": 1e-12}


def test_frequency_and_damping_ratio_of_the_linear_one():
    """m = 2, k = 200, c = 4: 10 rad/s, ratio 0.1."""
    t = torch.linspace(0.0, 3.0, 61, dtype=torch.float64)
    sol = tw.simulate(
        MassSpringDamper(), t, {"mass": 2.0, "stiffness": 200.0, "damping": 4.0},
        {"displacement": 0.3}, **TIGHT,
    )  # fmt: skip
    decay, turn = 0.1 * 10.0, 10.0 * math.sqrt(1 - 0.1**2)
    exact = 0.3 * torch.exp(-decay * t) * (torch.cos(turn * t) + decay / turn * torch.sin(turn * t))
    assert float((sol["displacement"][0] - exact).abs().max()) < 1e-9


def test_a_constant_force_is_borne_by_the_spring():
    sol = tw.simulate(
        MassSpringDamper(), [0.0, 3.0], {"cubic": 50.0, "damping": 25.0},
        inputs={"force": 150.0}, rtol=1e-8,
    )  # fmt: skip
    # the root of 100 x + 50 x^3 = 150
    assert float(sol["gauge"][0, -1]) == pytest.approx(1.0, abs=1e-6)
    assert float(sol["reaction"][0, -1]) == pytest.approx(150.0, abs=1e-4)


@pytest.mark.parametrize(
    ("cubic", "start"), [(400.0, 0.7), (-80.0, 1.0)], ids=["hardening", "softening"]
)
def test_energy_is_kept_without_damping(cubic, start):
    t = torch.linspace(0.0, 3.0, 31, dtype=torch.float64)
    sol = tw.simulate(
        MassSpringDamper(),
        t,
        {"damping": 0.0, "cubic": cubic},
        {"displacement": start},
        rtol=1e-9,
        atol=1e-11,
    )
    x, v = sol["displacement"][0], sol["velocity"][0]
    energy = 0.5 * v**2 + 0.5 * 100.0 * x**2 + 0.25 * cubic * x**4
    assert float((energy / energy[0] - 1).abs().max()) < 1e-8


def test_the_period_of_the_hardening_one_is_the_elliptic_integral():
    """T = 4 K(m) / sqrt(w^2 + e A^2), m = e A^2 / (2 (w^2 + e A^2)), e = cubic / mass.

    Kovacic & Brennan (2011), ch. 2: the solution is A cn.
    """
    from scipy.special import ellipk

    amplitude, cubic = 0.7, 400.0
    total = 100.0 + cubic * amplitude**2
    period = 4 * ellipk(cubic * amplitude**2 / (2 * total)) / math.sqrt(total)
    sol = tw.simulate(
        MassSpringDamper(), [0.0, 3 * period], {"damping": 0.0, "cubic": cubic},
        {"displacement": amplitude}, **TIGHT,
    )  # fmt: skip
    # three periods later it is back, at rest
    assert float(sol["displacement"][0, -1]) == pytest.approx(amplitude, abs=1e-7)
    assert float(sol["velocity"][0, -1]) == pytest.approx(0.0, abs=1e-6)
    assert period == pytest.approx(2 * math.pi / 10 / 1.56, rel=0.02)
