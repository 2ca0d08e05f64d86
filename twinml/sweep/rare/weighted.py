"""Probabilities from tilted samples: an estimate, how sure it is, and when it is none.

With weights w (density asked for over density drawn from) and the indicator of an event, the
mean of w over the event's samples estimates its probability without bias (Owen 2013, Monte
Carlo theory, methods and examples, sec. 9.1). Moments and quantiles are better estimated with
weights that are scaled to sum to one (self-normalised, sec. 9.2), probabilities of rare events
are not: far from the event weights vary, and scaling would carry their noise over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from twinml.errors import ArgumentError

FEWEST_EVENTS = 20.0  # effective samples of the event below which no number is confident
LARGEST_SHARE = 0.2  # of the estimate in one sample


@final
@dataclass(frozen=True)
class WeightedProbability:
    """P(event) from weighted samples.

    Args:
        probability: Estimate; among rows that did not fail.
        standard_error: Of the estimate. Points of a low-discrepancy design do better than it says.
        low, high: Interval at ``level``; from 0 where the estimate is not reliable.
        level: Level of the interval.
        samples: Rows that did not fail.
        events: Rows with the event among them.
        effective: Independent unweighted samples of the event worth as much,
            (sum w)^2 / sum w^2 over the event's rows.
        failed: Rows that failed.
        failed_probability: Estimated probability of what failed; the estimate says nothing of it.
        reliable: Whether the interval can be believed.
        diagnosis: Why not, and what to do; "" where it can.
    """

    probability: float
    standard_error: float
    low: float
    high: float
    level: float
    samples: int
    events: int
    effective: float
    failed: int
    failed_probability: float
    reliable: bool
    diagnosis: str

    @property
    def variation(self) -> float:
        """Coefficient of variation of the estimate; inf where it is zero."""
        return self.standard_error / self.probability if self.probability > 0 else math.inf


def effective_size(weight: np.ndarray) -> float:
    """Equally weighted samples worth as much as ``weight`` (N,): (sum w)^2 / sum w^2 (Kish 1965).

    0 where there are none, or all weights are zero.
    """
    largest = float(np.max(weight, initial=0.0))
    if largest == 0.0:
        return 0.0
    scaled = np.asarray(weight, dtype=np.float64) / largest  # squares of 1e-200 would be zero
    return float(scaled.sum() ** 2 / (scaled**2).sum())


def weighted_probability(
    happened: np.ndarray,
    weight: np.ndarray,
    failed: np.ndarray | None = None,
    level: float = 0.9,
    largest: float | None = None,
) -> WeightedProbability:
    """P(event) from samples with likelihood ratios.

    Args:
        happened: Whether the event happened, (N,) bool; ignored in failed rows.
        weight: Likelihood ratios, (N,).
        failed: Rows without a result, (N,) bool; none when None. They are left out: the estimate
            is of the event among rows that do not fail, and ``failed_probability`` says how much
            that leaves open.
        level: Level of the interval.
        largest: The largest weight there can be, 1 / defensive; None where it has no bound.

    Raises:
        ArgumentError: Shapes that differ, no rows, a weight that is negative or not finite.
    """
    from scipy.special import ndtri

    happened, weight = np.asarray(happened, dtype=bool), np.asarray(weight, dtype=np.float64)
    lost = np.zeros(len(weight), dtype=bool) if failed is None else np.asarray(failed, dtype=bool)
    if not happened.shape == weight.shape == lost.shape or weight.ndim != 1 or not len(weight):
        raise ArgumentError(
            f"The event has shape {happened.shape}, the weights {weight.shape} and the failures "
            f"{lost.shape}; expected one value per sample in each, (N,), N at least 1."
        )
    if not (np.isfinite(weight) & (weight >= 0)).all():
        row = int(np.flatnonzero(~(np.isfinite(weight) & (weight >= 0)))[0])
        raise ArgumentError(
            f"The weight of row {row} is {weight[row]!r}; expected a likelihood ratio, zero or "
            "more and finite."
        )
    if not 0 < level < 1:
        raise ArgumentError(f"level is {level!r}; expected a number between 0 and 1, e.g. 0.9.")
    count = len(weight)
    terms = np.where(happened & ~lost, weight, 0.0)
    # the rows that did not fail hold the rest of the probability; exactly 1 where none failed
    failed_share = float(np.where(lost, weight, 0.0).sum() / count)
    kept = max(1.0 - failed_share, 0.0)
    mean = float(terms.sum() / count)
    probability = min(mean / kept, 1.0) if kept > 0 else 0.0
    # the ratio of two means, linearised
    deviation = terms - mean + probability * (np.where(lost, weight, 0.0) - failed_share)
    scale = kept or 1.0
    error = float(np.sqrt((deviation**2).sum() / max(count - 1, 1) / count) / scale)
    effective = effective_size(terms[terms > 0])
    z = float(ndtri(0.5 + level / 2))
    diagnosis = _diagnosis(terms, effective)
    if diagnosis or probability == 0:
        low, high = 0.0, _upper(terms, count, level, largest) / scale
    else:  # positive and skewed: symmetric on the scale of logarithms
        spread = z * math.sqrt(math.log1p((error / probability) ** 2))
        low, high = probability * math.exp(-spread), probability * math.exp(spread)
    return WeightedProbability(
        probability, error, low, min(max(high, probability), 1.0), level,
        int(count - lost.sum()), int((terms > 0).sum()), effective,
        int(lost.sum()), failed_share, not diagnosis, diagnosis,
    )  # fmt: skip


def _diagnosis(terms: np.ndarray, effective: float) -> str:
    events = int((terms > 0).sum())
    if events == 0:
        return (
            "no sample met the event. Tilt further towards it (propose_tilt finds the shift), or "
            "use subset simulation."
        )
    share = float(terms.max() / terms.sum())
    if effective < FEWEST_EVENTS or share > LARGEST_SHARE:
        return (
            f"the {events:,} samples of the event are worth {effective:.1f} (at least "
            f"{FEWEST_EVENTS:g} are needed), and one of them holds {share:.0%} of the estimate: "
            "the samples lie elsewhere than the event's likeliest cases. Use the shift that "
            "propose_tilt finds, more samples, or subset simulation."
        )
    return ""


def _upper(terms: np.ndarray, count: int, level: float, largest: float | None) -> float:
    """An upper bound that holds whatever the distribution of weights below their largest.

    Maurer and Pontil (2009), Empirical Bernstein bounds, COLT, theorem 4. Without a bound on
    the weights nothing can be said: 1.
    """
    if largest is None or count < 2:
        return 1.0
    log = math.log(2.0 / (1.0 - level))
    variance = float(np.var(terms, ddof=1))
    bound = float(terms.mean()) + math.sqrt(2.0 * variance * log / count)
    return min(1.0, bound + 7.0 * largest * log / (3.0 * (count - 1)))
