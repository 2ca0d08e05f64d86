"""Driven pendulum with viscous friction."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class Pendulum(Physics):
    """Point mass on a rigid rod, torque at the pivot.

    Source: Newton's law about the pivot,
    m l^2 theta'' = torque - damping theta' - m g l sin(theta); theta = 0 hangs down.
    """

    theta = State("rad", initial=1.0)
    omega = State("rad/s", initial=0.0)
    torque = Input("N*m", default=0.0)
    mass = Parameter("kg", default=1.0, low=1e-3, high=1e3)
    length = Parameter("m", default=1.0, low=1e-2, high=1e2)
    damping = Parameter("N*m*s", default=0.1, low=0.0, high=1e2)
    gravity = Parameter("m/s^2", default=9.81, low=0.0, high=30.0)
    angle = Output("rad")

    def rhs(
        self, theta: Tensor, omega: Tensor, torque: Tensor, mass: Tensor, length: Tensor,
        damping: Tensor, gravity: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        inertia = mass * length * length
        weight = mass * gravity * length * torch.sin(theta)
        return {"theta": omega, "omega": (torque - damping * omega - weight) / inertia}

    def outputs(self, theta: Tensor) -> Mapping[str, Tensor]:
        return {"angle": theta}
