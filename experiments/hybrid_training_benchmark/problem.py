"""What everyone computes: the loss of 4,096 windows of 200 RK4 steps, and its gradient."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

import twinml as tw

NAMES = ("a", "b", "c", "d")
WIDTH, HIDDEN = len(NAMES), 32
ROWS, STEPS, DT = 4096, 200, 0.01


def layers(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """A 4-32-32-4 tanh network, the same numbers for everyone."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(WIDTH, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, HIDDEN), nn.Tanh(),
        nn.Linear(HIDDEN, WIDTH),
    ).to(dtype)  # fmt: skip


class Learned(tw.Physics):
    """Four states whose derivative is a network of all of them."""

    time_unit = "1"
    a = tw.State("1", initial=0.0)
    b = tw.State("1", initial=0.0)
    c = tw.State("1", initial=0.0)
    d = tw.State("1", initial=0.0)

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def rhs(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Mapping[str, Tensor]:
        return dict(zip(NAMES, self.net(torch.stack([a, b, c, d], -1)).unbind(-1), strict=True))


class Windows:
    """Where each window starts, and what was measured at its save points.

    Args:
        rows: How many windows.
        dtype: Of the numbers.
    """

    def __init__(self, rows: int = ROWS, dtype: torch.dtype = torch.float32) -> None:
        generator = torch.Generator().manual_seed(1)
        self.start = torch.rand((rows, WIDTH), generator=generator).to(dtype)
        self.times = torch.arange(STEPS + 1, dtype=torch.float64) * DT
        phase = torch.rand((rows, WIDTH), generator=generator)
        wave = torch.sin(phase + 2.0 * self.times[:, None, None])
        self.target = wave.to(dtype)  # (T, rows, 4)
        self.by_state = self.target.permute(2, 1, 0).contiguous()  # (4, rows, T)
        self.dtype = dtype


def rk4_step(net: nn.Module, y: Tensor) -> Tensor:
    """One classical Runge-Kutta step."""
    k1 = net(y)
    k2 = net(y + 0.5 * DT * k1)
    k3 = net(y + 0.5 * DT * k2)
    k4 = net(y + DT * k3)
    return y + DT / 6.0 * (k1 + 2.0 * (k2 + k3) + k4)
