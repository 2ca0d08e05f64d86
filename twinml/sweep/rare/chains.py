"""Markov chains inside one level of a subset simulation.

A candidate is sqrt(1 - s^2) y + s xi with xi standard normal (the preconditioned
Crank-Nicolson step; conditional sampling in Papaioannou et al. 2015, Probabilistic Engineering
Mechanics 41, 89-103), taken when it lies in the level. The spread s is adapted between groups
of chains towards an acceptance of 0.44, never inside a chain, whose law it would change.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np

from twinml.scenario.design import philox_points

LimitState = Callable[[np.ndarray], np.ndarray]
Admissible = Callable[[np.ndarray], np.ndarray]

ACCEPTANCE = 0.44
SPREAD = 0.6
GROUPS = 5


@final
@dataclass(frozen=True, eq=False)
class Population:
    """The samples of one level, step by step and in each step chain by chain.

    Args:
        points: Coordinates, (N, d).
        values: Limit state, (N,); -inf where there is none.
        chains: How many; N in the first level.
        seeds: The sample of the level before that each chain starts from, (chains,).
        acceptance: Share of candidates taken; nan in the first level.
        spread: Of the candidates after the level.
        failed: Evaluations without a result.
        evaluations: Of the limit state.
    """

    points: np.ndarray
    values: np.ndarray
    chains: int
    seeds: np.ndarray
    acceptance: float
    spread: float
    failed: int
    evaluations: int


def first_population(
    limit_state: LimitState,
    dimensions: int,
    samples: int,
    seed: int,
    admissible: Admissible | None = None,
) -> Population:
    """Independent samples; those that are not admissible are drawn again."""
    points = _normals(samples, dimensions, seed, "level 0")
    left = np.flatnonzero(~admissible(points)) if admissible else np.arange(0)
    attempt = 0
    while len(left) and admissible:  # a scenario whose constraints leave nothing was refused
        attempt += 1
        points[left] = _normals(samples, dimensions, seed, f"level 0 attempt {attempt}")[left]
        left = left[~admissible(points[left])]
    values, failed = _evaluated(limit_state, points)
    nowhere = np.arange(samples)
    return Population(points, values, samples, nowhere, math.nan, SPREAD, failed, samples)


def next_population(
    limit_state: LimitState,
    before: Population,
    inside: np.ndarray,
    threshold: float,
    seed: int,
    level: int,
) -> Population:
    """As many samples at or above ``threshold``, by chains from those that are there already.

    Args:
        inside: Which of ``before`` are, (N,) bool.
        level: Its number, from 1; a key of the random numbers.
    """
    samples, dimensions = before.points.shape
    seeds = np.flatnonzero(inside)
    # neighbours in a chain must not fall into one group
    seeds = seeds[np.argsort(_uniforms(len(seeds), 1, seed, f"level {level} order")[:, 0])]
    chains = len(seeds)
    steps = -(-samples // chains)
    last = samples - (steps - 1) * chains  # chains that make the last step
    noise = [_normals(chains, dimensions, seed, f"level {level} step {s}") for s in range(1, steps)]
    points = np.empty((steps, chains, dimensions))
    values = np.full((steps, chains), np.nan)
    points[0], values[0] = before.points[seeds], before.values[seeds]
    spread = before.spread
    taken = tried = failed = 0
    for number, group in enumerate(np.array_split(np.arange(chains), min(GROUPS, chains)), start=1):
        accepted = attempted = 0
        for step in range(1, steps):
            moving = group if step < steps - 1 else group[group < last]
            if len(moving) == 0:
                continue
            here = points[step - 1, moving]
            candidate = math.sqrt(1.0 - spread**2) * here + spread * noise[step - 1][moving]
            found, lost = _evaluated(limit_state, candidate)
            good = found >= threshold
            points[step, moving] = np.where(good[:, None], candidate, here)
            values[step, moving] = np.where(good, found, values[step - 1, moving])
            accepted, attempted = accepted + int(good.sum()), attempted + len(moving)
            failed += lost
        taken, tried = taken + accepted, tried + attempted
        if attempted:
            gain = (accepted / attempted - ACCEPTANCE) / math.sqrt(number)
            spread = min(1.0, spread * math.exp(gain))
    return Population(
        points.reshape(-1, dimensions)[:samples],
        values.reshape(-1)[:samples],
        chains,
        seeds,
        taken / tried if tried else math.nan,
        spread,
        failed,
        tried,
    )


def _evaluated(limit_state: LimitState, points: np.ndarray) -> tuple[np.ndarray, int]:
    values = np.asarray(limit_state(points), dtype=np.float64)
    lost = np.isnan(values)
    return np.where(lost, -np.inf, values), int(lost.sum())


def _uniforms(count: int, dimensions: int, seed: int, what: str) -> np.ndarray:
    return philox_points(0, count, dimensions, seed, f"subset simulation {what}")


def _normals(count: int, dimensions: int, seed: int, what: str) -> np.ndarray:
    from scipy.special import ndtri

    return ndtri(_uniforms(count, dimensions, seed, what))
