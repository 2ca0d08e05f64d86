"""Capacity of a lithium-ion cell over its charge cycles: a plant of one's own in 30 lines."""

from __future__ import annotations

import twinml as tw


class CapacityFade(tw.Physics):
    """Every cycle takes the same capacity; `stress` scales how much.

    Time counts cycles, hence without dimension. The recovery after a rest, which the records show
    as small jumps, is left out: it is what the noise of the output stands for.
    """

    time_unit = "1"
    capacity = tw.State("A*h", initial=1.9, low=0.0, high=3.0)
    stress = tw.Input("1", default=1.0)
    loss = tw.Parameter("mA*h", default=3.0, low=0.05, high=50.0)
    measured = tw.Output("A*h")
    health = tw.Output("%")
    rated = tw.Parameter("A*h", default=2.0, low=0.1, high=10.0)

    def rhs(self, stress, loss):
        return {"capacity": -stress * loss / 1000.0}

    def outputs(self, capacity, rated):
        return {"measured": capacity, "health": 100.0 * capacity / rated}
