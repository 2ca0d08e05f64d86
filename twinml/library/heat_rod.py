"""A rod heated at one end that loses heat to the air along its side and at its other end."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import Tensor

from twinml.fields import transport
from twinml.physics import Input, Output, Parameter, Physics, State


def _side_loss(temperature: Tensor, loss: Tensor, ambient: Tensor) -> Tensor:
    return loss * (ambient - temperature)


_ROD = transport("heat_rod", "temperature", left="flux", right="flux", reaction=_side_loss)


class HeatRod(Physics):
    """Conduction along a round rod with convection from its surface; a fin, in time.

    Source: Bergman, Lavine, Incropera, DeWitt, Fundamentals of Heat and Mass Transfer (7th
    edition), sec. 3.6.1 (energy balance of an extended surface, here with the term of storage)
    and case A of table 3.4 (convection at the tip)::

        rho c dT/dt = k d2T/dx2 - (4 h / d) (T - Ta)
        -k dT/dx = power / (pi d^2 / 4) at x = 0,    -k dT/dx = h (T - Ta) at x = length

    Finite volumes on equal cells, second order in their width; the tip's convection acts through
    half a cell of metal. Sensors lie in the first cell, the middle and the last one. Default: an
    aluminium rod (properties at 300 K of table A.1 there, pure aluminium) 0.3 m long, 10 mm
    thick, in still air. A subclass with another ``State(..., size=k)`` has k cells.
    """

    temperature = State("K", initial=293.15, low=200.0, high=900.0, size=40)
    power = Input("W", default=5.0)
    ambient = Input("K", default=293.15)
    conductivity = Parameter("W/(m*K)", default=237.0, low=0.1, high=500.0)
    convection = Parameter("W/(m^2*K)", default=10.0, low=0.0, high=1e3)
    heat_capacity = Parameter("J/(kg*K)", default=903.0, low=50.0, high=5e3)
    density = Parameter("kg/m^3", default=2702.0, low=500.0, high=2.3e4)
    length = Parameter("m", default=0.3, low=0.01, high=10.0)
    diameter = Parameter("m", default=0.01, low=1e-3, high=0.5)
    heated_end = Output("K")
    middle = Output("K")
    far_end = Output("K")

    def rhs(
        self, temperature: Tensor, power: Tensor, ambient: Tensor, conductivity: Tensor,
        convection: Tensor, heat_capacity: Tensor, density: Tensor, length: Tensor,
        diameter: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        capacity = density * heat_capacity
        section = 0.25 * math.pi * diameter * diameter
        half_cell = length / (2 * temperature.shape[-1])
        tip = convection / (1.0 + convection * half_cell / conductivity)
        return {
            "temperature": _ROD(
                temperature,
                length,
                conductivity / capacity,
                left=power / (section * capacity),
                right=tip * (ambient - temperature[..., -1]) / capacity,
                loss=4.0 * convection / (diameter * capacity),
                ambient=ambient,
            )
        }

    def outputs(self, temperature: Tensor) -> Mapping[str, Tensor]:
        return {
            "heated_end": temperature[..., 0],
            "middle": temperature[..., temperature.shape[-1] // 2],
            "far_end": temperature[..., -1],
        }
