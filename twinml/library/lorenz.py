"""Convection rolls after Lorenz."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Parameter, Physics, State


class Lorenz(Physics):
    """Three-mode truncation of Rayleigh-Benard convection, chaotic at the defaults.

    Source: Lorenz (1963), J. Atmos. Sci. 20, eq. 25-27; all quantities dimensionless.
    """

    time_unit = "1"
    x = State("1", initial=1.0)
    y = State("1", initial=0.0)
    z = State("1", initial=0.0)
    sigma = Parameter("1", default=10.0, low=0.0)
    rho = Parameter("1", default=28.0, low=0.0)
    beta = Parameter("1", default=8.0 / 3.0, low=0.0)

    def rhs(
        self, x: Tensor, y: Tensor, z: Tensor, sigma: Tensor, rho: Tensor, beta: Tensor
    ) -> Mapping[str, Tensor]:
        return {"x": sigma * (y - x), "y": x * (rho - z) - y, "z": x * y - beta * z}
