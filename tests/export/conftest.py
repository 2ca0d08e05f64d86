"""Small surrogates with the interface that export asks for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from twinml.export import Artifact, export


class Box(nn.Module):
    """True where every input lies in the training box."""

    def __init__(self, box: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("low", box[:, 0].clone())
        self.register_buffer("high", box[:, 1].clone())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x >= self.low) & (x <= self.high)).all(dim=1, keepdim=True)


class Network(nn.Module):
    """A mean by two layers and an interval of fixed half width."""

    def __init__(self, box: torch.Tensor, m: int, width: int, std: bool) -> None:
        super().__init__()
        self.box = Box(box)
        self.register_buffer("x_low", box[:, 0].clone())
        self.register_buffer("x_high", box[:, 1].clone())
        self.register_buffer("x_center", box.mean(dim=1))
        self.register_buffer("scale", box[:, 1] - box[:, 0])
        self.layers = nn.Sequential(
            nn.Linear(len(box), width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
            nn.Linear(width, m),
        )  # fmt: skip
        self.std = std

    def forward(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        mean = 100.0 * self.layers((x - self.x_center) / self.scale) + 250.0
        std = torch.full_like(mean, float("nan"))
        if self.std:
            std = 1.0 + torch.exp(-mean / 100.0)
        return mean, mean - 16.5, mean + 16.5, self.box(x), std


@dataclass
class FakeSurrogate:
    """What ``twinml.fit`` would return, as far as export looks at it."""

    network: nn.Module
    guard_box: np.ndarray
    dtype: torch.dtype
    inputs: tuple[str, ...] = ("beta", "day")
    targets: tuple[str, ...] = ("peak_beds",)
    level: float = 0.9
    kind: str = "mlp"
    seed: int | None = 7
    units: tuple[str, ...] = ("1/day", "day")
    target_units: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.input_units = dict(zip(self.inputs, self.units, strict=True))
        self.target_units = {name: "1" for name in self.targets}

    def module(self) -> nn.Module:
        return self.network

    def predict(self, x: np.ndarray) -> SimpleNamespace:
        with torch.no_grad():
            mean, lower, upper, inside, std = self.network(torch.from_numpy(x).to(self.dtype))
        arrays = {"mean": mean, "lower": lower, "upper": upper, "std": std}
        by_name = {
            output: {name: value[:, i].double().numpy() for i, name in enumerate(self.targets)}
            for output, value in arrays.items()
        }
        return SimpleNamespace(**by_name, in_domain=inside[:, 0].numpy())


def build_fake(
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    targets: tuple[str, ...] = ("peak_beds",),
    width: int = 4,
    std: bool = False,
) -> FakeSurrogate:
    box = np.array([[1.2, 2.4], [2.0, 10.0]])
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Network(torch.from_numpy(box).to(dtype), len(targets), width, std).to(dtype)
    return FakeSurrogate(network.eval(), box, dtype, targets=targets)


@pytest.fixture
def make_fake() -> Callable[..., FakeSurrogate]:
    return build_fake


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    """A small artifact on disk."""
    return export(build_fake(), tmp_path / "outbreak")
