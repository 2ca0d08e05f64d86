"""A small outbreak and its posterior, shared by the scenario tests."""

from __future__ import annotations

import numpy as np
import pytest

from twinml.data.posterior import Posterior
from twinml.physics import Input, Output, Parameter, Physics, State


class Outbreak(Physics):
    time_unit = "day"
    susceptible = State("1", low=0.0)
    infected = State("1", initial=1.0, low=0.0, high=763.0)
    recovered = State("1", initial=0.0, low=0.0)
    beta = Parameter("1/day", default=1.8, low=0.0)
    gamma = Parameter("1/day", default=0.45, low=0.0, high=5.0)
    population = Parameter("1", default=763.0, low=1.0)
    vaccine = Input("1/day", default=0.0)
    in_bed = Output("1")

    def rhs(self, susceptible, infected, beta, gamma, population, vaccine):
        new = beta * susceptible * infected / population
        return {
            "susceptible": -new - vaccine,
            "infected": new - gamma * infected,
            "recovered": gamma * infected + vaccine,
        }

    def outputs(self, infected):
        return {"in_bed": infected}

    def initial(self, population, infected):
        return {"susceptible": population - infected}


@pytest.fixture
def model():
    return Outbreak()


@pytest.fixture
def posterior():
    correlation = np.array([[1.0, 0.3, -0.96], [0.3, 1.0, -0.2], [-0.96, -0.2, 1.0]])
    std = np.array([0.03, 0.02, 0.2])
    values = np.array([1.8, 0.45, 2.2])
    return Posterior(
        names=("beta", "gamma", "initial.infected"),
        values=values,
        low=np.array([0.0, 0.0, 0.0]),
        high=np.array([np.inf, 5.0, 763.0]),
        mean_unconstrained=np.array(
            [np.log(1.8), np.log(0.45 / 4.55), np.log(2.2 / 760.8)],
        ),
        covariance_unconstrained=correlation * np.outer(std, std),
        units=("1/day", "1/day", "1"),
        degrees_of_freedom=11,
        noise={"in_bed": 16.0},
    )
