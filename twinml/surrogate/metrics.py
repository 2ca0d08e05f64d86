"""Scores of a surrogate on rows it has not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from twinml.uncertainty import coverage, crps_gaussian, r2, rmse


def coverage_key(level: float) -> str:
    """ "coverage_90" for 0.9; the point of 97.5 becomes an underscore, as keys are dotted."""
    return "coverage_" + f"{100 * level:g}".replace(".", "_")


def score_rows(
    targets: Sequence[str],
    y: np.ndarray,
    predicted: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
    level: float,
) -> dict[str, dict[str, float]]:
    """Per target: rmse, r2, crps, coverage with its 95 % interval, mean width, range, rows.

    Args:
        targets: m names.
        y: True values, shape (n, m).
        predicted: mean, lower, upper, std, each (n, m).
        level: Of the intervals.

    Returns:
        Target to scores; ``range`` is the span of ``y`` on these rows. Empty for no rows.
    """
    if len(y) == 0:
        return {}
    key = coverage_key(level)
    scores = {}
    for j, name in enumerate(targets):
        mean, lower, upper, std = (p[:, j].astype(np.float64) for p in predicted)
        # compared in the precision of the surrogate, where its interval was made
        inside = coverage(y[:, j].astype(predicted[0].dtype).astype(np.float64), lower, upper)
        scores[name] = {
            "rmse": rmse(y[:, j], mean),
            "r2": r2(y[:, j], mean),
            "crps": float(crps_gaussian(y[:, j], mean, std).mean()),
            key: inside.value,
            f"{key}_low": inside.low,
            f"{key}_high": inside.high,
            "width": float((upper - lower).mean()),
            "range": float(np.ptp(y[:, j])),
            "rows": len(y),
        }
    return scores
