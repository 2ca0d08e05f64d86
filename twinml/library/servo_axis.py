"""Linear axis moved by a servo drive."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class ServoAxis(Physics):
    """Carriage on a ball screw: inertia, viscous and smooth dry friction, a constant offset.

    Source: Janot, Gautier, Brunot (2019), Data set and reference models of EMPS, Workshop on
    Nonlinear System Identification Benchmarks: M q'' = gain u - Fv q' - Fc sign(q') - offset,
    with the values they identify as defaults. Here sign is tanh(velocity / slip_speed): at
    rest the carriage creeps below ``slip_speed`` where dry friction would hold it.
    """

    position = State("m", initial=0.0)
    velocity = State("m/s", initial=0.0)
    control = Input("V", default=0.0)
    mass = Parameter("kg", default=95.1089, low=1e-2, high=1e5)
    gain = Parameter("N/V", default=35.15, low=1e-3, high=1e5)
    viscous = Parameter("N*s/m", default=203.5034, low=0.0, high=1e5)
    coulomb = Parameter("N", default=20.3935, low=0.0, high=1e5)
    offset = Parameter("N", default=-3.1648, low=-1e4, high=1e4)
    slip_speed = Parameter("m/s", default=1e-3, low=1e-6, high=0.1)
    measured = Output("m")

    def rhs(
        self, velocity: Tensor, control: Tensor, mass: Tensor, gain: Tensor, viscous: Tensor,
        coulomb: Tensor, offset: Tensor, slip_speed: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        friction = viscous * velocity + coulomb * torch.tanh(velocity / slip_speed)
        return {
            "position": velocity,
            "velocity": (gain * control - friction - offset) / mass,
        }

    def outputs(self, position: Tensor) -> Mapping[str, Tensor]:
        return {"measured": position}
