"""The verb ``calibrate``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from twinml.calibrate.calibration import Calibration
from twinml.calibrate.coordinates import Unknown, unknowns
from twinml.calibrate.joint import Joint, build_setup
from twinml.calibrate.levenberg import Fit, minimise
from twinml.calibrate.setup import Setup
from twinml.data.posterior import Posterior
from twinml.data.record import Record
from twinml.errors import ArgumentError, CalibrationError, DataError, nearest
from twinml.physics import Physics

Progress = Callable[[int, int, str], None]
Fitted = Setup | Joint

MOST_STARTS = 1_000_000
_REFINED = 8  # starts that go on after the screening
_STRAY = 2  # a trial that needs this many times the steps of the best start has gone astray
_ROUGH = 1e-5  # relative tolerance good enough to tell starts apart and come near a minimum
_REWEIGHTINGS = 5  # rounds of noise estimation when several outputs share unknowns


def calibrate(
    model: Physics,
    record: Record,
    fit: Sequence[str] = (),
    fit_initial: Sequence[str] = (),
    starts: int = 64,
    seed: int = 0,
    noise: Mapping[str, float] | None = None,
    method: str = "auto",
    rtol: float = 1e-8,
    atol: float | Mapping[str, float] = 1e-10,
    dt: float | None = None,
    max_steps: int = 100_000,
    max_step: float | None = None,
    max_events: int = 100,
    progress: Progress | None = None,
) -> Calibration:
    """Fit parameters and initial values to a record by weighted nonlinear least squares.

    Levenberg-Marquardt in unconstrained coordinates on the engine's own Jacobian, from several
    starts: all are screened by their cost, the best few are refined at a loose tolerance, and
    the best of those is finished at the tolerance asked for. Outputs without a given
    noise get theirs estimated from the residuals.

    Args:
        model: The physics; parameters that are not fitted keep their defaults.
        record: Measured outputs and inputs by the model's names. Several experiments are fitted
            together: they share the parameters, and each has its own initial values, called
            ``initial.<state>@<experiment>``.
        fit: Parameters to fit.
        fit_initial: States whose value at the first sample is fitted.
        starts: Starts to try; the first is the model's defaults, the others a Sobol sequence.
        seed: Seed of the sequence.
        noise: Measurement standard deviation per output; replaces the declared one.
        method, rtol, atol, dt, max_steps, max_step, max_events: As in ``simulate``.
        progress: Called with (done, of, text).

    Returns:
        The calibration.

    Raises:
        ArgumentError: an unknown name, nothing to fit, a model with noise.
        DataError: the record lacks outputs, has gaps in inputs, or fewer values than unknowns.
        CalibrationError: no start gives a finite fit, or the record does not determine the
            unknowns.
    """
    if not isinstance(model, Physics):
        hint = " Call it: pass Model(), not Model." if isinstance(model, type) else ""
        raise ArgumentError(
            f"calibrate was given {model!r} as model; expected an instance of tw.Physics.{hint}"
        )
    if not isinstance(record, Record):
        raise ArgumentError(
            f"calibrate was given a {type(record).__name__} as record; expected a tw.Record. "
            "Read a file with tw.Record.from_csv(path, ...)."
        )
    if model.has_noise:
        name = type(model).__name__
        raise ArgumentError(
            f"{name} has noise(), and calibrate fits one path by least squares: the record of a "
            "noisy system wanders away from any simulated path, so the fit would not estimate the "
            "parameters. That takes an estimate of the state at every sample, which this version "
            "does not have. If the equations without noise are meant, calibrate a subclass: "
            f"class Mean({name}): noise = None."
        )
    sought = unknowns(model, fit, fit_initial)
    if isinstance(starts, bool) or not isinstance(starts, int) or not 1 <= starts <= MOST_STARTS:
        raise ArgumentError(
            f"starts={starts!r}; expected a whole number from 1 to {MOST_STARTS:,}. 64 are many."
        )
    options = {
        "method": method, "rtol": rtol, "atol": atol, "dt": dt, "max_steps": max_steps,
        "max_step": max_step, "max_events": max_events,
    }  # fmt: skip
    setup = build_setup(model, record, sought, options)
    sought, outputs, data = setup.unknowns, setup.outputs, setup.data
    counts = setup.present.sum(1)
    total = int(counts.sum())
    if total <= len(sought):
        raise DataError(
            f"{record.source} holds {total} measured values for {len(sought)} unknowns; the spread "
            f"of the fit needs at least {len(sought) + 1}. Fit fewer quantities or measure longer."
        )
    given = _given_noise(model, outputs, noise)
    sigma = torch.tensor(
        [s if s is not None else _spread(row) for s, row in zip(given, data, strict=True)],
        dtype=torch.float64,
    )
    theta, rough = _screen(_loosened(setup), sigma, _starts(sought, starts, seed), progress)
    near, agreeing = _refine(rough, sigma, theta, progress, stagnation=1e-2)
    best, _ = _refine(setup, sigma, near.theta[:1], progress)
    if len(outputs) > 1 and any(s is None for s in given):
        for _ in range(_REWEIGHTINGS):
            before = sigma
            sigma = _estimated(setup, best, given, sigma)
            best, _ = _refine(setup, sigma, best.theta[:1], None)
            if bool(((sigma / before - 1).abs() < 1e-6).all()):
                break
    sigma = _estimated(setup, best, given, sigma)
    posterior, covariance = _posterior(setup, best, sigma, total)
    residuals = setup.predicted(best.theta[:1])[0][:, 0] - data
    rmse = torch.sqrt(torch.nanmean(residuals**2, dim=1))
    fitted = {u.name for u in sought}
    return Calibration(
        posterior=posterior,
        covariance=covariance,
        rmse={n: float(v) for n, v in zip(outputs, rmse, strict=True)},
        samples={n: int(c) for n, c in zip(outputs, counts, strict=True)},
        model=type(model).__name__,
        fixed={
            n: float(v)
            for n in model.declared.parameters
            if n not in fitted and (v := model.default(n)) is not None
        },
        record=record.digest,
        starts=starts,
        agreeing=agreeing,
        converged=bool(best.converged[0]),
        settings={
            "method": method,
            "rtol": rtol,
            "atol": dict(atol) if isinstance(atol, Mapping) else atol,
            "dt": dt,
            "seed": seed,
            "iterations": best.iterations,
        },
    )


def _given_noise(
    model: Physics, outputs: tuple[str, ...], noise: Mapping[str, float] | None
) -> list[float | None]:
    table = dict(noise or {})
    for name, value in table.items():
        if name not in outputs:
            raise ArgumentError(
                f"noise names '{name}', which is not a measured output; expected {list(outputs)}."
                + nearest(str(name), outputs)
            )
        if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise ArgumentError(
                f"noise of '{name}' is {value!r}; expected a positive standard deviation in "
                f"{model.declared.outputs[name].unit!r}."
            )
    return [table.get(name, model.declared.outputs[name].noise) for name in outputs]


def _spread(values: Tensor) -> float:
    known = values[torch.isfinite(values)]
    spread = float(known.std(correction=0)) if known.shape[0] > 1 else 0.0
    return spread if spread > 0 else max(float(known.abs().max()) if known.shape[0] else 1.0, 1.0)


def _starts(sought: tuple[Unknown, ...], starts: int, seed: int) -> Tensor:
    """Unconstrained starts (S, p): the defaults, then a scrambled Sobol sequence."""
    first = torch.tensor([[u.first() for u in sought]], dtype=torch.float64)
    if starts == 1:
        return first
    engine = torch.quasirandom.SobolEngine(len(sought), scramble=True, seed=seed)
    places = engine.draw(starts - 1, dtype=torch.float64).tolist()
    rest = [[u.start(p) for u, p in zip(sought, row, strict=True)] for row in places]
    return torch.cat([first, torch.tensor(rest, dtype=torch.float64)])


def _loosened(setup: Fitted) -> Fitted:
    """The same problem at a tolerance that tells starts apart, at a fraction of the steps."""
    options = dict(setup.options)
    ratio = max(_ROUGH / options["rtol"], 1.0)
    atol = options["atol"]
    if isinstance(atol, Mapping):
        options["atol"] = {name: value * ratio for name, value in atol.items()}
    else:
        options["atol"] = atol * ratio
    options["rtol"] = options["rtol"] * ratio
    return setup.with_options(options)


def _screen(
    setup: Fitted, sigma: Tensor, theta: Tensor, progress: Progress | None
) -> tuple[Tensor, Fitted]:
    """The starts worth refining, best first, and the problem with its steps bounded.

    A few absurd parameter values can make a model stiff and cost more than all other starts
    together, so none may take many times the steps of the defaults (in the screening) or of
    the best start (in the fit).
    """
    if progress is not None:
        progress(0, 1, f"screening {theta.shape[0]} starts")
    most = setup.options["max_steps"]
    cost, steps = _costs(setup, sigma, theta[:1])
    budget = most
    if bool(torch.isfinite(cost[0])):
        budget = min(most, _STRAY * int(steps[0]) + 100)
    if theta.shape[0] > 1:
        bounded = setup.with_options({**setup.options, "max_steps": budget})
        others, more = _costs(bounded, sigma, theta[1:])
        cost, steps = torch.cat([cost, others]), torch.cat([steps, more])
    if not bool(torch.isfinite(cost).any()):
        raise CalibrationError(
            f"none of {theta.shape[0]} starts of {type(setup.model).__name__} gives finite outputs "
            "over the record: the model fails at every parameter value tried. Simulate it at its "
            "defaults first, and check bounds, inputs and initial values."
        )
    order = torch.argsort(cost, stable=True)
    order = order[torch.isfinite(cost[order])]
    # The defaults always stay: a scientist's guess beats chance.
    kept = order[:_REFINED].tolist()
    if 0 not in kept and bool(torch.isfinite(cost[0])):
        kept[-1] = 0
    allowed = min(most, _STRAY * int(steps[kept[0]]) + 100)
    return theta[kept], setup.with_options({**setup.options, "max_steps": allowed})


def _costs(setup: Fitted, sigma: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of squared residuals of each start, inf where it failed, and the steps it took."""
    values, steps = setup.predicted(theta)
    gap = (values - setup.data[:, None, :]) / sigma[:, None, None]
    gap = torch.where(setup.present[:, None, :], gap, 0.0)
    cost = (gap**2).sum((0, 2))
    return torch.where(torch.isfinite(cost), cost, torch.inf), steps


def _refine(
    setup: Fitted,
    sigma: Tensor,
    theta: Tensor,
    progress: Progress | None,
    stagnation: float = 1e-5,
) -> tuple[Fit, int]:
    """Levenberg-Marquardt; starts sorted by cost, and how many agree with the best."""
    scale = sigma.repeat_interleave(setup.data.shape[1])[:, None]
    target = setup.data.reshape(-1, 1)
    mask = torch.isfinite(target)
    target = torch.where(mask, target, 0.0)

    def residuals(point: Tensor) -> tuple[Tensor, Tensor]:
        values, jacobian = setup.linearised(point)
        gap = torch.where(mask, (values - target) / scale, 0.0)
        return gap, torch.where(mask[..., None], jacobian / scale[..., None], 0.0)

    def report(done: int, of: int, cost: float) -> None:
        if progress is not None:
            progress(done, of, f"cost {cost:.6g}")

    fit = minimise(residuals, theta, stagnation=stagnation, progress=report)
    order = torch.argsort(fit.cost, stable=True)
    cost = fit.cost[order]
    if not math.isfinite(float(cost[0])):
        raise CalibrationError(
            f"no start of {type(setup.model).__name__} kept finite outputs over the record. "
            "Narrow the bounds of the fitted quantities."
        )
    agreeing = int((cost <= cost[0] * (1 + 1e-3) + 1e-300).sum())
    sorted_fit = Fit(
        fit.theta[order], cost, fit.residuals[:, order], fit.jacobian[:, order],
        fit.converged[order], fit.iterations,
    )  # fmt: skip
    return sorted_fit, agreeing


def _estimated(setup: Fitted, fit: Fit, given: list[float | None], sigma: Tensor) -> Tensor:
    """Noise per output: as given, else from the residuals with the unknowns shared out."""
    residuals = fit.residuals[:, 0].reshape(setup.data.shape) * sigma[:, None]
    counts = setup.present.sum(1).to(torch.float64)
    share = len(setup.unknowns) * counts / counts.sum()
    freedom = (counts - share).clamp(min=1e-12)
    found = torch.sqrt((residuals**2).sum(1) / freedom)
    # An exact fit (simulated records) still needs a scale above rounding.
    floor = 1e-12 * setup.data.nan_to_num().abs().amax(1).clamp(min=1e-12)
    found = torch.maximum(found, floor)
    return torch.stack(
        [
            f if s is None else torch.tensor(s, dtype=f.dtype)
            for f, s in zip(found, given, strict=True)
        ]
    )


def _posterior(setup: Fitted, fit: Fit, sigma: Tensor, total: int) -> tuple[Posterior, np.ndarray]:
    """Moments at the best start, in unconstrained coordinates and in physical units."""
    theta = fit.theta[0]
    _, jacobian = setup.linearised(theta[None])
    scale = sigma.repeat_interleave(setup.data.shape[1])
    mask = setup.present.reshape(-1)
    weighted = (jacobian[:, 0] / scale[:, None])[mask].numpy()
    covariance = _inverse(weighted, setup.unknowns)
    values = [float(u.bounded(theta[i])) for i, u in enumerate(setup.unknowns)]
    slopes = np.array([u.slope(v) for u, v in zip(setup.unknowns, values, strict=True)])
    posterior = Posterior(
        names=tuple(u.name for u in setup.unknowns),
        values=np.array(values),
        low=np.array([u.low for u in setup.unknowns]),
        high=np.array([u.high for u in setup.unknowns]),
        mean_unconstrained=theta.numpy().copy(),
        covariance_unconstrained=covariance,
        units=tuple(u.unit for u in setup.unknowns),
        degrees_of_freedom=total - len(values),
        noise={n: float(s) for n, s in zip(setup.outputs, sigma, strict=True)},
    )
    return posterior, covariance * np.outer(slopes, slopes)


def _inverse(weighted: np.ndarray, sought: tuple[Unknown, ...]) -> np.ndarray:
    """Inverse of J'J, or the unknowns that the record cannot tell apart."""
    norms = np.sqrt((weighted**2).sum(0))
    if not np.all(norms > 0) or not np.isfinite(norms).all():
        idle = [u.name for u, n in zip(sought, norms, strict=True) if not n > 0]
        raise CalibrationError(
            f"the record says nothing about {', '.join(idle) or 'the unknowns'}: the outputs do "
            "not depend on it at the best fit. Leave it out of the fit, or use a record that "
            "excites it."
        )
    _, singular, rotation = np.linalg.svd(weighted / norms, full_matrices=False)
    if singular[-1] < 1e-7 * singular[0]:
        weak = np.abs(rotation[-1])
        names = [sought[i].name for i in np.argsort(-weak) if weak[i] > 0.2]
        raise CalibrationError(
            f"the record does not determine {', '.join(names)} together: a change of one is undone "
            "by the others. Fit fewer of them, or use a record that tells them apart."
        )
    inverse = rotation.T @ np.diag(singular**-2) @ rotation
    inverse = inverse / np.outer(norms, norms)
    return 0.5 * (inverse + inverse.T)
