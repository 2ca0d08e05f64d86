"""How sure a product of levels is, from who descends from whom.

The levels of a subset simulation are not independent: a chain that starts from a lucky sample
is lucky in every level after it. Summing the levels' own variances (Au and Beck 2001) leaves
that out; measured on linear limit states of 2 and 20 dimensions with 1,000 samples a level it
gave 0.36 for a coefficient of variation of 0.43 at 1e-6. Here the descendants of one chain
count as one observation, in the manner of the estimators of Chan and Lai (2013), Annals of
Statistics 41, 2877-2904, and of Olsson and Douc (2019), Bernoulli 25, 1504-1535, who look back
a fixed number of generations: one here. It gave 0.39 in the same case.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import final

import numpy as np

LOOK_BACK = 1  # generations; two and more gave the same, with more noise


@final
@dataclass(frozen=True, eq=False)
class Generation:
    """Which samples of a level go on, and where its chains came from.

    Args:
        inside: Whether a sample is in the next level, (N,) bool; sample i belongs to chain
            i modulo ``chains``.
        chains: How many; N in the first level.
        seeds: The sample of the level before that each chain starts from, (chains,).
    """

    inside: np.ndarray
    chains: int
    seeds: np.ndarray


def relative_variance(generations: Sequence[Generation]) -> float:
    """Squared coefficient of variation of the product of the levels' shares."""
    total = 0.0
    for j in range(len(generations)):
        ancestor = max(j - LOOK_BACK, 0)
        own = _by_ancestor(generations, ancestor, j)
        for k in range(j, len(generations)):
            later = own if k == j else _by_ancestor(generations, ancestor, k)
            total += (1 if k == j else 2) * float((own * later).sum())
    return max(total, 0.0)


def _by_ancestor(generations: Sequence[Generation], ancestor: int, level: int) -> np.ndarray:
    """What each chain of level ``ancestor`` adds to the relative error of a later level's share."""
    inside = generations[level].inside
    chain = np.arange(len(inside)) % generations[level].chains
    for number in range(level, ancestor, -1):
        chain = generations[number].seeds[chain] % generations[number - 1].chains
    share = inside.mean()
    terms = (inside - share) / (len(inside) * share)
    return np.bincount(chain, weights=terms, minlength=generations[ancestor].chains)
