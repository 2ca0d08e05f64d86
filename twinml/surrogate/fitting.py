"""Fit a surrogate to the rows of a sweep or table."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twinml.errors import ArgumentError, SurrogateError
from twinml.surrogate.metrics import score_rows
from twinml.surrogate.module import SurrogateModule, set_domain, wrap
from twinml.surrogate.options import GpOptions, parse_options
from twinml.surrogate.rows import Rows, prepare_rows
from twinml.surrogate.surrogate import Surrogate
from twinml.uncertainty import (
    best_std_factor,
    conformal_quantile,
    required_rows,
    scaled_scores,
)

Progress = Callable[[str, int, int], None]


def fit(
    source: Any,
    inputs: Sequence[str],
    targets: Sequence[str],
    surrogate: str | Mapping[str, Any] = "gp",
    level: float = 0.9,
    seed: int = 0,
    split: Mapping[str, int | float] | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
) -> Surrogate:
    """Learn a stand-in with calibrated uncertainty.

    The predictor is trained on the train rows. On the calibration rows each target's std is scaled
    to the lowest CRPS and its interval is set by split conformal prediction. The selection and test
    rows are only scored: choose between surrogates on the former, report the latter.

    Args:
        source: A ``Sweep`` or ``Table``. Rows whose ``status`` holds a failure and rows with a
            value that is not finite are left out and counted in ``training["dropped"]``.
        inputs, targets: Column names.
        surrogate: "gp", "mlp", or {"kind": "mlp", "width": 64, ...}.
        level: Share of new rows that each interval should hold.
        seed: Of the cut, the initial weights and the row order.
        split: Part to rows or fraction; see ``prepare_rows``.
        options: More options of the kind; see ``GpOptions`` and ``MlpOptions``.
        progress: Called as (what, done, total), with what "epochs" (mlp) or "targets" (gp).
        checkpoint: A file in which a network's training is kept now and then. A call with the
            same arguments that finds it goes on from there, to the same bits on a CPU; at the end
            it is removed. A process takes too little time for one.

    Raises:
        ArgumentError: A name, level or split that cannot be used.
        ConfigError: An unknown kind or option.
        MissingDependencyError: The kind's package is not installed.
        SurrogateError: Nothing could be learned from the rows.
    """
    kind, chosen = parse_options(surrogate, options)
    rows = prepare_rows(source, inputs, targets, split, seed)
    _check_calibration(rows, level)
    start = time.perf_counter()
    with _threads(chosen.threads):
        module, info = _train(kind, chosen, rows, seed, progress, checkpoint)
        _calibrate(module, rows, level)
        scores = {part: _score(module, rows, part, level) for part in ("test", "selection")}
    units = rows.parts["train"].units
    return Surrogate(
        kind=kind,
        inputs=rows.inputs,
        targets=rows.targets,
        input_units={name: units[name] for name in rows.inputs},
        target_units={name: units[name] for name in rows.targets},
        level=level,
        seed=seed,
        options=asdict(chosen),
        metrics=scores["test"],
        selection_metrics=scores["selection"],
        training={
            "rows": {name: len(part) for name, part in rows.parts.items()},
            "dropped": dict(rows.dropped),
            **info,
            "seconds": time.perf_counter() - start,
        },
        _module=module,
    )


def _check_calibration(rows: Rows, level: float) -> None:
    needed, there = required_rows(level), len(rows.parts["calibration"])
    if there < needed:
        raise ArgumentError(
            f"There are {there} calibration rows; intervals of level {level:g} need at least "
            f"{needed}. Give more samples, a larger split for calibration, or a lower level."
        )


def _train(
    kind: str,
    options: Any,
    rows: Rows,
    seed: int,
    progress: Progress | None,
    checkpoint: str | os.PathLike[str] | None,
) -> tuple[SurrogateModule, dict[str, Any]]:
    x, y = rows.x("train"), rows.y("train")
    (x_center, x_scale), (y_center, y_scale) = _moments(x), _moments(y)
    z = torch.from_numpy((x - x_center) / np.where(x_scale > 0, x_scale, 1.0))
    w = torch.from_numpy((y - y_center) / np.where(y_scale > 0, y_scale, 1.0))
    if isinstance(options, GpOptions):
        from twinml.surrogate.gp import fit_gp

        predictor = fit_gp(z, w, options, progress)
        info = {"fitted_rows": len(predictor.rows)}
    else:
        from twinml.surrogate.training.network import fit_mlp

        place = None if checkpoint is None else Path(checkpoint)
        predictor, info = fit_mlp(
            z.float(), w.float(), options, derive_seed(seed, "network"), progress, place
        )
        info = {"fitted_rows": len(z), **info}
    module = wrap(kind, predictor, x.shape[1], y.shape[1])
    module.set(
        x_center=x_center,
        x_scale=np.where(x_scale > 0, x_scale, 1.0),
        y_center=y_center,
        y_scale=y_scale,  # 0 for a constant target: the prediction is then that constant
        std_factor=np.ones(y.shape[1]),
    )
    set_domain(module, x)
    return module.eval().requires_grad_(False), info


def _calibrate(module: SurrogateModule, rows: Rows, level: float) -> None:
    mean, _, _, std = _predict(module, rows.x("calibration"))
    # in the precision of the surrogate, where the interval will be made
    y = rows.y("calibration").astype(mean.dtype).astype(np.float64)
    mean, std = mean.astype(np.float64), std.astype(np.float64)
    for j, name in enumerate(rows.targets):
        if not np.isfinite(mean[:, j]).all() or not np.isfinite(std[:, j]).all():
            raise SurrogateError(
                f"The surrogate of '{name}' predicts values that are not finite on the calibration "
                "rows. Look at the spread of the inputs, or change the surrogate's options."
            )
    factor = [best_std_factor(y[:, j], mean[:, j], std[:, j]) for j in range(y.shape[1])]
    scores = scaled_scores(y, mean, std * factor)
    quantile = np.array([conformal_quantile(column, level) for column in scores.T])
    if not np.isfinite(quantile).all():
        name = rows.targets[int(np.argmin(np.isfinite(quantile)))]
        raise SurrogateError(
            f"'{name}' is constant on the {len(rows.parts['train'])} train rows and not on the "
            "calibration rows, so there is nothing to learn it from. Give more samples."
        )
    # the row that sets the interval stays inside it after rounding
    slack = 1 + 8 * torch.finfo(module.dtype).eps
    module.set(std_factor=np.array(factor), quantile=quantile * slack)


def _score(
    module: SurrogateModule, rows: Rows, part: str, level: float
) -> dict[str, dict[str, float]]:
    if len(rows.parts[part]) == 0:
        return {}
    return score_rows(rows.targets, rows.y(part), _predict(module, rows.x(part)), level)


@torch.no_grad()
def _predict(
    module: SurrogateModule, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    mean, lower, upper, _, std = module(torch.from_numpy(x))
    return mean.numpy(), lower.numpy(), upper.numpy(), std.numpy()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """A number of CPU threads for torch, for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _moments(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means and standard deviations of columns; a constant column has its value and 0."""
    constant = np.ptp(values, axis=0) == 0
    center = np.where(constant, values[0], values.mean(axis=0))
    return center, np.where(constant, 0.0, values.std(axis=0))


def derive_seed(seed: int, key: str) -> int:
    """A seed for one use, from the user's seed and the name of the use."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1  # torch takes 63 bits
