"""Models whose right-hand side stands in a header; worker processes import them from here."""

from __future__ import annotations

import torch

import twinml as tw
from twinml import library


def declarations(model: type[tw.Physics]) -> dict:
    """What a class declares, its time unit and its outputs, for a class of another kind."""
    declared = model.declared
    names = (*declared.names, *declared.events)
    found = {name: getattr(model, name) for name in names}
    if declared.outputs:
        found["outputs"] = model.outputs
    return {**found, "time_unit": model.time_unit, "__module__": __name__}


def in_header(model: type[tw.Physics], header: str, twin: bool = False, **more) -> type:
    """The model with its equations in a header, and in torch too if ``twin``."""
    body = {**declarations(model), "kernel": header, **({"rhs": model.rhs} if twin else {}), **more}
    return type(f"Header{model.__name__}", (tw.KernelPhysics,), body)


class Tanks(tw.KernelPhysics):
    """No derivative at all."""

    kernel = "tanks.h"
    h1 = tw.State("cm", initial=5.0, low=0.0)
    h2 = tw.State("cm", initial=5.0, low=0.0)
    u = tw.Input("V", default=0.0)
    k1 = tw.Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k2 = tw.Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k3 = tw.Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k4 = tw.Parameter("cm/(V*s)", default=0.05, low=0.005, high=0.5)
    level = tw.Output("cm", noise=None)

    def outputs(self, h2):
        return {"level": h2}


class TwinTanks(Tanks):
    """The same with its twin in torch."""

    def rhs(self, h1, h2, u, k1, k2, k3, k4):
        outflow = k1 * tw.sqrt0(h1)
        return {"h1": k4 * u - outflow, "h2": k2 * tw.sqrt0(h1) - k3 * tw.sqrt0(h2)}


Lorenz = in_header(library.Lorenz, "lorenz.h")
TwinLorenz = in_header(library.Lorenz, "lorenz.h", twin=True)
Robertson = in_header(library.Robertson, "robertson.h")
TwinRobertson = in_header(library.Robertson, "robertson.h", twin=True)


class TorchRing(tw.Physics):
    """``ring.h`` in torch, with noise."""

    cell = tw.State("K", initial=0.0, size=4)
    used = tw.State("1", initial=0.0)
    heat = tw.Input("K/s", default=1.0)
    spread = tw.Parameter("1/s", default=0.5, low=0.0)
    limit = tw.Parameter("K", default=0.6)
    fan = tw.Parameter("1/s", default=2.0, low=0.0)
    mean = tw.Output("K")

    def rhs(self, t, cell, heat, spread, limit, fan):
        around = torch.roll(cell, 1, -1) - 2 * cell + torch.roll(cell, -1, -1)
        first = cell[..., 0]
        cooling = torch.where(first > limit, fan * (first - limit), 0.0)
        warmed = heat * (1 + 0.1 * torch.sin(t)) - cooling
        flow = spread.unsqueeze(-1) * around
        rest = flow[..., 1:]
        return {
            "cell": torch.cat([(flow[..., 0] + warmed).unsqueeze(-1), rest], -1),
            "used": heat,
        }

    def outputs(self, cell):
        return {"mean": cell.mean(-1)}


Ring = in_header(TorchRing, "ring.h")
TwinRing = in_header(TorchRing, "ring.h", twin=True)


class TorchBall(tw.Physics):
    """A ball that bounces, pushed at random."""

    height = tw.State("m", initial=1.0)
    velocity = tw.State("m/s", initial=0.0)
    gravity = tw.Parameter("m/s^2", default=9.81)
    gust = tw.Parameter("m/s^1.5", default=0.0)

    def rhs(self, velocity, gravity):
        return {"height": velocity, "velocity": -gravity}

    def noise(self, gust):
        return {"velocity": gust}

    @tw.event(direction=-1)
    def impact(self, height):
        return height

    @impact.reset
    def impact(self, velocity):
        return {"velocity": -0.8 * velocity}


class Ball(tw.KernelPhysics):
    """The same in a header."""

    kernel = "ball.h"
    height, velocity = TorchBall.height, TorchBall.velocity
    gravity, gust = TorchBall.gravity, TorchBall.gust
    impact = TorchBall.impact
    noise = TorchBall.noise
