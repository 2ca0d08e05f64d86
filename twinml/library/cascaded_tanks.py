"""Two stacked tanks fed by a pump, with overflow."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Input, Output, Parameter, Physics, State, sqrt0


class CascadedTanks(Physics):
    """Upper tank h1 drains into lower tank h2; a full upper tank spills partly into the lower.

    Source: Schoukens, Mattsson, Wigren, Noel (2016), Cascaded tanks benchmark combining soft
    and hard nonlinearities, eq. 1-3 for the flows. The overflow there is described in words:
    what the full upper tank cannot hold falls partly into the lower tank, partly aside, and the
    lower tank spills too. Here a tank spills through a weir above its rim, with outflow
    ``spill * excess``; the share ``catch`` of the upper spill reaches the lower tank.
    """

    h1 = State("cm", initial=5.0, low=0.0)
    h2 = State("cm", initial=5.0, low=0.0)
    u = Input("V", default=0.0)
    k1 = Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k2 = Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k3 = Parameter("cm^0.5/s", default=0.05, low=0.005, high=0.5)
    k4 = Parameter("cm/(V*s)", default=0.05, low=0.005, high=0.5)
    rim1 = Parameter("cm", default=10.0, low=1.0, high=50.0)
    rim2 = Parameter("cm", default=10.0, low=1.0, high=50.0)
    catch = Parameter("1", default=0.5, low=0.0, high=1.0)
    spill = Parameter("1/s", default=1.0, low=0.05, high=20.0)
    level = Output("cm")

    def rhs(
        self, h1: Tensor, h2: Tensor, u: Tensor, k1: Tensor, k2: Tensor, k3: Tensor, k4: Tensor,
        rim1: Tensor, rim2: Tensor, catch: Tensor, spill: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        over1 = spill * torch.relu(h1 - rim1)
        over2 = spill * torch.relu(h2 - rim2)
        return {
            "h1": k4 * u - k1 * sqrt0(h1) - over1,
            "h2": k2 * sqrt0(h1) - k3 * sqrt0(h2) + catch * over1 - over2,
        }

    def outputs(self, h2: Tensor) -> Mapping[str, Tensor]:
        return {"level": h2}
