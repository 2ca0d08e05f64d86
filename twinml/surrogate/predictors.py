"""The learned part of a surrogate as plain tensor code: standardised rows in, mean and std out.

These modules need torch alone, can be scripted and exported, and hold no training code.
"""

# no `from __future__ import annotations`: torch.jit.script reads the types of buffers as objects

import math
from typing import final

import torch
from torch import Tensor, nn


@final
class MlpPredictor(nn.Module):
    """One network for all targets: shared trunk, a head for means, a head for log variances.

    Shapes: (B, k) to two of (B, m). Trained in float32.
    """

    def __init__(self, inputs: int, targets: int, width: int, depth: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        size = inputs
        for _ in range(depth):
            layers += [nn.Linear(size, width), nn.SiLU()]
            size = width
        self.trunk = nn.Sequential(*layers)
        self.mean = nn.Linear(size, targets)
        spread = max(1, width // 2)
        self.log_variance = nn.Sequential(
            nn.Linear(size, spread), nn.SiLU(), nn.Linear(spread, targets)
        )

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        features = self.trunk(z)
        # detached: the fit of the spread must not bend the mean
        log_variance = self.log_variance(features.detach()).clamp(-20.0, 6.0)
        return self.mean(features), torch.exp(0.5 * log_variance)


@final
class GpPredictor(nn.Module):
    """Independent exact Gaussian processes, one per target, conditioned on n shared rows.

    Matern-5/2 kernel with a length scale per input, linear prior mean, cached solves. The std is
    that of a new observation (noise included). float64.
    Source: Rasmussen and Williams (2006), Gaussian processes for machine learning, algorithm 2.1
    and eq. 4.17.

    Shapes: (B, k) to two of (B, m).
    """

    rows: Tensor
    lengthscale: Tensor
    outputscale: Tensor
    noise: Tensor
    weight: Tensor
    bias: Tensor
    alpha: Tensor
    root: Tensor

    def __init__(self, inputs: int, targets: int, rows: int) -> None:
        super().__init__()
        sizes = {
            "rows": (rows, inputs),
            "lengthscale": (targets, inputs),
            "outputscale": (targets,),
            "noise": (targets,),
            "weight": (targets, inputs),
            "bias": (targets,),
            "alpha": (targets, rows),  # (K + noise I)^-1 (y - prior mean)
            "root": (targets, rows, rows),  # inverse of the Cholesky factor of K + noise I
        }
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))

    def covariance(self, z: Tensor, target: int) -> Tensor:
        """Kernel between ``z`` (B, k) and the conditioning rows, shape (B, n)."""
        a = z / self.lengthscale[target]
        b = self.rows / self.lengthscale[target]
        squared = (a * a).sum(1, keepdim=True) + (b * b).sum(1) - 2.0 * (a @ b.t())
        s = math.sqrt(5.0) * torch.sqrt(squared.clamp(min=1e-20))  # a finite slope at a row
        return self.outputscale[target] * (1.0 + s + s * s / 3.0) * torch.exp(-s)

    def explained(self, k: Tensor, target: int) -> Tensor:
        """Prior variance taken away by the rows, |root k|^2, shape (B,)."""
        root = self.root[target]
        n = root.shape[0]
        total = torch.zeros_like(k[:, 0])
        for part in range(4):  # root is triangular: four bands skip 3/8 of the products
            start, stop = n * part // 4, n * (part + 1) // 4
            total = total + (k[:, :stop] @ root[start:stop, :stop].t()).pow(2).sum(1)
        return total

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        means: list[Tensor] = []
        stds: list[Tensor] = []
        for target in range(self.alpha.shape[0]):
            k = self.covariance(z, target)
            prior = z @ self.weight[target] + self.bias[target]
            means.append(prior + k @ self.alpha[target])
            variance = (self.outputscale[target] - self.explained(k, target)).clamp(min=0.0)
            stds.append(torch.sqrt(variance + self.noise[target]))
        return torch.stack(means, 1), torch.stack(stds, 1)

    @torch.no_grad()
    def condition(self, target: int, y: Tensor) -> None:
        """Cache the solves for standardised observations ``y``, shape (n,).

        Rows and the target's hyperparameters must have been set.
        """
        n = len(y)
        matrix = self.covariance(self.rows, target)
        matrix.diagonal().add_(self.noise[target])
        factor = torch.linalg.cholesky(matrix)
        eye = torch.eye(n, dtype=matrix.dtype)
        residual = y - (self.rows @ self.weight[target] + self.bias[target])
        self.root[target] = torch.linalg.solve_triangular(factor, eye, upper=False)
        self.alpha[target] = torch.cholesky_solve(residual[:, None], factor)[:, 0]
