"""Small physics with known solutions, and a counter of evaluations."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import twinml as tw


class Spiral(tw.Physics):
    """A turn that speeds up, non-autonomous and nonlinear: (cos t^2, sin t^2)."""

    x = tw.State("1", initial=1.0)
    y = tw.State("1", initial=0.0)

    def rhs(self, t: Tensor, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        speed = 2.0 * t * (x * x + y * y)
        return {"x": -speed * y, "y": speed * x}


class Decay(tw.Physics):
    """x' = -k x + u, observed as 2 x."""

    x = tw.State("1", initial=1.0)
    u = tw.Input("1/s", default=0.0)
    k = tw.Parameter("1/s", default=1.0)
    twice = tw.Output("1")

    def rhs(self, x: Tensor, u: Tensor, k: Tensor) -> dict[str, Tensor]:
        return {"x": -k * x + u}

    def outputs(self, x: Tensor) -> dict[str, Tensor]:
        return {"twice": 2.0 * x}


class Forced(tw.Physics):
    """x' = -x^2 + u(t) + p cos(t): nonlinear, non-autonomous, with an input and a parameter."""

    x = tw.State("1", initial=0.5)
    u = tw.Input("1", default=0.0)
    p = tw.Parameter("1", default=0.3)

    def rhs(self, t: Tensor, x: Tensor, u: Tensor, p: Tensor) -> dict[str, Tensor]:
        return {"x": -x * x + u + p * torch.cos(t)}


class Polynomial(tw.Physics):
    """x = c - 16 (t - 1/4)^2 (t - 3/4)^2 for x(0) = c - 9/16: two peaks of height c."""

    x = tw.State("1")
    c = tw.Parameter("1", default=1.0)

    def rhs(self, t: Tensor) -> dict[str, Tensor]:
        a, b = t - 0.25, t - 0.75
        return {"x": -32.0 * a * b * (a + b)}

    def initial(self, c: Tensor) -> dict[str, Tensor]:
        return {"x": c - 9.0 / 16.0}


class Oscillator(tw.Physics):
    """x = a sin(w t), v = x'."""

    x = tw.State("1", initial=0.0)
    v = tw.State("1/s", initial=1.0)
    w = tw.Parameter("1/s", default=1.0)

    def rhs(self, x: Tensor, v: Tensor, w: Tensor) -> dict[str, Tensor]:
        return {"x": v, "v": -w * w * x}


def counter() -> Any:
    """Counts its calls in ``.count``. A function, so that lowering sees no value of the model."""

    def call() -> None:
        call.count += 1

    call.count = 0
    return call


class Custom(tw.Physics):
    """One state whose slope is a function handed in; counts its evaluations."""

    y = tw.State("1", initial=1.0)
    p = tw.Parameter("1", default=1.0)

    def __init__(self, slope) -> None:
        super().__init__()
        self.slope = slope
        self.counter = counter()

    @property
    def calls(self) -> int:
        """How often the equations were evaluated by torch."""
        return self.counter.count

    def rhs(self, t: Tensor, y: Tensor, p: Tensor) -> dict[str, Tensor]:
        self.counter()
        return {"y": self.slope(t, y, p)}
