"""Two heaters on one board, each seen by a sensor that lags behind."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State

CELSIUS = 273.15  # K at 0 degC


class HeaterPair(Physics):
    """Energy balance of two transistor heaters that warm the room and each other.

    Source: the temperature control lab of Park, Martin, Kelly, Hedengren (2020), Comput. Chem.
    Eng. 135, 106736. Each heater is one lump, with convection and radiation, T in kelvin::

        m c dT1/dt = U A (Ta - T1) + e s A (Ta^4 - T1^4) + q + gain1 power1
        m c dT2/dt = U A (Ta - T2) + e s A (Ta^4 - T2^4) - q + gain2 power2
                 q = Us As (T2 - T1) + e s As (T2^4 - T1^4)
        lag dS/dt  = T - S        for each sensor S

    Masses, areas, emissivity and the first guesses of what is fitted (U, Us, gains, lag) are
    those published with the lab on apmonitor.com. Sensors start at the temperature of their
    heaters; a short lag (0.1 s) leaves them out in effect.
    """

    heater1 = State("K", initial=296.15, low=233.15, high=423.15)
    heater2 = State("K", initial=296.15, low=233.15, high=423.15)
    sensor1 = State("K", low=233.15, high=423.15)
    sensor2 = State("K", low=233.15, high=423.15)
    power1 = Input("percent", default=0.0)
    power2 = Input("percent", default=0.0)
    convection = Parameter("W/(m^2*K)", default=10.0, low=1.0, high=40.0)
    exchange = Parameter("W/(m^2*K)", default=20.0, low=0.0, high=100.0)
    gain1 = Parameter("W/percent", default=0.01, low=0.001, high=0.05)
    gain2 = Parameter("W/percent", default=0.0075, low=0.001, high=0.05)
    lag = Parameter("s", default=15.0, low=0.1, high=120.0)
    ambient = Parameter("K", default=296.15, low=273.15, high=323.15)
    mass = Parameter("kg", default=0.004, low=1e-4, high=0.1)
    heat_capacity = Parameter("J/(kg*K)", default=500.0, low=50.0, high=5e3)
    area = Parameter("m^2", default=1e-3, low=1e-5, high=0.1)
    facing_area = Parameter("m^2", default=2e-4, low=0.0, high=0.1)
    emissivity = Parameter("1", default=0.9, low=0.0, high=1.0)
    stefan_boltzmann = Parameter("W/(m^2*K^4)", default=5.670374419e-8, low=5.67e-8, high=5.671e-8)
    temperature1 = Output("degC")
    temperature2 = Output("degC")

    def rhs(
        self, heater1: Tensor, heater2: Tensor, sensor1: Tensor, sensor2: Tensor, power1: Tensor,
        power2: Tensor, convection: Tensor, exchange: Tensor, gain1: Tensor, gain2: Tensor,
        lag: Tensor, ambient: Tensor, mass: Tensor, heat_capacity: Tensor, area: Tensor,
        facing_area: Tensor, emissivity: Tensor, stefan_boltzmann: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        radiation = emissivity * stefan_boltzmann

        def flow(warm: Tensor, cold: Tensor, coefficient: Tensor, surface: Tensor) -> Tensor:
            """Heat from one temperature to another, W."""
            return surface * (coefficient * (warm - cold) + radiation * (warm**4 - cold**4))

        between = flow(heater2, heater1, exchange, facing_area)
        loss1 = flow(heater1, ambient, convection, area)
        loss2 = flow(heater2, ambient, convection, area)
        inertia = mass * heat_capacity
        return {
            "heater1": (gain1 * power1 - loss1 + between) / inertia,
            "heater2": (gain2 * power2 - loss2 - between) / inertia,
            "sensor1": (heater1 - sensor1) / lag,
            "sensor2": (heater2 - sensor2) / lag,
        }

    def initial(self, heater1: Tensor, heater2: Tensor) -> Mapping[str, Tensor]:
        return {"sensor1": heater1, "sensor2": heater2}

    def outputs(self, sensor1: Tensor, sensor2: Tensor) -> Mapping[str, Tensor]:
        return {"temperature1": sensor1 - CELSIUS, "temperature2": sensor2 - CELSIUS}
