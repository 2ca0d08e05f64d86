"""Outbreak of an infectious disease in a closed population."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Output, Parameter, Physics, State


class Outbreak(Physics):
    """Susceptible, infected, recovered (SIR) with frequency-dependent transmission.

    Source: Kermack & McKendrick (1927), Proc. R. Soc. A 115, eq. 29, with contacts per head
    independent of the population's size. Defaults near the 1978 English boarding-school
    influenza (BMJ 1978, 1, 587): 763 boys.
    """

    time_unit = "day"
    susceptible = State("1", low=0.0)
    infected = State("1", initial=1.0, low=0.0)
    recovered = State("1", initial=0.0, low=0.0)
    beta = Parameter("1/day", default=1.8, low=0.0)
    gamma = Parameter("1/day", default=0.45, low=0.0)
    population = Parameter("1", default=763.0, low=1.0)
    in_bed = Output("1")

    def rhs(
        self, susceptible: Tensor, infected: Tensor, beta: Tensor, gamma: Tensor, population: Tensor
    ) -> Mapping[str, Tensor]:
        infections = beta * susceptible * infected / population
        recoveries = gamma * infected
        return {
            "susceptible": -infections,
            "infected": infections - recoveries,
            "recovered": recoveries,
        }

    def initial(self, population: Tensor, infected: Tensor) -> Mapping[str, Tensor]:
        return {"susceptible": population - infected}

    def outputs(self, infected: Tensor) -> Mapping[str, Tensor]:
        return {"in_bed": infected}
