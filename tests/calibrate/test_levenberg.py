"""Least squares for many starts: convergence, walls, valleys."""

from __future__ import annotations

import torch

from twinml.calibrate.levenberg import minimise


def banana(theta):
    """Residuals of Rosenbrock's valley (1960), minimum at (1, 1)."""
    x, y = theta[:, 0], theta[:, 1]
    one, zero = torch.ones_like(x), torch.zeros_like(x)
    jacobian = torch.stack(
        [torch.stack([-20 * x, 10 * one], dim=1), torch.stack([-one, zero], dim=1)]
    )
    return torch.stack([10 * (y - x * x), 1 - x]), jacobian


def test_every_start_reaches_the_minimum_of_a_curved_valley():
    starts = torch.tensor([[-1.2, 1.0], [2.0, -1.0], [0.0, 3.0]], dtype=torch.float64)
    fit = minimise(banana, starts, patience=60)
    assert bool(fit.converged.all())
    torch.testing.assert_close(fit.theta, torch.ones_like(starts), rtol=0, atol=1e-5)


def test_rejected_steps_do_not_end_a_start():
    def walled(theta):
        # finite only a little way from the start: many rejections before the first gain
        x = theta[:, 0]
        gap = torch.where(x < 1e-4, x - 1, torch.inf)
        return gap[None], torch.ones(1, theta.shape[0], 1, dtype=theta.dtype)

    fit = minimise(walled, torch.zeros(1, 1, dtype=torch.float64))
    assert 5e-5 < float(fit.theta) < 1e-4


def test_a_start_that_has_no_value_stays_infinitely_bad_and_harms_no_other():
    def partly(theta):
        residuals, jacobian = banana(theta)
        return torch.where(theta[:, 0] > 5, torch.nan, residuals), jacobian

    starts = torch.tensor([[9.0, 1.0], [-1.2, 1.0]], dtype=torch.float64)
    fit = minimise(partly, starts)
    alone = minimise(banana, starts[1:])
    assert torch.isinf(fit.cost[0]) and not bool(fit.converged[0])
    torch.testing.assert_close(fit.theta[1:], alone.theta, rtol=0, atol=1e-9)
