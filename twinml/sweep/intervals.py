"""Intervals for probabilities estimated by counting."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twinml.errors import ArgumentError


def wilson_interval(hits: Any, trials: Any, level: float = 0.9) -> tuple[Any, Any]:
    """Wilson's score interval for a proportion (Wilson 1927, JASA 22, 209-212).

    It keeps near its nominal coverage where few or no hits occur, which the normal
    approximation does not. For quasi-random designs it is on the wide side.

    Args:
        hits: Counts, any shape.
        trials: Counts, broadcastable; 0 gives nan.
        level: Probability that the interval should hold the true proportion.

    Returns:
        Lower and upper bound, same shape.
    """
    from scipy.special import ndtri

    if not 0 < level < 1:
        raise ArgumentError(f"level is {level!r}; expected a number between 0 and 1, e.g. 0.9.")
    hits, trials = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    z = float(ndtri(0.5 + level / 2))
    n = np.where(trials > 0, trials, math.nan)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at none and at all the bound is 0 or 1 exactly; rounding would leave 1e-18
    low = np.where(hits == 0, 0.0 * n, centre - half)
    high = np.where(hits == trials, 1.0 + 0.0 * n, centre + half)
    return low, high
