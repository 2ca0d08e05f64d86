from __future__ import annotations

import numpy as np
import pytest

from twinml.data import Table
from twinml.errors import ArgumentError
from twinml.sweep import exceedance_by, sobol_indices
from twinml.sweep.intervals import wilson_interval


def ishigami(u):
    """Ishigami and Homma (1990), a = 7, b = 0.1, on (-pi, pi)^3."""
    x = np.pi * (2 * u - 1)
    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def test_ishigami_indices_are_the_analytic_ones():
    factors = [("x1", [0]), ("x2", [1]), ("x3", [2])]
    indices = sobol_indices(lambda u: ishigami(u)[:, None], factors, ["y"], samples=2**14)
    np.testing.assert_allclose(indices.first[:, 0], [0.3139, 0.4424, 0.0], atol=0.02)
    np.testing.assert_allclose(indices.total[:, 0], [0.5576, 0.4424, 0.2437], atol=0.02)
    assert (indices.first_low <= indices.first).all() and (
        indices.first <= indices.first_high
    ).all()
    assert (indices.total_high - indices.total_low < 0.05).all()


def test_a_group_has_the_index_of_its_members_together():
    def function(u):
        return np.stack([u[:, 0] + u[:, 1] + u[:, 2], u[:, 0] * u[:, 1], 0 * u[:, 0]], axis=1)

    factors = [("pair", [0, 2]), ("single", [1])]
    indices = sobol_indices(function, factors, ["sum", "product", "flat"], samples=2**12)
    np.testing.assert_allclose(indices.first[:, 0], [2 / 3, 1 / 3], atol=0.02)
    np.testing.assert_allclose(indices.total[:, 1], [4 / 7, 4 / 7], atol=0.02)
    assert np.isnan(indices.first[:, 2]).all()
    assert indices.to_mapping()["flat"]["pair"]["total"] is None


def test_rows_without_a_value_are_left_out_of_one_quantity_only():
    def function(u):
        return np.stack([np.where(u[:, 0] > 0.9, np.nan, u[:, 1]), u[:, 0]], axis=1)

    indices = sobol_indices(function, [("a", [0]), ("b", [1])], ["holed", "whole"], samples=1024)
    assert indices.used[0] < indices.used[1] == 1024
    np.testing.assert_allclose(indices.total[:, 0], [0, 1], atol=0.05)


def test_bad_factors_are_refused():
    with pytest.raises(ArgumentError, match="each of 0 to 1 once"):
        sobol_indices(ishigami, [("a", [0]), ("b", [0])], ["y"])
    with pytest.raises(ArgumentError, match="samples is 3"):
        sobol_indices(ishigami, [("a", [0])], ["y"], samples=3)


def test_wilson_intervals_are_the_published_ones():
    low, high = wilson_interval([0, 5, 10], 10, level=0.95)
    np.testing.assert_allclose(low, [0, 0.2366, 0.7225], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.7634, 1], atol=1e-4)
    assert np.isnan(wilson_interval(0, 0)).all()
    with pytest.raises(ArgumentError, match="level"):
        wilson_interval(1, 2, level=90)


def test_a_risk_curve_counts_and_leaves_failures_out():
    day = np.linspace(0, 10, 1001)
    table = Table(
        {
            "status": np.where(day > 9, 4, 0),
            "day": day,
            "over": np.where(day > 9, np.nan, np.where(day > 5, np.inf, -1.0)),
        },
        {"day": "day"},
    )
    curve = exceedance_by(table, "over", 0.0, by="day", bins=9)
    assert curve.units["centre"] == "day" and curve["to"][-1] == 9.0
    np.testing.assert_allclose(curve["probability"], [0] * 5 + [1] * 4, atol=0.02)
    assert (curve["lower"] <= curve["probability"]).all() and curve["failed"].sum() == 100
    assert curve["count"].sum() == 901
    with pytest.raises(ArgumentError, match="No row"):
        exceedance_by(table.rows(day > 9), "over", 0.0, by="day")
