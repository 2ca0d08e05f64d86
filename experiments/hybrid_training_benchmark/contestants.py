"""Who computes the loss and its gradient, each as a function of nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from problem import DT, NAMES, Learned, Windows, layers, rk4_step
from torch import Tensor, nn

import twinml as tw

Gradient = list[Tensor]


def everyone(windows: Windows) -> Iterator[tuple[str, Callable[[], Gradient]]]:
    """Names and functions."""
    yield "twinml, reverse kernel", simulated(windows, "native", False)
    yield "torch loop, step compiled", loop(windows, True)
    yield "torch loop", loop(windows, False)
    yield "torchdiffeq (3/8 rule)", library(windows)
    yield "twinml eager, network compiled", simulated(windows, "eager", True)
    yield "twinml eager", simulated(windows, "eager", False)


def collected(net: nn.Module, loss: Tensor) -> Gradient:
    return list(torch.autograd.grad(loss, list(net.parameters())))


def simulated(windows: Windows, engine: str, compiled: bool) -> Callable[[], Gradient]:
    """``tw.simulate`` as a user writes it."""
    net = layers(windows.dtype)
    used = torch.compile(net) if compiled else net
    assert isinstance(used, nn.Module)
    model = Learned(used)
    initial = dict(zip(NAMES, windows.start.T.contiguous(), strict=True))

    def run() -> Gradient:
        sol = tw.simulate(
            model, windows.times, initial=initial, method="rk4", dt=DT, engine=engine,
            dtype=windows.dtype,
        )  # fmt: skip
        parts = [
            (sol[n] - want).square().mean() for n, want in zip(NAMES, windows.by_state, strict=True)
        ]
        return collected(net, torch.stack(parts).mean())

    return run


def loop(windows: Windows, compiled: bool) -> Callable[[], Gradient]:
    """The steps written out for this problem, without any library for simulation."""
    net = layers(windows.dtype)

    def step(y: Tensor) -> Tensor:
        return rk4_step(net, y)

    advance = torch.compile(step) if compiled else step

    def run() -> Gradient:
        y = windows.start
        path = [y]
        for _ in range(windows.target.shape[0] - 1):
            y = advance(y)
            path.append(y)
        return collected(net, (torch.stack(path) - windows.target).square().mean())

    return run


def library(windows: Windows) -> Callable[[], Gradient]:
    """torchdiffeq through its own operations, on the same grid; its fixed RK4 is the 3/8 rule."""
    from torchdiffeq import odeint

    net = layers(windows.dtype)
    times = windows.times.to(windows.dtype)

    def run() -> Gradient:
        path = odeint(lambda t, y: net(y), windows.start, times, method="rk4")
        assert isinstance(path, Tensor)
        return collected(net, (path - windows.target).square().mean())

    return run
