"""The power of step control: the same bits from kernels/ and from torch, near enough to a power."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.kernels.compiled import REAL, call, driver
from twinml.solve.step_power import step_power

EXPONENTS = (-0.5, -0.25, -0.2, -0.14, -0.7 / 5, 0.08, 0.4 / 5, 1 / 3)


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("exponent", EXPONENTS)
def test_torch_and_kernels_take_the_same_power(bits, exponent):
    rng = np.random.default_rng(11)
    x = np.exp2(rng.uniform(-60, 60, 20_000)).astype(REAL[bits])
    e = REAL[bits](exponent)
    ours = step_power(torch.from_numpy(x), float(e)).numpy()
    np.testing.assert_array_equal(call(driver(bits), "step_pow", x, np.full_like(x, e)), ours)
    exact = x.astype(np.float64) ** float(e)
    np.testing.assert_allclose(ours, exact, rtol=4e-6)


def test_power_does_not_depend_on_how_a_tensor_lies_in_memory():
    x = torch.rand(1000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.01
    column = step_power(x[:, 1], -0.2)
    assert torch.equal(column, step_power(x[:, 1].contiguous(), -0.2))
    assert torch.equal(column[7:8], step_power(x[7:8, 1], -0.2))
