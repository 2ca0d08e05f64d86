"""Subset simulation: a rare event as a chain of events that are not rare.

Au and Beck (2001), Probabilistic Engineering Mechanics 16, 263-277: thresholds are chosen so
that each level holds a fixed share of the one before; samples inside a level are made from
those already there by Markov chains (``twinml.sweep.rare.chains``). Everything random is a
Philox number of (seed, level, step, chain), so a result depends on the seed alone.

The estimate is biased upwards by order 1/samples, since thresholds are chosen from the samples
they are used on (Cerou, Del Moral, Furon and Guyader 2012, Statistics and Computing 22,
795-808): about 5 % at 1e-6 with 1,000 samples per level, where the coefficient of variation is
40 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

import numpy as np

from twinml.errors import ArgumentError, SweepError
from twinml.sweep.intervals import wilson_interval
from twinml.sweep.rare.chains import (
    Admissible,
    LimitState,
    Population,
    first_population,
    next_population,
)
from twinml.sweep.rare.lineage import Generation, relative_variance

MOST_LEVELS = 20
FEWEST_SAMPLES = 100
LARGEST_VARIATION = 0.5
LEAST_ACCEPTANCE = 0.1


@final
@dataclass(frozen=True)
class Level:
    """One step of the way.

    Args:
        threshold: Of the limit state; the next level lies at or above it. 0 for the event.
        probability: Of being there, given the level before.
        acceptance: Share of candidates taken; nan for the first level, which has no chains.
        spread: Of the candidates after the level; the next one begins with it.
        correlation: gamma of Au and Beck (2001), eq. 29: what the chains' correlation adds to
            the variance of ``probability``, relative to independent samples.
        variation: Coefficient of variation of ``probability``.
        failed: Evaluations without a result; they count as outside every level.
        evaluations: Of the limit state.
    """

    threshold: float
    probability: float
    acceptance: float
    spread: float
    correlation: float
    variation: float
    failed: int
    evaluations: int


@final
@dataclass(frozen=True, eq=False)
class SubsetSimulation:
    """P(limit state > 0) and how it was reached.

    Args:
        probability: Product of the levels' probabilities.
        variation: Its coefficient of variation, correlation inside chains and from level to
            level included.
        low, high: Interval at ``confidence``; from 0 where the event was not reached.
        levels: From all samples to the event.
        points: Coordinates of the event's samples, (M, d); correlated and of equal weight.
        values: Their limit state, (M,).
        reliable: Whether the interval can be believed.
        diagnosis: Why not, and what to do; "" where it can.
    """

    probability: float
    variation: float
    low: float
    high: float
    confidence: float
    levels: tuple[Level, ...]
    points: np.ndarray
    values: np.ndarray
    reliable: bool
    diagnosis: str

    @property
    def evaluations(self) -> int:
        """Of the limit state, in all."""
        return sum(level.evaluations for level in self.levels)

    @property
    def failed(self) -> int:
        """Evaluations without a result."""
        return sum(level.failed for level in self.levels)


def subset_simulation(
    limit_state: LimitState,
    dimensions: int,
    samples: int = 2000,
    seed: int = 0,
    share: float = 0.1,
    confidence: float = 0.9,
    admissible: Admissible | None = None,
) -> SubsetSimulation:
    """P(limit state > 0) for independent standard normal coordinates.

    Args:
        limit_state: (N, d) coordinates to (N,) values, row by row; nan where there is none.
            -inf says that nothing of the event is in sight.
        samples: Per level; the first level costs them all, each later one ``1 - share`` of them.
        seed: Of everything random.
        share: Of the samples that a threshold keeps.
        confidence: Level of the interval.
        admissible: (N, d) coordinates to (N,) bool: condition all of it on points that are. The
            first level draws again those that are not; later ``limit_state`` is -inf there.

    Raises:
        ArgumentError: No coordinates, too few samples, or a share outside (0, 0.5].
        SweepError: Nothing to climb: no sample has a finite limit state.
    """
    check_subset(dimensions, samples, share, confidence)
    population = first_population(limit_state, dimensions, samples, seed, admissible)
    if not np.isfinite(population.values).any():
        raise SweepError(
            f"None of the {samples:,} first samples says how far the event is: "
            f"{population.failed:,} failed, and for the others it is infinitely far, as a "
            "first_time that never comes is. Write the event with a quantity that has a value in "
            "every sample, e.g. max(x) > 3 for first_time(x > 3) <= 10."
        )
    levels: list[Level] = []
    generations: list[Generation] = []
    while True:
        reached, threshold, inside = _next_level(population.values, round(share * samples))
        levels.append(_measured(population, threshold, inside))
        generations.append(Generation(inside, population.chains, population.seeds))
        stuck = not inside.any() or inside.all()
        if reached or stuck or len(levels) == MOST_LEVELS:
            break
        population = next_population(limit_state, population, inside, threshold, seed, len(levels))
    return _result(tuple(levels), reached, generations, population, confidence)


def check_subset(
    dimensions: int, samples: int, share: float = 0.1, confidence: float = 0.9
) -> None:
    """Refuse what ``subset_simulation`` cannot use.

    Raises:
        ArgumentError: As there.
    """
    if dimensions < 1:
        raise ArgumentError(
            "Nothing varies at random, so the event happens always or never. Give at least one "
            "quantity a distribution under vary."
        )
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < FEWEST_SAMPLES:
        raise ArgumentError(
            f"samples is {samples!r}; expected a whole number of samples per level, at least "
            f"{FEWEST_SAMPLES} (1,000 or more are usual)."
        )
    if not 0 < share <= 0.5 or round(share * samples) < 10:
        raise ArgumentError(
            f"share is {share!r} of {samples:,} samples; expected a number above 0 and up to 0.5 "
            "that keeps at least 10 of them (0.1 is usual)."
        )
    if not 0 < confidence < 1:
        raise ArgumentError(f"level is {confidence!r}; expected a number between 0 and 1.")


def _next_level(values: np.ndarray, kept: int) -> tuple[bool, float, np.ndarray]:
    """Whether the event is reached, else the threshold that keeps about ``kept``; who is in."""
    happened = values > 0
    if happened.sum() >= kept:
        return True, 0.0, happened
    threshold = float(np.sort(values)[-kept])
    if threshold == -np.inf:  # fewer have a value at all: they are the level
        threshold = float(values[values > -np.inf].min(initial=np.inf))
    inside = values >= threshold
    if inside.sum() > len(values) // 2 and (values > threshold).any():
        # many equal values, as of a quantity with steps: go on from those above
        threshold = float(values[values > threshold].min())
        inside = values >= threshold
    return (True, 0.0, happened) if threshold > 0 else (False, threshold, inside)


def _measured(population: Population, threshold: float, inside: np.ndarray) -> Level:
    count, hits = len(inside), int(inside.sum())
    probability = hits / count
    gamma = _correlation(inside, population.chains)
    return Level(
        threshold,
        probability,
        population.acceptance,
        population.spread,
        gamma,
        math.sqrt((1 - probability) / (probability * count) * (1 + gamma)) if hits else math.inf,
        population.failed,
        population.evaluations,
    )


def _correlation(inside: np.ndarray, chains: int) -> float:
    """gamma of Au and Beck (2001), eq. 29, from samples that lie step by step, chain by chain."""
    count = len(inside)
    steps = -(-count // chains)
    if steps == 1:
        return 0.0
    hits = np.full(steps * chains, np.nan)
    hits[:count] = inside
    grid = hits.reshape(steps, chains)
    mean = float(inside.mean())
    variance = mean * (1 - mean)
    if variance == 0:
        return 0.0
    total = 0.0
    for lag in range(1, steps):
        product = grid[:-lag] * grid[lag:]
        pairs = int(np.isfinite(product).sum())
        if pairs:
            total += 2 * (pairs / count) * (float(np.nansum(product)) / pairs - mean**2)
    return max(total / variance, 0.0)


def _result(
    levels: tuple[Level, ...],
    reached: bool,
    generations: list[Generation],
    population: Population,
    confidence: float,
) -> SubsetSimulation:
    from scipy.special import ndtri

    happened = population.values > 0
    samples, share = len(happened), float(happened.mean())
    before = math.prod(level.probability for level in levels[:-1])
    probability = before * share
    if not reached:
        variation = math.inf
        diagnosis = _unreached(levels, before, int(happened.sum()), samples)
        # of a last level where nothing was seen: 3 in N at most with 95 %, doubled for its chains
        low, high = 0.0, before * min(1.0, share + 6.0 / samples)
    else:
        own = math.fsum(level.variation**2 for level in levels)
        variation = math.sqrt(max(own, relative_variance(generations)))
        diagnosis = _diagnosis(levels, probability, variation)
        half = float(ndtri(0.5 + confidence / 2)) * math.sqrt(math.log1p(variation**2))
        low, high = probability * math.exp(-half), min(1.0, probability * math.exp(half))
        if len(levels) == 1:
            low, high = map(float, wilson_interval(happened.sum(), samples, confidence))
    return SubsetSimulation(
        probability, variation, low, high, confidence, levels,
        population.points[happened], population.values[happened], not diagnosis, diagnosis,
    )  # fmt: skip


def _unreached(levels: tuple[Level, ...], before: float, hits: int, samples: int) -> str:
    last = levels[-1].threshold
    if len(levels) == MOST_LEVELS:
        return (
            f"the event was not reached in {MOST_LEVELS} levels: its probability is below "
            f"{before:.1e}, or it cannot happen. The limit state came to {last:g} of 0."
        )
    return (
        f"the limit state stands still at {last:g}, short of the event: every sample there has "
        f"the same value ({hits:,} of {samples:,} met the event). It has a largest value or moves "
        "in steps; write the event with a quantity that varies smoothly."
    )


def _diagnosis(levels: tuple[Level, ...], probability: float, variation: float) -> str:
    accepted = [level.acceptance for level in levels[1:]]
    first = levels[0]
    lost = first.failed / first.evaluations
    if lost > probability:
        return (
            f"{first.failed:,} of the {first.evaluations:,} first samples failed, a share of "
            f"{lost:.2g}, which is more than the estimate: it is of the event among rows that do "
            "not fail, and the failures may be events too. Make them run (solver, bounds) first."
        )
    if variation > LARGEST_VARIATION:
        return (
            f"the coefficient of variation is {variation:.2g}, above {LARGEST_VARIATION:g}. Use "
            "more samples per level."
        )
    if accepted and min(accepted) < LEAST_ACCEPTANCE:
        return (
            f"only {min(accepted):.1%} of the chains' candidates were taken at one level: the "
            "event's region is too narrow to be explored by them. Use more samples per level, and "
            "compare several seeds."
        )
    return ""
