"""A ball whose first impact ends the simulation."""

from __future__ import annotations

import twinml as tw
from twinml.library import BouncingBall


class Drop(BouncingBall):
    @tw.event(direction=-1, terminal=True)
    def impact(self, height):
        return height
