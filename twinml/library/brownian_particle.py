"""Bead in a fluid that thermal motion kicks about."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class BrownianParticle(Physics):
    """One coordinate of a sphere in a viscous fluid and a harmonic trap (Langevin's equation).

    Source: Langevin (1908), C. R. Acad. Sci. 146, 530; as an equation for the velocity (the
    Ornstein-Uhlenbeck process): Uhlenbeck & Ornstein (1930), Phys. Rev. 36, 823; in a trap:
    Chandrasekhar (1943), Rev. Mod. Phys. 15, 1, ch. II. With mass m, Stokes' drag
    gamma = 6 pi viscosity radius and Brownian W(t)::

        dx = v dt
        m dv = (force - gamma v - stiffness x) dt + sqrt(2 k_B T gamma) dW

    Defaults: a silica bead of 3 um in air at 297 K in a soft optical trap, the setting of Li,
    Kheifets, Medellin, Raizen (2010), Science 328, 1673. Its velocity relaxes in m / gamma = 53 us,
    the trap alone would swing with a period of 331 us, and in equilibrium the mean squares are
    k_B T / m of v (0.38 um/ms) and k_B T / stiffness of x (20 nm). Stokes' drag without memory
    holds in a gas; in a liquid the fluid that moves along counts too.

    The units are coherent: 1 um, 1 pg and 1 us make nN, fJ and mPa s.
    """

    time_unit = "us"
    x = State("um", initial=0.0)
    v = State("um/us", initial=0.0)
    force = Input("nN", default=0.0)
    radius = Parameter("um", default=1.5, low=0.05, high=50.0)
    density = Parameter("g/cm^3", default=1.96, low=0.1, high=20.0)
    viscosity = Parameter("mPa*s", default=0.0183, low=1e-6, high=10.0)
    temperature = Parameter("K", default=297.0, low=1.0, high=1000.0)
    stiffness = Parameter("nN/um", default=0.01, low=0.0, high=10.0)
    boltzmann = Parameter("fJ/K", default=1.380649e-8, low=1e-9)  # exact in the SI
    position = Output("um")

    def rhs(
        self, x: Tensor, v: Tensor, force: Tensor, radius: Tensor, density: Tensor,
        viscosity: Tensor, stiffness: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        mass = 4.0 / 3.0 * math.pi * radius * radius * radius * density
        drag = 6.0 * math.pi * viscosity * radius
        return {"x": v, "v": (force - drag * v - stiffness * x) / mass}

    def noise(
        self, radius: Tensor, density: Tensor, viscosity: Tensor, temperature: Tensor,
        boltzmann: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        mass = 4.0 / 3.0 * math.pi * radius * radius * radius * density
        drag = 6.0 * math.pi * viscosity * radius
        return {"v": torch.sqrt(2.0 * boltzmann * temperature * drag) / mass}

    def outputs(self, x: Tensor) -> Mapping[str, Tensor]:
        return {"position": x}
