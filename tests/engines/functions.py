"""A right-hand side that calls every elementary function, at places where each is finite."""

from __future__ import annotations

import torch
from torch import Tensor

import twinml as tw


class Functions(tw.Physics):
    """Sums of elementary functions of p + x / 10 and t; p between 0 and 1."""

    x = tw.State("1", initial=0.5)
    y = tw.State("1", initial=-0.3)
    p = tw.Parameter("1", default=0.5)

    def __init__(self) -> None:
        super().__init__()
        knots = torch.tensor([-1.0, -0.2, 0.1, 0.7, 2.0], dtype=torch.float64)
        self.register_buffer("knots", knots)
        self.register_buffer("table", torch.sin(3.0 * knots))

    def rhs(self, t: Tensor, x: Tensor, y: Tensor, p: Tensor) -> dict[str, Tensor]:
        a = p + 0.1 * torch.tanh(x)
        b = torch.sin(5.0 * t) * torch.cosh(0.3 * y) + torch.tan(0.2 * t)
        growing = (
            torch.exp(-a) + torch.expm1(0.1 * a) - torch.log(a + 1.0) + torch.log1p(a * a)
            + torch.sqrt(a + 1.0) + (1.0 + a) ** 1.7 - (2.0 + b) ** p + torch.hypot(a, b)
        )  # fmt: skip
        turning = (
            torch.asin(0.5 * torch.sin(a)) - torch.acos(0.4 * torch.cos(b)) + torch.atan(3.0 * b)
            + torch.atan2(b, a) + torch.sinh(0.2 * b) + torch.remainder(7.0 * t, 2.0)
        )  # fmt: skip
        bent = (
            torch.sigmoid(4.0 * b) + torch.nn.functional.softplus(b) - torch.relu(b - 0.3)
            + torch.nn.functional.silu(b) - torch.nn.functional.gelu(a) + torch.erf(b)
            + torch.floor(3.0 * a) * 0.1 + torch.clamp(b, -0.5, 0.5) + torch.abs(b) - torch.sign(b)
            + torch.minimum(a, b) - torch.maximum(a, 0.3 * b)
            + torch.where(b > 0.1, a * b, a) + tw.interp(b, self.knots, self.table)
        )  # fmt: skip
        return {"x": growing - x, "y": 0.3 * turning + 0.2 * bent - y}
