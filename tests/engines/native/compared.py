"""Runs on both engines, and what must agree between them."""

from __future__ import annotations

from typing import Any

import torch

import twinml as tw


class Plate(tw.Physics):
    """A pendulum between a wall and its own swing, pushed by an input; with an output."""

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


class Ball(tw.Physics):
    """A ball that bounces and whose turning is watched."""

    height = tw.State("m", initial=1.0)
    velocity = tw.State("m/s", initial=0.0)
    restitution = tw.Parameter("1", default=0.7)

    def rhs(self, velocity):
        return {"height": velocity, "velocity": -9.81 + 0 * velocity}

    @tw.event(direction=-1)
    def impact(self, height):
        return height

    @impact.reset
    def impact(self, velocity, restitution):
        return {"velocity": -restitution * velocity}

    @tw.event(direction=-1)
    def top(self, velocity):
        return velocity


def spread(low: float, high: float, rows: int, seed: int) -> torch.Tensor:
    """Numbers between two ends in no order."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(rows, generator=generator, dtype=torch.float64)


def both(*args: Any, **options: Any) -> tuple[tw.Solution, tw.Solution]:
    """The same simulation on eager and on native."""
    with torch.no_grad():
        return tuple(tw.simulate(*args, engine=name, **options) for name in ("eager", "native"))


def agree(eager: tw.Solution, native: tw.Solution, tolerance: float) -> None:
    """Statuses, counts and steps the same; values and times within a tolerance."""
    assert native.engine == "native" and eager.engine == "eager"
    assert torch.equal(native.status, eager.status)
    assert torch.equal(native.steps, eager.steps)
    pairs = [(name, native[name], eager[name]) for name in eager.values]
    pairs.append(("fail_time", native.fail_time, eager.fail_time))
    for name, event in eager.events.items():
        assert torch.equal(native.events[name].count, event.count), name
        pairs.append((name, native.events[name].time, event.time))
    for name, found, want in pairs:
        torch.testing.assert_close(
            found, want, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda m, n=name: n + m
        )
