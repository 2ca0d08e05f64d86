"""One model with a bit of everything, so that one kernel serves many tests; and its scenarios."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

import twinml as tw


class Plant(tw.Physics):
    """A driven nonlinear scalar and a pair that swings: held and linear input, vector state.

    ``stiff`` pulls x to cos t at that rate.
    """

    x = tw.State("1", initial=0.5)
    pair = tw.State("1", initial=1.0, size=2)
    u = tw.Input("1", default=0.1)
    v = tw.Input("1", default=0.2)
    p = tw.Parameter("1", default=0.3)
    q = tw.Parameter("1", default=2.0)
    stiff = tw.Parameter("1/s", default=1.0)
    seen = tw.Output("1")

    def rhs(
        self, t: Tensor, x: Tensor, pair: Tensor, u: Tensor, v: Tensor, p: Tensor, q: Tensor,
        stiff: Tensor,
    ) -> dict[str, Tensor]:  # fmt: skip
        a, b = pair.unbind(-1)
        pull = stiff * (torch.cos(t) - x)
        return {
            "x": pull - x * x * x + u * torch.exp(-a * a) + p * torch.sin(3.0 * t) * v,
            "pair": torch.stack([b, -q * a - v * b + 0.1 * x], dim=-1),
        }

    def outputs(self, x: Tensor, pair: Tensor, u: Tensor) -> dict[str, Tensor]:
        return {"seen": x * u + pair.sum(-1)}


def signals(kind_u: str = "hold", kind_v: str = "linear") -> dict[str, tw.Signal]:
    """Knots at both ends and inside, no multiples of a power of two."""
    return {
        "u": tw.Signal([0.0, 1 / 3, 1.1, 2.0], [0.2, 1.5, -1.0, 0.7], kind_u),
        "v": tw.Signal([0.0, 0.7, 1.3, 2.0], [0.2, -0.5, 1.4, 0.1], kind_v),
    }


def rows(count: int, stiffest: float = 1.0, seed: int = 0) -> dict[str, Tensor]:
    """Parameters and changes' values that differ in every row."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.rand((5, count), generator=generator, dtype=torch.float64)
    return {
        "p": spread[0],
        "q": 1.0 + 3.0 * spread[1],
        "stiff": stiffest ** torch.linspace(0.0, 1.0, count, dtype=torch.float64),
        "at": 0.3 + spread[2],
        "until": 1.4 + 0.5 * spread[3],
        "value": 0.5 + spread[4],
    }


def arguments(count: int, stiffest: float = 1.0, changes: bool = True, **more: Any) -> dict:
    """Arguments of ``simulate`` for a batch: inputs of both kinds, changes row by row.

    Save points lie at the ends, on knots, between, and repeat.
    """
    value = rows(count, stiffest)
    given: dict[str, Any] = {
        "t": [0.0, 0.0, 0.25, 1 / 3, 0.9, 1.1, 1.1, 1.1, 1.77, 2.0, 2.0],
        "parameters": {name: value[name] for name in ("p", "q", "stiff")},
        "inputs": signals(),
    }
    if changes:
        given["changes"] = [
            tw.Change(value["at"], "multiply", "q", value["value"], until=value["until"]),
            tw.Change(1.0, "add", "u", value["value"]),
            tw.Change(0.0, "set", "p", 0.6, until=2.0),
        ]
    return {**given, **more}
