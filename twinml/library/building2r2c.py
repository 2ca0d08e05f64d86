"""Heat of a building: indoor air, envelope, weather and heating."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class Building2r2c(Physics):
    """Two heat capacities in series with two resistances, from indoor air to the weather.

    Source: Bacher & Madsen (2011), Energy and Buildings 43, 1511-1522, model TiTe::

        c_indoor   dTi/dt = (Te - Ti) / r_inner + heating + solar_area * solar
        c_envelope dTe/dt = (Ti - Te) / r_inner + (To - Te) / r_outer

    Defaults: the estimates there for the test house FlexHouse, of the model with separate
    heaters and sensor (TiTeThTs), whose three small capacities are added up into the indoor one:
    0.143 + 0.321 + 0.619 kWh/K. The envelope starts in balance with the temperatures about it.
    """

    time_unit = "h"
    indoor = State("degC", initial=20.0, low=-60.0, high=80.0)
    envelope = State("degC", low=-60.0, high=80.0)
    outdoor = Input("degC", default=0.0)
    solar = Input("kW/m^2", default=0.0)
    heating = Input("kW", default=0.0)
    r_inner = Parameter("K/kW", default=0.909, low=0.01, high=50.0)
    r_outer = Parameter("K/kW", default=4.47, low=0.05, high=200.0)
    c_indoor = Parameter("kW*h/K", default=1.083, low=0.01, high=100.0)
    c_envelope = Parameter("kW*h/K", default=3.24, low=0.05, high=1e3)
    solar_area = Parameter("m^2", default=6.03, low=0.0, high=200.0)
    temperature = Output("degC")

    def rhs(
        self, indoor: Tensor, envelope: Tensor, outdoor: Tensor, solar: Tensor, heating: Tensor,
        r_inner: Tensor, r_outer: Tensor, c_indoor: Tensor, c_envelope: Tensor,
        solar_area: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        inward = (envelope - indoor) / r_inner
        outward = (envelope - outdoor) / r_outer
        return {
            "indoor": (inward + heating + solar_area * solar) / c_indoor,
            "envelope": (-inward - outward) / c_envelope,
        }

    def initial(
        self, indoor: Tensor, outdoor: Tensor, r_inner: Tensor, r_outer: Tensor
    ) -> Mapping[str, Tensor]:
        return {"envelope": (r_outer * indoor + r_inner * outdoor) / (r_inner + r_outer)}

    def outputs(self, indoor: Tensor) -> Mapping[str, Tensor]:
        return {"temperature": indoor}
