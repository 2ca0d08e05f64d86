"""Brushed DC motor with permanent magnets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class DcMotor(Physics):
    """Armature circuit and rotor of a DC motor, with viscous and dry friction.

    Source: Franklin, Powell, Emami-Naeini, Feedback Control of Dynamic Systems, sec. 2.3:
    L i' = voltage - R i - k omega, J omega' = k i - friction - load; one constant k, as the
    torque constant and the constant of the back voltage are equal in SI units. Dry friction is
    smooth, coulomb tanh(omega / slip_speed), so below ``slip_speed`` the shaft creeps instead
    of sticking. ``load`` brakes a shaft that turns forward.

    Defaults: data sheet of the maxon RE 40, 24 V, 150 W (order number 148867, catalogue of
    2010). It names friction by the current at no load, 137 mA, of which all is dry here.
    """

    omega = State("rad/s", initial=0.0)
    current = State("A", initial=0.0)
    voltage = Input("V", default=24.0)
    load = Input("N*m", default=0.0)
    inertia = Parameter("kg*m^2", default=138e-7, low=1e-9, high=1e3)
    k = Parameter("N*m/A", default=0.0302, low=1e-5, high=1e2)
    resistance = Parameter("ohm", default=0.317, low=1e-3, high=1e3)
    inductance = Parameter("H", default=82.3e-6, low=1e-7, high=10.0)
    viscous = Parameter("N*m*s", default=0.0, low=0.0, high=10.0)
    coulomb = Parameter("N*m", default=0.137 * 0.0302, low=0.0, high=1e3)
    slip_speed = Parameter("rad/s", default=1.0, low=1e-3, high=1e2)
    speed = Output("rpm")
    armature = Output("A")

    def rhs(
        self, omega: Tensor, current: Tensor, voltage: Tensor, load: Tensor, inertia: Tensor,
        k: Tensor, resistance: Tensor, inductance: Tensor, viscous: Tensor, coulomb: Tensor,
        slip_speed: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        friction = viscous * omega + coulomb * torch.tanh(omega / slip_speed)
        return {
            "omega": (k * current - friction - load) / inertia,
            "current": (voltage - resistance * current - k * omega) / inductance,
        }

    def outputs(self, omega: Tensor, current: Tensor) -> Mapping[str, Tensor]:
        return {"speed": omega * (30.0 / torch.pi), "armature": current}
