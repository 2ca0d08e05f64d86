"""A predator and its prey."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from twinml.physics import Output, Parameter, Physics, State


class PredatorPrey(Physics):
    """Prey that grow on their own and are eaten by predators that starve without them.

    Source: Volterra (1926), Nature 118, p. 558, and Lotka (1925), Elements of Physical Biology,
    p. 88: prey' = (alpha - beta predator) prey, predator' = (delta prey - gamma) predator.
    Defaults near the fits of the Hudson Bay pelts of 1900-1920 by Howard (2009), Modeling basics,
    and Carpenter (2018), Predator-prey population dynamics, Stan case study: hares and lynx in
    thousands. Carpenter finds errors in proportion to the counts; ``log_hare`` and ``log_lynx``
    are the natural logarithms of the counts, for a record with such errors.

    Limits: ``beta`` and ``delta`` belong to pelts, which are a share of the animals.
    """

    time_unit = "year"
    prey = State("kilocount", initial=30.0, low=0.0)
    predator = State("kilocount", initial=4.0, low=0.0)
    alpha = Parameter("1/year", default=0.55, low=0.0)
    beta = Parameter("1/(kilocount*year)", default=0.028, low=0.0)
    gamma = Parameter("1/year", default=0.84, low=0.0)
    delta = Parameter("1/(kilocount*year)", default=0.026, low=0.0)
    hare = Output("kilocount")
    lynx = Output("kilocount")
    log_hare = Output("1")
    log_lynx = Output("1")

    def rhs(
        self, prey: Tensor, predator: Tensor, alpha: Tensor, beta: Tensor, gamma: Tensor,
        delta: Tensor,
    ) -> Mapping[str, Tensor]:  # fmt: skip
        return {
            "prey": (alpha - beta * predator) * prey,
            "predator": (delta * prey - gamma) * predator,
        }

    def outputs(self, prey: Tensor, predator: Tensor) -> Mapping[str, Tensor]:
        return {
            "hare": prey,
            "lynx": predator,
            "log_hare": torch.log(1000.0 * prey),
            "log_lynx": torch.log(1000.0 * predator),
        }
