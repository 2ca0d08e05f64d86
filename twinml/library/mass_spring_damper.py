"""Mass on a spring and a damper, linear or with a cubic spring."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State


class MassSpringDamper(Physics):
    """One degree of freedom: m x'' = force - damping x' - stiffness x - cubic x^3.

    Source: Kovacic & Brennan (eds., 2011), The Duffing Equation, ch. 1. With ``cubic`` zero, its
    default, the oscillator is linear; a positive one stiffens with the displacement, a
    negative one softens and lets go beyond sqrt(stiffness / -cubic).
    ``gauge`` is the displacement measured, ``reaction`` what spring and damper pass on to the
    foundation.

    Defaults: natural frequency 10 rad/s, damping ratio 0.05.
    """

    displacement = State("m", initial=0.0)
    velocity = State("m/s", initial=0.0)
    force = Input("N", default=0.0)
    mass = Parameter("kg", default=1.0, low=1e-6, high=1e6)
    damping = Parameter("N*s/m", default=1.0, low=0.0, high=1e6)
    stiffness = Parameter("N/m", default=100.0, low=0.0, high=1e9)
    cubic = Parameter("N/m^3", default=0.0, low=-1e9, high=1e12)
    gauge = Output("m")
    reaction = Output("N")

    def rhs(
        self, displacement: Tensor, velocity: Tensor, force: Tensor, mass: Tensor,
        damping: Tensor, stiffness: Tensor, cubic: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        spring = (stiffness + cubic * displacement * displacement) * displacement
        return {"displacement": velocity, "velocity": (force - damping * velocity - spring) / mass}

    def outputs(
        self, displacement: Tensor, velocity: Tensor, damping: Tensor, stiffness: Tensor,
        cubic: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        spring = (stiffness + cubic * displacement * displacement) * displacement
        return {"gauge": displacement, "reaction": damping * velocity + spring}
