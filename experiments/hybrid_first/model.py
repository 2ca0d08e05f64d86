"""Two tanks whose overflow is learned: the physics of the library plus a correction."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

import twinml as tw
from twinml.library import CascadedTanks


class HybridTanks(CascadedTanks):
    """The flows of ``CascadedTanks`` plus a learned correction of both derivatives.

    What happens in the upper tank may reach the lower one, so one network sees the upper level
    and the pump and corrects both; what the lower tank does by itself depends on its own level.
    The correction begins at zero: an untrained hybrid is the physics.
    """

    def __init__(self, width: int = 8, seed: int = 0) -> None:
        super().__init__()
        # softplus is nearly straight away from zero, so it goes on where no data was.
        self.upper = tw.nn.mlp(2, 2, hidden=(width,), activation="softplus", seed=2 * seed)
        self.lower = tw.nn.mlp(1, 1, hidden=(width,), activation="softplus", seed=2 * seed + 1)

    def rhs(
        self, h1: Tensor, h2: Tensor, u: Tensor, k1: Tensor, k2: Tensor, k3: Tensor, k4: Tensor,
        rim1: Tensor, rim2: Tensor, catch: Tensor, spill: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        flow = super().rhs(h1, h2, u, k1, k2, k3, k4, rim1, rim2, catch, spill)
        # Networks learn best from numbers of order one; a flow here is around 0.1 cm/s.
        above, below = self.upper(h1 / 4 - 3, u - 3)
        return {
            "h1": flow["h1"] + 0.1 * above,
            "h2": flow["h2"] + 0.1 * (below + self.lower(h2 / 2 - 3)),
        }
