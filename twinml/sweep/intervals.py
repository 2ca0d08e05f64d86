"""Intervals that hold whatever the distribution: of proportions, quantiles and whole curves.

They take rows as independent draws. The rows of a quasi-random design spread more evenly, so
for them the intervals are on the wide side.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from twinml.errors import ArgumentError


def wilson_interval(hits: Any, trials: Any, level: float = 0.9) -> tuple[Any, Any]:
    """Wilson's score interval for a proportion (Wilson 1927, JASA 22, 209-212).

    It keeps near its nominal coverage where few or no hits occur, which the normal
    approximation does not.

    Args:
        hits: Counts, any shape.
        trials: Counts, broadcastable; 0 gives nan. Both need not be whole numbers: a weighted
            proportion has the effective ones (Korn and Graubard 1998, Surv. Methodol. 24, 193).
        level: Probability that the interval should hold the true proportion.

    Returns:
        Lower and upper bound, same shape.
    """
    z = normal_quantile(level)
    hits, trials = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    n = np.where(trials > 0, trials, math.nan)
    share = hits / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # at none and at all the bound is 0 or 1 exactly; rounding would leave 1e-18
    low = np.where(hits == 0, 0.0 * n, centre - half)
    high = np.where(hits == trials, 1.0 + 0.0 * n, centre + half)
    return low, high


def normal_quantile(level: float) -> float:
    """Half width, in standard errors, of a two-sided normal interval.

    Raises:
        ArgumentError: ``level`` is not inside (0, 1).
    """
    from scipy.special import ndtri

    if not 0 < level < 1:
        raise ArgumentError(f"level is {level!r}; expected a number between 0 and 1, e.g. 0.9.")
    return float(ndtri(0.5 + level / 2))


def student_quantile(level: float, freedom: float) -> float:
    """The same for Student's t; nan where there are no degrees of freedom."""
    from scipy.special import stdtrit

    normal_quantile(level)
    return float(stdtrit(freedom, 0.5 + level / 2)) if freedom > 0 else math.nan


def quantile_ranks(share: float, count: int, level: float = 0.9) -> tuple[int, int]:
    """Ranks of the order statistics that enclose a quantile, whatever the distribution.

    The number of values at or below the quantile is binomial, so ranks l < u with
    P(l <= B < u) >= level enclose it with at least that probability (David and Nagaraja 2003,
    Order statistics, sec. 7.1; each tail gets half of what is left).

    Args:
        share: The quantile's, inside (0, 1).
        count: Values, n of them.

    Returns:
        Ranks from 1 to n; 0 or n + 1 where n is too small for a bound on that side.
    """
    normal_quantile(level)
    tail = (1 - level) / 2
    lower = binomial_quantile(tail, count, share)
    return lower, binomial_quantile(1 - tail, count, share) + 1


def binomial_quantile(probability: float, count: int, share: float) -> int:
    """The smallest k with P(B <= k) >= probability, B binomial of ``count`` and ``share``."""
    from scipy.special import bdtr, ndtri

    sigma = math.sqrt(count * share * (1 - share))
    guess = round(count * share + float(ndtri(probability)) * sigma)
    # bisect between bounds that widen until they enclose the answer
    width = 1 + int(sigma / 16)
    low, high = max(-1, guess - width), min(count, guess + width)
    while low >= 0 and bdtr(low, count, share) >= probability:
        low = max(-1, low - (width := 2 * width))
    while high < count and bdtr(high, count, share) < probability:
        high = min(count, high + (width := 2 * width))
    while high - low > 1:
        middle = (low + high) // 2
        if bdtr(middle, count, share) >= probability:
            high = middle
        else:
            low = middle
    return high


def curve_half_width(count: float, level: float = 0.9) -> float:
    """Half width of a band that holds a whole distribution function at once.

    Dvoretzky, Kiefer and Wolfowitz (1956) with the constant of Massart (1990), Ann. Probab. 18,
    1269-1283: sqrt(ln(2 / (1 - level)) / (2 n)).
    """
    normal_quantile(level)
    return math.sqrt(math.log(2 / (1 - level)) / (2 * count)) if count > 0 else math.nan
