"""How sure a calibrated model is about a trajectory, drawn twice and named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from twinml.calibrate.calibration import Calibration
from twinml.data.record import Record
from twinml.engines.simulation import simulate
from twinml.physics import Physics


@final
@dataclass(frozen=True, eq=False)
class Band:
    """One output over time.

    Args:
        t: Times in the model's time unit, (T,).
        best: At the estimates, (T,).
        parameter: What the parameters leave open, (low (T,), high (T,)).
        predictive: The same with measurement noise added.
        level: Probability of either band.
    """

    t: np.ndarray
    best: np.ndarray
    parameter: tuple[np.ndarray, np.ndarray]
    predictive: tuple[np.ndarray, np.ndarray]
    level: float


def bands(
    model: Physics,
    calibration: Calibration,
    record: Record,
    t: np.ndarray | None = None,
    level: float = 0.9,
    draws: int = 2000,
    seed: int = 0,
) -> Mapping[str, Band]:
    """Parameter band and predictive band of every measured output.

    Draws of the parameters are multivariate Student t with the calibration's moments and
    degrees of freedom; noise is drawn from the same distribution with the calibration's scale.

    Args:
        model: The calibrated physics.
        calibration: Its calibration.
        record: Gives inputs and, unless ``t`` is given, the times. It holds one experiment; where
            that was fitted together with others, its own initial values are used.
        t: Times in the model's time unit, inside the record.
        level: Probability of the bands.
        draws: Draws behind the quantiles.
        seed: Key of the draws.
    """
    if calibration.experiments:
        name = "".join(record.experiments[:1])
        known = name in calibration.experiments
        calibration = calibration.experiment(name) if known else calibration.shared()
    axis = torch.as_tensor(record.time_in(model.time_unit))
    times = axis if t is None else torch.as_tensor(t, dtype=torch.float64)
    inputs = record.inputs(model)
    random = np.random.Generator(np.random.Philox(key=seed))
    posterior = calibration.posterior
    freedom = max(posterior.degrees_of_freedom, 1)
    normals = random.standard_normal((draws, len(posterior.names)))
    heavy = np.sqrt(freedom / random.chisquare(freedom, size=(draws, 1)))
    drawn = np.concatenate([posterior.values[None], posterior.draw(normals * heavy)])
    parameters = {}
    initial = {}
    for column, name in enumerate(posterior.names):
        target, key = (
            (initial, name.removeprefix("initial."))
            if name.startswith("initial.")
            else (parameters, name)
        )
        target[key] = torch.as_tensor(np.ascontiguousarray(drawn[:, column]))
    with torch.no_grad():
        solution = simulate(model, times, parameters, initial, inputs)
    ends = [0.5 - level / 2, 0.5 + level / 2]
    found = {}
    for name, sigma in calibration.noise.items():
        paths = solution[name].numpy()
        # One draw per path: the bands are pointwise, and stay smooth over time.
        rough = random.standard_t(freedom, size=(draws, 1)) * sigma
        inner = np.nanquantile(paths[1:], ends, axis=0)
        outer = np.nanquantile(paths[1:] + rough, ends, axis=0)
        found[name] = Band(
            times.numpy(), paths[0], (inner[0], inner[1]), (outer[0], outer[1]), level
        )
    return found
