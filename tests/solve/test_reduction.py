"""Quantities over rows: right beside numpy, and the same bits however the rows are cut."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import twinml as tw
from twinml.engines.native.reduce import reduce_natively
from twinml.errors import ArgumentError
from twinml.solve.moments import BLOCK
from twinml.solve.reduction import Reduced, reduce_values

COUNTED = tw.Reduction(edges=[-1.0, 0.0, 0.5, 2.0], thresholds=[-0.5, 0.5, 3.0])
BOTH = pytest.mark.parametrize("reduce", [reduce_values, reduce_natively])


def told(found: Reduced) -> tuple:
    """Everything that a result says, so that nan equals nan and bits are compared."""
    numbers = (found.mean, found.variance, found.minimum, found.maximum)
    counts = (found.rows, found.failed, found.missing, found.infinite, found.count)
    return (*(float(x).hex() for x in numbers), *counts, *found.bins.tolist(),
            *found.exceeded.tolist())  # fmt: skip


def rows(seed: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Values with nan, infinities, numbers on edges, and failed rows."""
    random = np.random.default_rng(seed)
    values = random.normal(size=count) * 10.0 ** random.integers(-3, 3, count)
    special = [math.nan, math.inf, -math.inf, -1.0, 0.0, -0.0, 0.5, 2.0]
    at = random.random(count) < 0.2
    values[at] = random.choice(special, at.sum())
    return torch.from_numpy(values), torch.from_numpy(random.random(count) < 0.1)


@BOTH
def test_counts_and_moments_are_numpys(reduce):
    values, failed = rows(0, 3 * BLOCK + 17)
    found = reduce(COUNTED, values, failed)
    good = values[~failed].numpy()
    number, finite = good[~np.isnan(good)], good[np.isfinite(good)]
    assert (found.failed, found.missing) == (int(failed.sum()), int(np.isnan(good).sum()))
    assert (found.infinite, found.count) == (int(np.isinf(good).sum()), finite.shape[0])
    assert found.mean == pytest.approx(finite.mean(), rel=1e-13)
    assert found.variance == pytest.approx(finite.var(ddof=1), rel=1e-12)
    assert (found.minimum, found.maximum) == (finite.min(), finite.max())
    edges = np.array(COUNTED.edges)
    assert found.histogram.tolist() == np.histogram(number, edges)[0].tolist()
    assert found.below == (number < -1.0).sum() and found.above == (number > 2.0).sum()
    assert found.exceeded.tolist() == [(number > t).sum() for t in COUNTED.thresholds]


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(0, 4 * BLOCK),
    cuts=st.lists(st.floats(0, 1), max_size=6),
    first=st.sampled_from([0, 1, BLOCK - 1, BLOCK, 3 * BLOCK + 5]),
)
def test_parts_merge_to_the_bits_of_the_whole(seed, count, cuts, first):
    values, failed = rows(seed, count)
    whole = reduce_values(COUNTED, values, failed, first)
    ends = sorted({0, count, *(int(share * count) for share in cuts)})
    merged = reduce_values(COUNTED, values[:0], failed[:0], first)
    for number, (start, stop) in enumerate(itertools.pairwise(ends)):
        reduce = (reduce_values, reduce_natively)[number % 2]
        part = reduce(COUNTED, values[start:stop], failed[start:stop], first + start)
        merged = merged.merge(part)
    assert told(merged) == told(whole)
    assert told(reduce_natively(COUNTED, values, failed, first)) == told(whole)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), pieces=st.tuples(*[st.integers(0, 1500)] * 3))
def test_merging_is_associative_in_every_bit(seed, pieces):
    values, failed = rows(seed, sum(pieces))
    parts, start = [], 0
    for size in pieces:
        part = slice(start, start + size)
        parts.append(reduce_values(COUNTED, values[part], failed[part], start))
        start += size
    a, b, c = parts
    assert told(a.merge(b).merge(c)) == told(a.merge(b.merge(c)))


def test_a_variance_far_from_zero_keeps_its_digits():
    random = np.random.default_rng(1)
    values = 1e9 + random.normal(size=20_000)
    exact = [Fraction(v) for v in values.tolist()]
    mean = sum(exact) / len(exact)
    variance = sum((v - mean) ** 2 for v in exact) / (len(exact) - 1)
    failed = torch.zeros(20_000, dtype=torch.bool)
    found = reduce_values(tw.Reduction(), torch.from_numpy(values), failed)
    assert found.mean == pytest.approx(float(mean), rel=1e-16)
    assert found.variance == pytest.approx(float(variance), rel=1e-14)


@BOTH
def test_no_rows_bad_rows_and_one_row_have_no_variance(reduce):
    none = torch.zeros(0, dtype=torch.float64)
    empty = reduce(COUNTED, none, none.bool())
    lost = reduce(COUNTED, torch.full((5,), math.inf, dtype=torch.float64), torch.ones(5).bool())
    for found in (empty, lost):
        assert found.count == 0 and math.isnan(found.mean) and math.isnan(found.variance)
        assert math.isnan(found.minimum) and int(found.bins.sum()) == 0
    assert lost.failed == 5 and lost.infinite == 0
    one = reduce(COUNTED, torch.tensor([3.0]), torch.tensor([False]))
    assert (one.mean, one.minimum, one.count) == (3.0, 3.0, 1) and math.isnan(one.std)


def test_without_edges_and_thresholds_there_is_nothing_to_count():
    found = reduce_natively(tw.Reduction(), torch.ones(2000), torch.zeros(2000).bool())
    assert found.histogram.shape == (0,) and found.exceeded.shape == (0,)
    assert (found.mean, found.variance, found.below) == (1.0, 0.0, 0)


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, math.inf], ["a", "b"], 3.0])
def test_edges_that_are_no_bins_are_refused(edges):
    with pytest.raises(ArgumentError, match="edges="):
        tw.Reduction(edges=edges)


def test_parts_that_do_not_follow_or_count_otherwise_are_refused():
    values, failed = rows(0, 100)
    part = reduce_values(COUNTED, values, failed)
    with pytest.raises(ArgumentError, match="begins at row 0; expected the rows that follow"):
        part.merge(part)
    with pytest.raises(ArgumentError, match="different edges"):
        part.merge(reduce_values(tw.Reduction(), values, failed, 100))
