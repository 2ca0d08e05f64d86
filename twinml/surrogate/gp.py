"""Gaussian process regression: hyperparameters by gpytorch, predictions by a plain module."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from twinml.errors import MissingDependencyError
from twinml.surrogate.options import GpOptions
from twinml.surrogate.predictors import GpPredictor

Progress = Callable[[str, int, int], None]


def fit_gp(z: Tensor, y: Tensor, options: GpOptions, progress: Progress | None) -> GpPredictor:
    """Fit one process per column of ``y``.

    Args:
        z: Standardised inputs, shape (n, k), float64; the first ``options.rows`` are used.
        y: Standardised targets, shape (n, m), float64.
        options: See ``GpOptions``.
        progress: Called as (target number as text, targets done, targets).

    Raises:
        MissingDependencyError: gpytorch is not installed.
    """
    z, y = z[: options.rows], y[: options.rows]
    predictor = GpPredictor(z.shape[1], y.shape[1], len(z))
    predictor.rows.copy_(z)
    for target in range(y.shape[1]):
        for name, value in _hyperparameters(z, y[:, target], options).items():
            getattr(predictor, name)[target] = value
        _condition(predictor, target, y[:, target])
        if progress is not None:
            progress("targets", target + 1, y.shape[1])
    return predictor


def _condition(predictor: GpPredictor, target: int, y: Tensor) -> None:
    for _ in range(12):
        try:
            return predictor.condition(target, y)
        except RuntimeError:  # rounding made the matrix indefinite
            predictor.noise[target] *= 4.0
    return predictor.condition(target, y)


def _hyperparameters(z: Tensor, y: Tensor, options: GpOptions) -> dict[str, Tensor]:
    """Maximum of the marginal likelihood: searched on few rows, refined on all."""
    gpytorch = _gpytorch()
    state: dict[str, Any] | None = None
    coarse, limit = options.coarse_rows, options.coarse_evaluations
    # fewer rows than planned: as many evaluations as cost the same, by the square of the size
    full = min(limit, int(options.evaluations * max(1.0, options.rows / len(z)) ** 2))
    stages = [(coarse, limit), (len(z), full)] if len(z) > coarse else [(len(z), limit)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jitter notes; the best state seen is kept
        for rows, evaluations in stages:
            model = _model(gpytorch, z[:rows], y[:rows], options.noise_floor)
            if state is not None:
                model.load_state_dict(state)
            state = _maximise(gpytorch, model, evaluations)
    model.load_state_dict(state)
    kernel, mean = model.covariance, model.prior
    found = {
        "lengthscale": kernel.base_kernel.lengthscale[0],
        "outputscale": kernel.outputscale,
        "noise": model.likelihood.noise[0],
        "weight": mean.weights[:, 0],
        "bias": mean.bias[0],
    }
    return {name: value.detach() for name, value in found.items()}


def _model(gpytorch: Any, z: Tensor, y: Tensor, noise_floor: float) -> Any:
    class Regression(gpytorch.models.ExactGP):
        def __init__(self) -> None:
            bound = gpytorch.constraints.GreaterThan(noise_floor)
            likelihood = gpytorch.likelihoods.GaussianLikelihood(noise_constraint=bound)
            super().__init__(z, y, likelihood)
            base = gpytorch.kernels.MaternKernel(nu=2.5, ard_num_dims=z.shape[1])
            self.prior = gpytorch.means.LinearMean(z.shape[1])
            self.covariance = gpytorch.kernels.ScaleKernel(base)

        def forward(self, x: Tensor) -> Any:
            return gpytorch.distributions.MultivariateNormal(self.prior(x), self.covariance(x))

    with torch.random.fork_rng(devices=[]):  # gpytorch draws weights, which are then set
        model = Regression().double()
    with torch.no_grad():
        model.prior.weights.zero_()
        model.prior.bias.zero_()
    model.covariance.base_kernel.lengthscale = 2.0
    model.covariance.outputscale = 1.0
    model.likelihood.noise = max(1e-3, 2 * noise_floor)
    return model


def _maximise(gpytorch: Any, model: Any, evaluations: int) -> dict[str, Any]:
    """The best state that L-BFGS meets within the evaluations."""
    model.train()
    objective = gpytorch.mlls.ExactMarginalLogLikelihood(model.likelihood, model)
    z, y = model.train_inputs[0], model.train_targets
    best, state = float("inf"), _copy(model)
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=evaluations,
        max_eval=evaluations,
        history_size=10,
        tolerance_grad=1e-5,
        tolerance_change=1e-7,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        nonlocal best, state
        optimizer.zero_grad()
        loss = -objective(model(z), y)
        loss.backward()
        if float(loss.detach()) < best:
            best, state = float(loss.detach()), _copy(model)
        return loss

    settings = gpytorch.settings
    with (
        settings.max_cholesky_size(len(y) + 1),  # beyond it gpytorch goes over to random probes
        settings.fast_computations(False, False, False),
    ):
        try:
            optimizer.step(closure)
        except (RuntimeError, ValueError, ArithmeticError):
            if best == float("inf"):
                raise
    return state


def _copy(model: Any) -> dict[str, Any]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _gpytorch() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations inside other packages
            import gpytorch
    except ImportError as error:
        raise MissingDependencyError(
            f"The 'gp' surrogate needs gpytorch, which cannot be imported ({error}). "
            'Install it: pip install "twinml[gp]"'
        ) from error
    return gpytorch
