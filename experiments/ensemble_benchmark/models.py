"""The network problem as a twinml model."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from problems import network_weights
from torch import Tensor

import twinml as tw


class Network(tw.Physics):
    """Four states whose derivative is a 4-32-32-4 tanh network."""

    time_unit = "1"
    a = tw.State("1", initial=0.0)
    b = tw.State("1", initial=0.0)
    c = tw.State("1", initial=0.0)
    d = tw.State("1", initial=0.0)

    def __init__(self) -> None:
        super().__init__()
        self.net = tw.nn.mlp(4, 4, hidden=(32, 32), activation="tanh")
        with torch.no_grad():
            for mine, given in zip(self.net.parameters(), network_weights(), strict=True):
                mine.copy_(torch.as_tensor(given))

    def rhs(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Mapping[str, Tensor]:
        slopes = self.net(a, b, c, d)
        return dict(zip(("a", "b", "c", "d"), slopes, strict=True))


class Ring(tw.Physics):
    """Fifty phase oscillators, each pulled by its four neighbours.

    Source: Kuramoto (1984), Chemical Oscillations, Waves, and Turbulence, with local coupling.
    """

    time_unit = "1"
    phase = tw.State("1", initial=0.0, size=50)
    coupling = tw.Parameter("1", default=1.0)

    def rhs(self, phase: Tensor, coupling: Tensor) -> Mapping[str, Tensor]:
        each = phase.unbind(-1)
        count = len(each)
        slopes = []
        for i, mine in enumerate(each):
            pull = sum(torch.sin(each[(i + k) % count] - mine) for k in (-2, -1, 1, 2))
            slopes.append(0.02 * i + coupling * pull)
        return {"phase": torch.stack(slopes, -1)}
