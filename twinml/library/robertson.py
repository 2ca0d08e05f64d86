"""Autocatalytic reaction of Robertson."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Parameter, Physics, State


class Robertson(Physics):
    """Three species, rate constants nine orders apart: the classical stiff test.

    Source: Robertson (1966), in Walsh (ed.), Numerical Analysis, an Introduction, p. 178.
    Mass fractions a + b + c = 1: a -> b slowly, b + b -> b + c fast, b + c -> a + c.
    """

    a = State("1", initial=1.0, low=0.0)
    b = State("1", initial=0.0, low=0.0)
    c = State("1", initial=0.0, low=0.0)
    k1 = Parameter("1/s", default=0.04, low=0.0)
    k2 = Parameter("1/s", default=3e7, low=0.0)
    k3 = Parameter("1/s", default=1e4, low=0.0)

    def rhs(
        self, a: Tensor, b: Tensor, c: Tensor, k1: Tensor, k2: Tensor, k3: Tensor
    ) -> Mapping[str, Tensor]:
        decay, pairing, recycling = k1 * a, k2 * b * b, k3 * b * c
        return {"a": -decay + recycling, "b": decay - recycling - pairing, "c": pairing}
