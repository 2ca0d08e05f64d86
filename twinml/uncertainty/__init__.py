"""Conformal intervals, scores and validity guards: arrays in, arrays out."""

from __future__ import annotations

from twinml.uncertainty.conformal import conformal_quantile, required_rows, scaled_scores
from twinml.uncertainty.guard import DomainGuard
from twinml.uncertainty.scores import (
    Coverage,
    best_std_factor,
    coverage,
    crps_ensemble,
    crps_gaussian,
    r2,
    rmse,
)

__all__ = [
    "Coverage",
    "DomainGuard",
    "best_std_factor",
    "conformal_quantile",
    "coverage",
    "crps_ensemble",
    "crps_gaussian",
    "r2",
    "required_rows",
    "rmse",
    "scaled_scores",
]
