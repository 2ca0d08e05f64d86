from __future__ import annotations

import numpy as np
import pytest

from twinml.data.split import split_rows, splitmix64
from twinml.errors import ArgumentError

SIZES = {"train": 0.5, "calibration": 0.1, "selection": 0.1, "test": 0.3}


def test_the_hash_is_the_published_generator():
    # first outputs of splitmix64 from state 0; the state advances by the golden constant
    state = np.array([0, 0x9E3779B97F4A7C15], dtype=np.uint64)
    assert [hex(v) for v in splitmix64(state)] == ["0xe220a8397b1dcdaf", "0x6e789e6aa1b965f4"]


def test_fractions_become_exact_disjoint_counts():
    parts = split_rows(np.arange(100_000), SIZES, seed=3)
    assert [len(p) for p in parts.values()] == [50_000, 10_000, 10_000, 30_000]
    assert len(np.unique(np.concatenate(list(parts.values())))) == 100_000


def test_the_cut_does_not_depend_on_the_order_of_the_rows():
    ids = np.arange(1000) * 7 - 300
    shuffled = np.random.default_rng(0).permutation(ids)
    a, b = split_rows(ids, SIZES, seed=5), split_rows(shuffled, SIZES, seed=5)
    assert all(np.array_equal(ids[a[name]], shuffled[b[name]]) for name in SIZES)


def test_another_seed_gives_an_unrelated_cut():
    a, b = (split_rows(np.arange(10_000), {"train": 5000}, seed=s)["train"] for s in (0, 1))
    assert len(np.intersect1d(a, b)) == pytest.approx(2500, abs=150)


def test_consecutive_ids_spread_evenly_over_the_parts():
    train = split_rows(np.arange(10_000), {"train": 0.5}, seed=0)["train"]
    per_block = np.bincount(train // 1000, minlength=10)
    assert np.abs(per_block - 500).max() < 80


@pytest.mark.parametrize(
    ("ids", "sizes", "words"),
    [
        (np.arange(10), {"train": 8, "test": 5}, "need 13 rows .* there are 10"),
        (np.arange(10), {"train": 0.8, "test": 0.4}, "need 12 rows"),
        (np.arange(10), {"train": 1.5}, "'train' is 1.5"),
        (np.arange(10), {"train": -1}, "'train' is -1"),
        (np.arange(10), {"train": float("nan")}, "'train' is nan"),
        (np.array([1, 1, 2]), {"train": 1}, "more than once"),
        (np.arange(3) / 2, {"train": 1}, "float64"),
    ],
)
def test_sizes_and_ids_that_cannot_work_are_refused_with_numbers(ids, sizes, words):
    with pytest.raises(ArgumentError, match=words):
        split_rows(ids, sizes)
