"""A packed tube with an exothermic reaction, cooled through its wall."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.fields import transport
from twinml.physics import Input, Output, Parameter, Physics, State

REFERENCE = 350.0  # K, where the rate constant is given


def _reaction(
    concentration: Tensor, temperature: Tensor, rate_constant: Tensor, activation: Tensor,
    reference: Tensor, porosity: Tensor, rise: Tensor, cooling: Tensor, wall: Tensor,
) -> Mapping[str, Tensor]:  # fmt: skip
    rate = rate_constant * torch.exp(activation * (1.0 / reference - 1.0 / temperature))
    rate = rate * concentration
    return {
        "concentration": -rate / porosity,
        "temperature": rise * rate + cooling * (wall - temperature),
    }


_BED = transport(
    "reactor_bed",
    "concentration temperature",
    left="flux",
    right="neumann",
    advection="central",
    reaction=_reaction,
)


class ReactorBed(Physics):
    """Reaction A -> B of first order in a packed bed, by axial dispersion and one temperature.

    Source: Froment, Bischoff, De Wilde, Chemical Reactor Analysis and Design (3rd edition), sec.
    11.6 (the pseudohomogeneous model in one dimension with axial mixing); Danckwerts (1953),
    Chem. Eng. Sci. 2, 1 (boundary conditions: at the inlet the whole flux is that of the feed, at
    the outlet the profile is flat). With the superficial velocity v and r = k(T) c a volume of
    bed::

        e dc/dt     = D d2c/dx2 - v dc/dx - r
        C_bed dT/dt = L d2T/dx2 - v C_fluid dT/dx + heat r - U (T - T_wall)
        k(T) = rate_constant exp(activation (1 / 350 K - 1 / T))

    Finite volumes with central advection, second order in the width w of a cell as long as
    v w / D and v C_fluid w / L stay below 2 (default: 1.7 both). Defaults are of the size
    met with a liquid in a bed of 6 mm grains, and not those of one plant: dispersion by a Peclet
    number of the grains of 0.2, heat spread as matter is. The start is a bed free of A. A
    subclass with other sizes of its two states has a finer grid.
    """

    concentration = State("mol/m^3", initial=0.0, low=0.0, high=1e5, size=20)
    temperature = State("K", initial=340.0, low=250.0, high=1500.0, size=20)
    velocity = Input("m/s", default=1e-3)
    feed_concentration = Input("mol/m^3", default=1000.0)
    feed_temperature = Input("K", default=340.0)
    wall_temperature = Input("K", default=340.0)
    rate_constant = Parameter("1/s", default=3e-3, low=0.0, high=1.0)
    activation = Parameter("K", default=8000.0, low=0.0, high=4e4)
    reaction_heat = Parameter("J/mol", default=8e4, low=0.0, high=1e6)
    heat_transfer = Parameter("W/(m^3*K)", default=2e3, low=0.0, high=1e6)
    dispersion = Parameter("m^2/s", default=3e-5, low=1e-7, high=1e-2)
    conductivity = Parameter("W/(m*K)", default=60.0, low=0.1, high=500.0)
    fluid_capacity = Parameter("J/(m^3*K)", default=2e6, low=1e2, high=1e7)
    bed_capacity = Parameter("J/(m^3*K)", default=2.5e6, low=1e5, high=1e7)
    porosity = Parameter("1", default=0.4, low=0.2, high=0.95)
    length = Parameter("m", default=1.0, low=0.05, high=20.0)
    reference = Parameter("K", default=REFERENCE, low=250.0, high=1000.0)
    outlet_concentration = Output("mol/m^3")
    outlet_temperature = Output("K")
    hot_spot = Output("K")

    def rhs(
        self, concentration: Tensor, temperature: Tensor, velocity: Tensor,
        feed_concentration: Tensor, feed_temperature: Tensor, wall_temperature: Tensor,
        rate_constant: Tensor, activation: Tensor, reaction_heat: Tensor, heat_transfer: Tensor,
        dispersion: Tensor, conductivity: Tensor, fluid_capacity: Tensor, bed_capacity: Tensor,
        porosity: Tensor, length: Tensor, reference: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        carried = velocity / porosity
        warmed = velocity * fluid_capacity / bed_capacity
        return _BED(
            {"concentration": concentration, "temperature": temperature},
            length,
            {"concentration": dispersion / porosity, "temperature": conductivity / bed_capacity},
            velocity={"concentration": carried, "temperature": warmed},
            left={
                "concentration": carried * feed_concentration,
                "temperature": warmed * feed_temperature,
            },
            rate_constant=rate_constant,
            activation=activation,
            reference=reference,
            porosity=porosity,
            rise=reaction_heat / bed_capacity,
            cooling=heat_transfer / bed_capacity,
            wall=wall_temperature,
        )

    def outputs(self, concentration: Tensor, temperature: Tensor) -> Mapping[str, Tensor]:
        return {
            "outlet_concentration": concentration[..., -1],
            "outlet_temperature": temperature[..., -1],
            "hot_spot": torch.amax(temperature, dim=-1),
        }
