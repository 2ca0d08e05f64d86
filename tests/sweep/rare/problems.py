"""Limit states in standard normal space whose probability is known."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtri


def linear(probability: float, dimensions: int):
    """P(a.y > beta) = Phi(-beta) for any unit vector a."""
    beta, a = -float(ndtri(probability)), np.arange(1.0, dimensions + 1)
    a /= np.linalg.norm(a)
    return lambda y: (y * a).sum(axis=1) - beta


def two_sided(probability: float):
    """P(|y_1| > beta) = 2 Phi(-beta): two regions on opposite sides."""
    beta = -float(ndtri(probability / 2))
    return lambda y: np.abs(y[:, 0]) - beta


def ring(probability: float):
    """P(|y| > r) = exp(-r^2 / 2) in two dimensions: the event lies all around."""
    radius = math.sqrt(-2 * math.log(probability))
    return lambda y: np.hypot(y[:, 0], y[:, 1]) - radius
