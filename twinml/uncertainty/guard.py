"""Where the training rows lie: a box and an ellipsoid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class DomainGuard:
    """The region covered by training inputs, as plain arrays.

    A point is inside when it lies in the box [low, high] and its Mahalanobis distance from
    ``center`` is at most ``radius``. The box alone would call a corner between correlated
    inputs covered although no row was ever near it.

    Attributes:
        low, high: Shape (k,), extremes of the training inputs.
        center: Shape (k,), their mean.
        whiten: Shape (k, k); (x - center) @ whiten has unit covariance over the training rows.
        radius: Largest Mahalanobis distance of a training row, with a margin for rounding.
    """

    low: np.ndarray
    high: np.ndarray
    center: np.ndarray
    whiten: np.ndarray
    radius: float

    @classmethod
    def around(cls, x: np.ndarray) -> DomainGuard:
        """Enclose the rows of ``x``, shape (N, k)."""
        x = np.asarray(x, dtype=np.float64)
        center, scale = x.mean(axis=0), x.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)  # a constant input is held by the box
        z = (x - center) / scale
        values, vectors = np.linalg.eigh(z.T @ z / len(z))
        # directions without spread (inputs tied to each other) still refuse points off the plane,
        # but not for the sake of rounding
        values = np.maximum(values, 1e-8)
        whiten = (vectors / np.sqrt(values)) / scale[:, None]
        distance = np.sqrt((((x - center) @ whiten) ** 2).sum(axis=1))
        radius = float(distance.max()) * (1 + 1e-4)
        return cls(x.min(axis=0), x.max(axis=0), center, whiten, radius)

    def contains(self, x: np.ndarray) -> np.ndarray:
        """Shape (B,), bool, for ``x`` of shape (B, k); nan is outside."""
        x = np.asarray(x, dtype=np.float64)
        box = np.all((x >= self.low) & (x <= self.high), axis=1)
        inside = np.where(np.expand_dims(box, 1), x, self.center)
        distance2 = (((inside - self.center) @ self.whiten) ** 2).sum(axis=1)
        return box & (distance2 <= self.radius**2)
