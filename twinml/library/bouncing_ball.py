"""A ball that bounces until it lies still: events with resets."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Output, Parameter, Physics, State, event


class BouncingBall(Physics):
    """Free fall onto a hard floor, with Newton's law of restitution at each impact.

    Source: Modelica Association, Reference-FMUs, BouncingBall (equations, defaults and the
    speed below which the ball rests). After an impact that would throw it back more slowly than
    ``slowest`` it lies still: ``airborne`` goes from 1 to 0. Without such an end the bounces
    would follow one another ever faster, infinitely many in a finite time.

    The floor is at height 0; ``altitude`` is what a sensor above it measures.
    """

    height = State("m", initial=1.0, low=0.0)
    velocity = State("m/s", initial=0.0)
    airborne = State("1", initial=1.0, low=0.0, high=1.0)
    gravity = Parameter("m/s^2", default=9.81, low=0.0, high=30.0)
    restitution = Parameter("1", default=0.7, low=0.0, high=1.0)
    slowest = Parameter("m/s", default=0.1, low=0.0, high=10.0)
    altitude = Output("m")

    def rhs(self, velocity: Tensor, airborne: Tensor, gravity: Tensor) -> Mapping[str, Tensor]:
        still = torch.zeros_like(airborne)
        return {"height": velocity, "velocity": -gravity * airborne, "airborne": still}

    def outputs(self, height: Tensor) -> Mapping[str, Tensor]:
        return {"altitude": height}

    @event(direction=-1)
    def impact(self, height: Tensor) -> Tensor:
        return height

    @impact.reset
    def rebound(
        self, height: Tensor, velocity: Tensor, airborne: Tensor, restitution: Tensor,
        slowest: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        back = -restitution * velocity
        flies = back >= slowest
        return {
            "height": torch.zeros_like(height),  # what the root finder left is no height
            "velocity": torch.where(flies, back, 0.0),
            "airborne": torch.where(flies, airborne, 0.0),
        }
