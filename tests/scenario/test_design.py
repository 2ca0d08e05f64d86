from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import qmc

from twinml.errors import ScenarioError
from twinml.scenario.design import DESIGNS, find_design

N = 6**3


@pytest.mark.parametrize("name", DESIGNS)
def test_any_split_into_ranges_gives_the_same_bits(name):
    design = DESIGNS[name]
    whole = design.points(0, N, N, 3, seed=5)
    assert whole.shape == (N, 3)
    assert (whole > 0).all() and (whole < 1).all()
    for size in (1, 50, 128):
        parts = [design.points(i, min(i + size, N), N, 3, seed=5) for i in range(0, N, size)]
        assert np.concatenate(parts).tobytes() == whole.tobytes()
    if name != "grid":
        assert not np.array_equal(whole, design.points(0, N, N, 3, seed=6))


@pytest.mark.parametrize("name", [n for n, d in DESIGNS.items() if d.nested])
def test_a_longer_sweep_begins_with_the_shorter_one(name):
    short = DESIGNS[name].points(0, 100, 100, 3, seed=1)
    assert np.array_equal(DESIGNS[name].points(0, 1000, 1000, 3, seed=1)[:100], short)


@pytest.mark.parametrize("name", [n for n in DESIGNS if n != "grid"])
def test_one_more_varied_quantity_leaves_the_others_as_they_are(name):
    few = DESIGNS[name].points(0, 64, 64, 3, seed=1)
    assert np.array_equal(DESIGNS[name].points(0, 64, 64, 9, seed=1)[:, :3], few)


def test_sobol_points_are_a_digital_net():
    points = DESIGNS["sobol"].points(0, 1024, 1024, 5, seed=2)
    for dimension in range(5):  # one point in each of the 1,024 equal intervals
        assert len(np.unique((points[:, dimension] * 1024).astype(int))) == 1024
    assert qmc.discrepancy(points) < 4e-5  # 2e-3 for random points
    far = DESIGNS["sobol"].points(2**40, 2**40 + 1024, 2**41, 5, seed=2)
    assert qmc.discrepancy(far) < 4e-5


def test_a_latin_design_fills_every_stratum_once():
    points = DESIGNS["latin"].points(0, 97, 97, 4, seed=0)
    for dimension in range(4):
        assert sorted((points[:, dimension] * 97).astype(int)) == list(range(97))


def test_a_grid_names_the_sizes_it_can_take():
    assert len(np.unique(DESIGNS["grid"].points(0, 27, 27, 3, 0), axis=0)) == 27
    with pytest.raises(ScenarioError, match=r"27 \(3 levels\) or 64 \(4 levels\)"):
        DESIGNS["grid"].points(0, 30, 30, 3, 0)


def test_bad_designs_and_seeds_are_refused():
    with pytest.raises(ScenarioError, match="Did you mean 'sobol'"):
        find_design("sobl")
    for seed in (-1, 1.5, True):
        with pytest.raises(ScenarioError, match="whole number"):
            DESIGNS["sobol"].points(0, 1, 1, 1, seed)
    with pytest.raises(ScenarioError, match="latin design of 10"):
        DESIGNS["latin"].points(0, 11, 10, 1, 0)
