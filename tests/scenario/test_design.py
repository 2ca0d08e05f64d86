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


@pytest.mark.parametrize("name", [n for n, d in DESIGNS.items() if d.nested])
@pytest.mark.parametrize("start", [2**30 - 3, 2**30 + 5, 2**32 - 1, 2**40, 2**50 + 7])
def test_points_far_out_are_reached_directly_and_alone(name, start):
    design = DESIGNS[name]
    whole = design.points(start, start + 64, start + 64, 4, seed=9)
    for i in (0, 17, 63):
        alone = design.points(start + i, start + i + 1, 2**52, 4, seed=9)
        assert alone[0].tobytes() == whole[i].tobytes()
    assert len(np.unique(whole[:, 0])) == 64 and (whole > 0).all() and (whole < 1).all()


def test_halton_points_are_the_permuted_digits_of_their_index():
    tag = int.from_bytes(b"halton", "big")
    key = np.random.SeedSequence(3, spawn_key=(tag,))
    sequence = qmc.Halton(3, scramble=True, rng=np.random.default_rng(key))
    for index in (5, 2**31 + 7, 2**40 + 1):
        point = DESIGNS["halton"].points(index, index + 1, index + 1, 3, seed=3)[0]
        for base, digits, found in zip((2, 3, 5), sequence._permutations, point, strict=True):
            value, left = 0.0, index
            for place, permuted in enumerate(digits, start=1):
                value += float(permuted[left % base]) * float(base) ** -place
                left //= base
            assert found == pytest.approx(value, abs=1e-15)


def test_sobol_integrates_far_better_than_random_at_2_to_14():
    def error(name, start, seed):
        points = DESIGNS[name].points(start, start + 2**14, start + 2**14, 5, seed)
        # the mean of a product with interactions of all orders is exactly 1
        return abs(np.prod(1 + 0.8 * (points - 0.5), axis=1).mean() - 1)

    for start in (0, 2**31, 2**40):
        errors = {n: np.mean([error(n, start, s) for s in range(4)]) for n in ("sobol", "random")}
        assert errors["sobol"] < 1e-5 < 1e-3 < errors["random"]


def test_sobol_ends_where_its_digits_do():
    DESIGNS["sobol"].points(2**52 - 1, 2**52, 2**52, 2, 0)
    with pytest.raises(ScenarioError, match="points end at 2"):
        DESIGNS["sobol"].points(2**52, 2**52 + 1, 2**53, 2, 0)
