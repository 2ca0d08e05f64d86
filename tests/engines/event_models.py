"""Physics with events whose times and states are known."""

from __future__ import annotations

import math

import torch

import twinml as tw
from tests.engines.models import Oscillator, counter


class Ball(tw.Physics):
    """A ball that bounces; loses the share 1 - restitution of its speed each time."""

    height = tw.State("m", initial=1.0)
    velocity = tw.State("m/s", initial=0.0)
    gravity = tw.Parameter("m/s^2", default=9.81)
    restitution = tw.Parameter("1", default=0.7)

    def __init__(self):
        super().__init__()
        self.counter = counter()

    @property
    def calls(self):
        return self.counter.count

    def rhs(self, velocity, gravity):
        self.counter()
        return {"height": velocity, "velocity": -gravity}

    @tw.event(direction=-1)
    def impact(self, height):
        return height

    @impact.reset
    def impact(self, velocity, restitution):
        return {"velocity": -restitution * velocity}


def bounces(count, restitution=0.7, gravity=9.81, height=1.0):
    """Times of the first impacts."""
    t = math.sqrt(2 * height / gravity)
    speed, times = gravity * t, [t]
    for _ in range(count - 1):
        speed *= restitution
        t += 2 * speed / gravity
        times.append(t)
    return torch.tensor(times, dtype=torch.float64)


class Wall(tw.Physics):
    """A pendulum between a wall and its own swing: nonlinear, no closed form."""

    angle = tw.State("rad", initial=0.4)
    rate = tw.State("rad/s", initial=0.0)
    wall = tw.Parameter("rad", default=-0.1)
    loss = tw.Parameter("1", default=0.2)
    drive = tw.Input("1/s^2", default=0.0)
    energy = tw.Output("1/s^2")

    def rhs(self, t, angle, rate, drive):
        return {"angle": rate, "rate": -9.0 * torch.sin(angle) + drive * torch.cos(t)}

    def outputs(self, angle, rate):
        return {"energy": 0.5 * rate * rate - 9.0 * torch.cos(angle)}

    @tw.event(direction=-1)
    def hit(self, angle, wall):
        return torch.sin(angle) - torch.sin(wall)

    @hit.reset
    def hit(self, rate, loss):
        return {"rate": -(1 - loss) * rate}


class Ramp(tw.Physics):
    """x' = slope, thrown back from 1 to ``back``: exact in binary arithmetic."""

    x = tw.State("1", initial=0.0)
    slope = tw.Parameter("1/s", default=1.0)
    back = tw.Parameter("1", default=-4.0)
    u = tw.Input("1", default=0.0)

    def rhs(self, x, slope):
        return {"x": slope + 0.0 * x}

    @tw.event(direction=1)
    def full(self, x):
        return x - 1.0

    @full.reset
    def full(self, x, back, u):
        return {"x": back + u + 0.0 * x}


def wave(direction, terminal=False):
    """x = sin t, watched at 1/2."""

    class Wave(Oscillator):
        @tw.event(direction=direction, terminal=terminal)
        def middle(self, x):
            return x - 0.5

    return Wave()
