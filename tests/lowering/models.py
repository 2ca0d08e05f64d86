"""Models made of one function, to look at single operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import twinml as tw
from twinml.lowering import evaluate, lower


class OneFunction(tw.Physics):
    """dx/dt = f(x, y, z); the other two rest."""

    x = tw.State("1", initial=0.7)
    y = tw.State("1", initial=0.4)
    z = tw.State("1", initial=0.2)

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def rhs(self, x: Tensor, y: Tensor, z: Tensor) -> Mapping[str, Any]:
        return {"x": self.function(x, y, z), "y": 0.0, "z": 0.0}


class OneVector(tw.Physics):
    """dv/dt = f(v, a) for a state v of four components."""

    v = tw.State("1", initial=0.7, size=4)
    a = tw.State("1", initial=0.4)

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        matrix = torch.tensor([[0.1, 0.2, -0.3, 0.4], [1.0, 0.5, 0.0, -0.5]]).double()
        self.register_buffer("matrix", matrix)
        self.weight = torch.nn.Parameter(torch.linspace(-1.0, 1.0, 16).double().reshape(4, 4))

    def rhs(self, v: Tensor, a: Tensor) -> Mapping[str, Any]:
        return {"v": self.function(self, v, a), "a": 0.0}


class Hybrid(tw.Physics):
    """A state of its own, a network, a table and numbers in several places."""

    position = tw.State("1", initial=0.3)
    speed = tw.State("1", initial=-0.2)
    push = tw.Input("1", default=0.5)
    rate = tw.Parameter("1", default=0.7)
    seen = tw.Output("1")
    offset = 0.25

    def __init__(self) -> None:
        super().__init__()
        self.net = tw.nn.mlp(3, 2, hidden=(8, 4), zero=False, seed=1)
        self.plain = nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 1)).double()
        self.register_buffer("knots", torch.linspace(-1.0, 1.0, 9, dtype=torch.float64))
        self.register_buffer("heights", self.knots**2)
        self.gain = 2.0
        self.options = {"scales": [1.0, 3.0]}
        self.member = torch.tensor(0.125, dtype=torch.float64)

    def rhs(
        self, t: Tensor, position: Tensor, speed: Tensor, push: Tensor, rate: Tensor
    ) -> Mapping[str, Tensor]:
        a, b = self.net(position, speed, push)
        c = self.plain(torch.stack([position, speed], dim=-1))[..., 0]
        table = tw.interp(position, self.knots, self.heights)
        return {
            "position": speed + self.gain * a + table * rate + self.offset,
            "speed": b - c * self.options["scales"][1] + self.member * torch.sin(t),
        }

    def outputs(self, position: Tensor) -> Mapping[str, Tensor]:
        return {"seen": tw.interp(position, self.knots, self.heights)}


def computed(model: tw.Physics, y: np.ndarray[Any, Any], name: str = "rhs", **others: Any) -> Any:
    """Results of a program of a lowered model, (results, P), at states (n, P)."""
    lowered = lower(model)
    weights = [w.numpy() for w in lowered.read(torch.float64)]
    values = {"t": np.zeros(y.shape[1]), "y": y, "w": weights, **others}
    results = evaluate(lowered.programs[name], values)
    return np.stack([np.broadcast_to(result, y.shape[1:]) for result in results])
