"""What is exported: raw inputs to means, intervals, validity and spread."""

# no `from __future__ import annotations`: torch.jit.script reads the types of buffers as objects

from typing import final

import numpy as np
import torch
from torch import Tensor, nn

from twinml.uncertainty import DomainGuard


@final
class SurrogateModule(nn.Module):
    """Scaling, predictor, conformal interval and domain guard in one scriptable module.

    ``forward(x)`` takes raw physical values (B, k) in the declared order, of any float type, and
    returns mean, lower, upper (B, m), in_domain (B, 1) bool and std (B, m) in the inner type.

    Rows are taken in blocks, so memory does not grow with B; under ``torch.export`` the batch is
    symbolic and one block is traced.
    """

    x_center: Tensor
    x_scale: Tensor
    x_low: Tensor
    x_high: Tensor
    whiten: Tensor
    radius2: Tensor
    y_center: Tensor
    y_scale: Tensor
    std_factor: Tensor
    quantile: Tensor

    def __init__(
        self, predictor: nn.Module, inputs: int, targets: int, dtype: torch.dtype, block: int
    ) -> None:
        super().__init__()
        # float32 sums differ with the batch size by up to 5e-6 of the values (another kernel,
        # another order). Evaluated in float64 and rounded once, the answer for a row is the same
        # in any batch.
        self.predictor = predictor.double()
        self.block = block
        sizes = {
            "x_center": (inputs,),
            "x_scale": (inputs,),
            "x_low": (inputs,),
            "x_high": (inputs,),
            "whiten": (inputs, inputs),
            "radius2": (1,),
            "y_center": (targets,),
            "y_scale": (targets,),
            "std_factor": (targets,),
            "quantile": (targets,),
        }
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size, dtype=dtype))

    @property
    def dtype(self) -> torch.dtype:
        return self.x_center.dtype

    @torch.no_grad()
    def set(self, **values: np.ndarray | float) -> None:
        """Fill buffers by name."""
        for name, value in values.items():
            buffer = getattr(self, name)
            buffer.copy_(torch.as_tensor(np.asarray(value, dtype=np.float64)).reshape(buffer.shape))

    def rows(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        inner = x.double()
        z = (inner - self.x_center) / self.x_scale
        mean, std = self.predictor(z)
        mean = self.y_center + self.y_scale * mean
        std = self.y_scale * self.std_factor * std
        half = self.quantile * std
        box = ((x >= self.x_low) & (x <= self.x_high)).all(1, keepdim=True)
        in_domain = box & (self.distance2(z) <= self.radius2)
        outer = x.dtype
        lower, upper = (mean - half).to(outer), (mean + half).to(outer)
        return mean.to(outer), lower, upper, in_domain, std.to(outer)

    def distance2(self, z: Tensor) -> Tensor:
        """Squared Mahalanobis distance of scaled rows from the training mean, shape (B, 1)."""
        return (z @ self.whiten.double()).pow(2).sum(1, keepdim=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        x = x.to(self.x_center.dtype)
        if torch.compiler.is_compiling() or x.shape[0] <= self.block:
            return self.rows(x)
        mean, lower, upper, in_domain, std = self.rows(x[: self.block])
        parts = [(mean, lower, upper, in_domain, std)]
        for start in range(self.block, x.shape[0], self.block):
            parts.append(self.rows(x[start : start + self.block]))
        return (
            torch.cat([part[0] for part in parts]),
            torch.cat([part[1] for part in parts]),
            torch.cat([part[2] for part in parts]),
            torch.cat([part[3] for part in parts]),
            torch.cat([part[4] for part in parts]),
        )


# inner type, and rows in a block: a process holds a row of length n for each, best within the cache
_INNER = {"gp": (torch.float64, 512), "mlp": (torch.float32, 4096)}


def wrap(kind: str, predictor: nn.Module, inputs: int, targets: int) -> SurrogateModule:
    """The module around a predictor of a kind, with scaling and interval still to be set."""
    return SurrogateModule(predictor, inputs, targets, *_INNER[kind])


@torch.no_grad()
def set_domain(module: SurrogateModule, x: np.ndarray) -> None:
    """Let the module's domain be the region of the training inputs ``x``, shape (n, k).

    The radius is measured with the module's own arithmetic, so that no training row is outside
    because of rounding to its inner type.
    """
    guard, scale = DomainGuard.around(x), module.x_scale.double().numpy()
    module.set(x_low=guard.low, x_high=guard.high, whiten=scale[:, None] * guard.whiten)
    z = (torch.from_numpy(x).to(module.dtype).double() - module.x_center) / module.x_scale
    farthest = float(module.distance2(z).max())
    module.set(radius2=max(farthest * (1 + 1e-4), guard.radius**2))
