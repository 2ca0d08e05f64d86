"""Logarithm and power of step control: the same bits from kernels/ and from torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.kernels.compiled import REAL, call, driver
from twinml.solve.logarithm import EXP2, LOG2, step_exp2, step_log2


@pytest.mark.parametrize("bits", [64, 32])
def test_torch_and_kernels_agree_in_every_bit(bits):
    random = np.random.default_rng(11)
    level = random.uniform(-60, 60, 20_000).astype(REAL[bits])
    x = np.exp2(level)
    log, power = step_log2(torch.from_numpy(x)), step_exp2(torch.from_numpy(level))
    np.testing.assert_array_equal(call(driver(bits), "step_log2", x), log.numpy())
    np.testing.assert_array_equal(call(driver(bits), "step_exp2", level), power.numpy())


def test_they_are_near_enough_to_choose_a_step():
    level = torch.linspace(-60, 60, 100_001, dtype=torch.float64)
    assert (step_log2(2**level) - level).abs().max() < 1e-4
    assert (step_exp2(level) / 2**level - 1).abs().max() < 1e-4


@pytest.mark.parametrize(
    ("coefficients", "error", "low", "high"),
    [
        (LOG2, lambda x, p: p - torch.log2(x), 1.0, 2.0),
        (EXP2, lambda x, p: p / torch.exp2(x) - 1, -0.5, 0.5),
    ],
)
def test_coefficients_are_the_best_of_their_degree(coefficients, error, low, high):
    # No polynomial of degree n does better than the smallest of n + 2 errors whose signs alternate
    # (de la Vallee Poussin).
    x = torch.linspace(low, high, 200_001, dtype=torch.float64)
    gap = error(x, sum(c * x**i for i, c in enumerate(coefficients)))
    turns = torch.nonzero(gap.diff()[1:] * gap.diff()[:-1] <= 0).flatten() + 1
    extremes = gap[torch.cat([torch.tensor([0]), turns, torch.tensor([len(x) - 1])])]
    assert len(extremes) == len(coefficients) + 1
    assert (extremes[1:] * extremes[:-1] < 0).all()
    assert extremes.abs().min() > 0.99 * gap.abs().max()


def test_they_do_not_depend_on_how_a_tensor_lies_in_memory():
    x = torch.rand(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.01
    for function in (step_log2, step_exp2):
        column = function(x[:, 1])
        assert torch.equal(column, function(x[:, 1].contiguous()))
        assert torch.equal(column[7:8], function(x[7:8, 1]))
