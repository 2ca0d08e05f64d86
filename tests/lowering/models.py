"""Models made of one function, to look at single operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

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


def computed(model: tw.Physics, y: np.ndarray[Any, Any], name: str = "rhs", **others: Any) -> Any:
    """Results of a program of a lowered model, (results, P), at states (n, P)."""
    lowered = lower(model)
    weights = [w.numpy() for w in lowered.read(torch.float64)]
    values = {"t": np.zeros(y.shape[1]), "y": y, "w": weights, **others}
    results = evaluate(lowered.programs[name], values)
    return np.stack([np.broadcast_to(result, y.shape[1:]) for result in results])
