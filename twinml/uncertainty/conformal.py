"""Split conformal prediction with scaled residuals.

Source: Lei, G'Sell, Rinaldo, Tibshirani, Wasserman (2018), Distribution-free predictive inference
for regression, sec. 2.2 (split) and 5.2 (residuals divided by a local scale).
"""

from __future__ import annotations

import math

import numpy as np

from twinml.errors import ArgumentError


def scaled_scores(y: np.ndarray, mean: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """|y - mean| / scale, element by element; 0/0 is 0.

    The interval ``mean +- q * scale`` holds ``y`` exactly when its score is at most q.
    """
    residual = np.abs(np.asarray(y) - mean)
    with np.errstate(divide="ignore", invalid="ignore"):
        score = residual / scale
    return np.where(residual == 0, 0.0, score)


def required_rows(level: float) -> int:
    """Fewest calibration rows for which an interval of this level is finite."""
    _check(level)
    return math.ceil(level / (1 - level) - 1e-9)


def conformal_quantile(scores: np.ndarray, level: float) -> float:
    """The ceil((n + 1) level)-th smallest score.

    A new row that is exchangeable with these n has a score at most this with probability at
    least ``level``; without ties at most level + 1 / (n + 1). With ties the probability can only be
    larger.

    Args:
        scores: Shape (n,), one per calibration row.
        level: Between 0 and 1.

    Raises:
        ArgumentError: Too few rows for the level, or a score that is nan.
    """
    scores = np.asarray(scores, dtype=np.float64).ravel()
    needed = required_rows(level)
    if len(scores) < needed:
        raise ArgumentError(
            f"{len(scores)} calibration rows cannot give {level:g} intervals; expected at least "
            f"{needed}, because the interval ends at the ceil((n + 1) level)-th residual. Give "
            "more calibration rows or ask for a lower level."
        )
    bad = int(np.isnan(scores).sum())
    if bad:
        raise ArgumentError(
            f"{bad} of {len(scores)} calibration scores are nan; expected numbers. "
            "Look at the predictions on the calibration rows."
        )
    # 1e-9 takes back the rounding of the product: 0.9 * 10 is 9, not 9.000000000000002
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(np.partition(scores, rank - 1)[rank - 1])


def _check(level: float) -> None:
    if not 0 < level < 1:
        raise ArgumentError(
            f"level is {level}; expected a number between 0 and 1, both excluded: the share of "
            "rows that an interval should hold, for example 0.9."
        )
