"""Small physics with noise and known solutions."""

from __future__ import annotations

from torch import Tensor

import twinml as tw


class Wiener(tw.Physics):
    """dw = drift dt + scale dW."""

    w = tw.State("1", initial=0.0)
    drift = tw.Parameter("1/s", default=0.0)
    scale = tw.Parameter("1", default=1.0)

    def rhs(self, drift: Tensor) -> dict[str, Tensor]:
        return {"w": drift}

    def noise(self, scale: Tensor) -> dict[str, Tensor]:
        return {"w": scale}


class Relaxation(tw.Physics):
    """Ornstein-Uhlenbeck: dx = (u - k x) dt + sigma dW."""

    x = tw.State("1", initial=5.0)
    u = tw.Input("1/s", default=0.0)
    k = tw.Parameter("1/s", default=2.0)
    sigma = tw.Parameter("1", default=0.5)

    def rhs(self, x: Tensor, u: Tensor, k: Tensor) -> dict[str, Tensor]:
        return {"x": u - k * x}

    def noise(self, sigma: Tensor) -> dict[str, Tensor]:
        return {"x": sigma}


class Growth(tw.Physics):
    """Geometric Brownian motion: dx = mu x dt + sigma x dW."""

    x = tw.State("1", initial=1.0)
    mu = tw.Parameter("1/s", default=1.0)
    sigma = tw.Parameter("1", default=0.5)

    def rhs(self, x: Tensor, mu: Tensor) -> dict[str, Tensor]:
        return {"x": mu * x}

    def noise(self, x: Tensor, sigma: Tensor) -> dict[str, Tensor]:
        return {"x": sigma * x}


class Several(tw.Physics):
    """Noise on a scalar and on a vector state, none on the one between."""

    a = tw.State("1", initial=0.0)
    b = tw.State("1", initial=0.0)
    c = tw.State("1", initial=0.0, size=2)

    def rhs(self, a: Tensor, b: Tensor, c: Tensor) -> dict[str, Tensor]:
        return {"a": 0.0 * a, "b": 0.0 * b, "c": 0.0 * c}

    def noise(self, c: Tensor) -> dict[str, Tensor]:
        return {"c": 2.0 + 0.0 * c, "a": 1.0}
