"""A heat exchanger whose equations stand in ``exchanger.h``, with their twin in torch."""

from __future__ import annotations

import torch

import twinml as tw


class Exchanger(tw.KernelPhysics):
    """Counter-flow heat exchanger of two streams of six cells; equations in the header."""

    kernel = "exchanger.h"
    hot = tw.State("K", initial=330.0, size=6)
    cold = tw.State("K", initial=290.0, size=6)
    hot_inlet = tw.Input("K", default=360.0)
    cold_inlet = tw.Input("K", default=285.0)
    hot_flow = tw.Input("1/s", default=0.5)
    cold_flow = tw.Parameter("1/s", default=0.4, low=0.01, high=10.0)
    transfer = tw.Parameter("1/s", default=0.3, low=0.001, high=10.0)
    warmth = tw.Parameter("1/K", default=0.002, low=0.0, high=0.02)
    reference = tw.Parameter("K", default=300.0)
    product = tw.Output("K", noise=None)

    def outputs(self, cold):
        return {"product": cold[..., 0]}


class ExchangerWithTwin(Exchanger):
    """The same, and in torch too: for gradients and the Jacobian of stiff methods."""

    def rhs(
        self, hot, cold, hot_inlet, cold_inlet, hot_flow, cold_flow, transfer, warmth, reference
    ):
        before = torch.cat([hot_inlet.unsqueeze(-1), hot[..., :-1]], -1)
        after = torch.cat([cold[..., 1:], cold_inlet.unsqueeze(-1)], -1)
        warm = 0.5 * (hot + cold) - reference.unsqueeze(-1)
        passed = transfer.unsqueeze(-1) * (1 + warmth.unsqueeze(-1) * warm) * (hot - cold)
        return {
            "hot": hot_flow.unsqueeze(-1) * (before - hot) - passed,
            "cold": cold_flow.unsqueeze(-1) * (after - cold) + passed,
        }
