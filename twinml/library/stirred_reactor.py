"""Continuously stirred tank with an exothermic reaction and a cooling jacket."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class StirredReactor(Physics):
    """Irreversible first-order reaction A -> B that releases heat, cooled through a jacket.

    Source: Seborg, Edgar, Mellichamp, Process Dynamics and Control, sec. 2.4.6 and example 2.5
    (second edition): balances of A and of heat at constant volume, rate by Arrhenius, the
    coolant's temperature imposed. Defaults are those of the example, whose nominal state of
    0.5 mol/L and 350 K is a saddle. The start is the cold steady state at the same feed and
    coolant, which is stable.
    """

    time_unit = "min"
    concentration = State("mol/L", initial=0.877253, low=0.0)
    temperature = State("K", initial=324.4754, low=200.0, high=2000.0)
    coolant = Input("K", default=300.0)
    flow = Input("L/min", default=100.0)
    feed_concentration = Input("mol/L", default=1.0)
    feed_temperature = Input("K", default=350.0)
    volume = Parameter("L", default=100.0, low=1e-3, high=1e6)
    density = Parameter("g/L", default=1000.0, low=1.0, high=2e4)
    heat_capacity = Parameter("J/(g*K)", default=0.239, low=0.01, high=20.0)
    reaction_heat = Parameter("J/mol", default=5e4, low=0.0, high=1e6)
    rate_factor = Parameter("1/min", default=7.2e10, low=0.0, high=1e20)
    activation = Parameter("K", default=8750.0, low=0.0, high=1e5)
    heat_transfer = Parameter("J/(min*K)", default=5e4, low=0.0, high=1e9)
    conversion = Output("1")

    def rhs(
        self, concentration: Tensor, temperature: Tensor, coolant: Tensor, flow: Tensor,
        feed_concentration: Tensor, feed_temperature: Tensor, volume: Tensor, density: Tensor,
        heat_capacity: Tensor, reaction_heat: Tensor, rate_factor: Tensor, activation: Tensor,
        heat_transfer: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        exchange = flow / volume
        rate = rate_factor * torch.exp(-activation / temperature) * concentration
        capacity = density * heat_capacity
        cooling = heat_transfer * (coolant - temperature) / (volume * capacity)
        return {
            "concentration": exchange * (feed_concentration - concentration) - rate,
            "temperature": exchange * (feed_temperature - temperature)
            + reaction_heat * rate / capacity
            + cooling,
        }

    def outputs(self, concentration: Tensor, feed_concentration: Tensor) -> Mapping[str, Tensor]:
        return {"conversion": 1.0 - concentration / feed_concentration}
