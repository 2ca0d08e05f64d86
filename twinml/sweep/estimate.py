"""Probabilities and quantiles with bands, from counts or from weighted rows.

Weighted rows come from a tilted sweep; a weight is the likelihood ratio of the scenario's
density to the one drawn from, so its mean is one. A probability is then the sum of the weights
on the rarer side of the threshold over the number of rows, which is unbiased and needs no
weights from the other side (Owen 2013, Monte Carlo theory, methods and examples, ch. 9); where
rows had to be left out, the number of rows is lessened by their weight.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, final

import numpy as np

from twinml.sweep.intervals import curve_half_width, quantile_ranks, wilson_interval
from twinml.sweep.moments import Sums
from twinml.sweep.sketch import Ordered


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """What a share is a share of.

    Args:
        total: All finished rows, those left out included.
        kept: The rows counted, and ``lost`` those left out: failed, or without a number.
        weighted: Whether rows have weights.
    """

    total: int
    kept: Sums
    lost: Sums
    weighted: bool


@final
@dataclass(frozen=True, eq=False)
class Curve:
    """P(quantity > x) on a grid.

    Args:
        x: Thresholds, increasing, (G,).
        probability: (G,), non-increasing.
        low, high: Band that holds at any one threshold with probability ``level``, (G,).
        half_width: Half width of the band that holds at all thresholds at once; nan with weights.
    """

    x: np.ndarray
    probability: np.ndarray
    low: np.ndarray
    high: np.ndarray
    half_width: float
    level: float


def shares(over_weight: Any, over_squares: Any, rows: Rows, level: float) -> tuple[Any, Any, Any]:
    """Share of rows over a threshold with Wilson's interval.

    Args:
        over_weight, over_squares: Sums of the weights of the rows over it, and of their squares.

    Returns:
        Estimate, lower and upper bound, of the shape of ``over_weight``.

    With weights the interval is Wilson's at the effective number of trials p (1 - p) / se^2, se
    by the delta method; where no row lies on the rarer side, at the effective sample size.
    """
    over = np.asarray(over_weight, dtype=float)
    if not rows.weighted:
        return over / rows.kept.count, *wilson_interval(over, rows.kept.count, level)
    squares = np.asarray(over_squares, dtype=float)
    rest, rest_squares = rows.kept.weight - over, rows.kept.squares - squares
    rarer = squares <= rest_squares
    weight, square = np.where(rarer, over, rest), np.where(rarer, squares, rest_squares)
    base = rows.total - rows.lost.weight
    if base <= 0:  # the rows left out carry all the weight there is
        nothing = np.full_like(over, math.nan)
        return nothing, nothing, nothing
    p = np.clip(weight / base, 0.0, 1.0)
    spread = square - 2 * p * weight
    spread += p * p * (rows.total - 2 * rows.lost.weight + rows.lost.squares)
    error = np.maximum(spread, 0.0) / base**2 * rows.total / max(rows.total - 1, 1)
    known = (error > 0) & (p > 0) & (p < 1)
    trials = np.where(known, p * (1 - p) / np.where(known, error, 1.0), rows.kept.effective)
    low, high = wilson_interval(p * trials, trials, level)
    return (
        np.where(rarer, p, 1 - p),
        np.where(rarer, low, 1 - high),
        np.where(rarer, high, 1 - low),
    )


def quantiles(
    found: Ordered, rows: Rows, asked: tuple[float, ...], level: float
) -> list[tuple[float, float | None, float | None]]:
    """Quantiles of the finite values, each with a distribution-free interval.

    Without weights the bounds are order statistics (``quantile_ranks``), moved outward by the
    sketch's rank error; None where there are too few values. With weights they are where the
    bounds of the distribution function cross (Woodruff 1952, JASA 47, 635-646).
    """
    if rows.weighted:
        return _weighted_quantiles(found, rows, asked, level)
    ranks = np.cumsum(found.weights)
    slack = math.ceil(found.rank_error)

    def at(rank: int) -> float:
        """The value of rank 1 to n."""
        return float(found.values[np.searchsorted(ranks, min(max(rank, 1), found.count))])

    result = []
    for share in asked:
        place = share * (found.count - 1)
        below = math.floor(place)
        a, b = at(below + 1), at(below + 2)
        part = place - below
        value = a + (b - a) * part if part < 0.5 else b - (b - a) * (1 - part)
        lower, upper = quantile_ranks(share, found.count, level)
        result.append(
            (
                value,
                at(lower - slack) if lower >= 1 else None,
                at(upper + slack) if upper <= found.count else None,
            )
        )
    return result


def exceedance_curve(
    found: Ordered, rows: Rows, above: Sums, level: float, points: int = 41
) -> Curve:
    """P(quantity > x) at values of the sketch: evenly spaced in probability, and the tails.

    Args:
        rows: Also counts the rows of ``above``, which are over every threshold (inf).
    """
    over, over_squares = _over(found, above)
    probability, low, high = _banded(found, rows, over, over_squares, level)
    # P(> x) falls with x: what bounds it at one threshold bounds it beyond, too. Of weighted rows
    # the last few say little by themselves.
    probability, high = np.minimum.accumulate(probability), np.minimum.accumulate(high)
    low = np.maximum.accumulate(low[::-1])[::-1]
    tail = np.geomspace(0.5, max(1.0 / found.count, 1e-9), points // 2)
    if rows.weighted:
        smallest = probability[probability > 0]
        tail = np.geomspace(0.5, float(smallest.min()) if len(smallest) else 0.5, points)
    wanted = np.concatenate([np.linspace(0, 1, points), tail, 1 - tail])
    # the last of equal values stands for all of them
    last = np.flatnonzero(np.diff(found.values, append=math.inf) > 0)
    reach = np.searchsorted(-probability[last], -np.unique(wanted))
    index = last[np.unique(np.minimum(reach, len(last) - 1))]
    half = math.nan if rows.weighted else curve_half_width(rows.kept.count, level)
    return Curve(
        found.values[index], probability[index], np.minimum(low, probability)[index],
        np.maximum(high, probability)[index], half + found.rank_error / rows.kept.count, level,
    )  # fmt: skip


def _over(found: Ordered, above: Sums) -> tuple[np.ndarray, np.ndarray]:
    """Weight, and squared weight, of what lies above each value."""
    weight = found.weights.sum() - np.cumsum(found.weights)
    squares = found.squares.sum() - np.cumsum(found.squares)
    weight, squares = np.maximum(weight, 0.0), np.maximum(squares, 0.0)
    return weight + above.weight, squares + above.squares


def _banded(
    found: Ordered, rows: Rows, over: np.ndarray, squares: np.ndarray, level: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Shares with their band, which the sketch's error widens."""
    probability, low, high = shares(over, squares, rows, level)
    if found.rank_error:
        fewer, more = np.maximum(over - found.under, 0.0), over + found.over
        low = shares(fewer, squares, rows, level)[1]
        high = shares(np.minimum(more, rows.kept.weight), squares, rows, level)[2]
    return probability, low, high


def _weighted_quantiles(
    found: Ordered, rows: Rows, asked: tuple[float, ...], level: float
) -> list[tuple[float, float | None, float | None]]:
    over, squares = _over(found, Sums())
    probability, low, high = _banded(found, rows, over, squares, level)
    below = (np.maximum.accumulate(1 - x) for x in (probability, low, high))
    result = []
    estimate, most, least = below

    def first(curve: np.ndarray, share: float) -> float | None:
        index = int(np.searchsorted(curve, share))
        return float(found.values[index]) if index < len(curve) else None

    for share in asked:
        value = first(estimate, share)
        result.append(
            (float(found.values[-1]) if value is None else value, first(most, share),
             first(least, share))
        )  # fmt: skip
    return result
