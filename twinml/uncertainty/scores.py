"""How good predictions and their stated uncertainty are."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


def rmse(y: np.ndarray, mean: np.ndarray) -> float:
    """Root of the mean squared difference, in the unit of ``y``."""
    return math.sqrt(np.mean((np.asarray(y, dtype=np.float64) - mean) ** 2))


def r2(y: np.ndarray, mean: np.ndarray) -> float:
    """1 - residual / total sum of squares; nan when ``y`` is constant."""
    y = np.asarray(y, dtype=np.float64)
    if np.ptp(y) == 0:
        return math.nan
    return float(1 - np.sum((y - mean) ** 2) / np.sum((y - y.mean()) ** 2))


def crps_gaussian(y: np.ndarray, mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of a normal distribution, element by element.

    ``std`` 0 is a point forecast, whose score is |y - mean|. Lower is better; the unit is that of
    ``y``. Source: Gneiting and Raftery (2007), Strictly proper scoring rules, eq. 21 with the sign
    changed.
    """
    from scipy.special import ndtr

    y, mean, std = np.broadcast_arrays(*(np.asarray(a, dtype=np.float64) for a in (y, mean, std)))
    point = std == 0
    scale = np.where(point, 1.0, std)
    z = (y - mean) / scale
    density = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
    score = scale * (z * (2 * ndtr(z) - 1) + 2 * density - 1 / math.sqrt(math.pi))
    return np.where(point, np.abs(y - mean), score)


def crps_ensemble(y: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Continuous ranked probability score of the empirical distribution of an ensemble.

    Args:
        y: Shape (B,).
        members: Shape (M, B).

    Returns:
        Shape (B,). Source: Gneiting and Raftery (2007), eq. 20 with the sign changed; the pairwise
        term is taken from the sorted members.
    """
    members = np.sort(np.asarray(members, dtype=np.float64), axis=0)
    count = len(members)
    weight = (2 * np.arange(1, count + 1) - count - 1) / count**2
    # sum_ij |x_i - x_j| / (2 M^2) = sum_i (2 i - M - 1) x_(i) / M^2
    spread = np.tensordot(weight, members, axes=1)
    return np.abs(members - np.asarray(y, dtype=np.float64)).mean(axis=0) - spread


def best_std_factor(y: np.ndarray, mean: np.ndarray, std: np.ndarray) -> float:
    """The factor on ``std`` with the lowest mean CRPS on these rows, between 1e-4 and 1e4.

    1.0 where nothing can be learned: no row has a positive ``std``.
    """
    from scipy.optimize import minimize_scalar

    use = np.asarray(std) > 0
    if not use.any():
        return 1.0
    y, mean, std = (np.asarray(a, dtype=np.float64)[use] for a in (y, mean, std))
    limit = math.log(1e4)
    found = minimize_scalar(
        lambda logarithm: crps_gaussian(y, mean, math.exp(logarithm) * std).mean(),
        bounds=(-limit, limit),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return math.exp(found.x)


@dataclass(frozen=True)
class Coverage:
    """Share of rows inside their interval, with a confidence interval for the true share."""

    value: float
    low: float
    high: float
    rows: int


def coverage(
    y: np.ndarray, lower: np.ndarray, upper: np.ndarray, confidence: float = 0.95
) -> Coverage:
    """Count the rows with ``lower <= y <= upper``.

    ``low`` and ``high`` are the exact interval of Clopper and Pearson (1934), The use of confidence
    or fiducial limits illustrated in the case of the binomial.
    """
    from scipy.special import betaincinv

    y = np.asarray(y)
    inside, n = int(np.sum((lower <= y) & (y <= upper))), y.size
    if n == 0:
        return Coverage(math.nan, 0.0, 1.0, 0)
    tail = (1 - confidence) / 2
    low = betaincinv(inside, n - inside + 1, tail) if inside > 0 else 0.0
    high = betaincinv(inside + 1, n - inside, 1 - tail) if inside < n else 1.0
    return Coverage(inside / n, float(low), float(high), n)
