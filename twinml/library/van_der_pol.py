"""Relaxation oscillator of van der Pol."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from twinml.physics import Parameter, Physics, State


class VanDerPol(Physics):
    """Oscillator with nonlinear damping; stiff for large ``mu``.

    Source: van der Pol (1926), Phil. Mag. 2, eq. 4, as a first-order system with time in units
    of the linear oscillator: x' = y, y' = mu (1 - x^2) y - x.
    """

    time_unit = "1"
    x = State("1", initial=2.0)
    y = State("1", initial=0.0)
    mu = Parameter("1", default=1.0, low=0.0)

    def rhs(self, x: Tensor, y: Tensor, mu: Tensor) -> Mapping[str, Tensor]:
        return {"x": y, "y": mu * (1.0 - x * x) * y - x}
