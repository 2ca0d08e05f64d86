"""What a sweep says: moments, quantiles, exceedance, failures, risk by an input."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.errors import ArgumentError
from twinml.expression import Functional
from twinml.sweep.intervals import wilson_interval

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.scenario import Scenario

SCHEMA = "sweep_summary/1"
QUANTILES = (0.05, 0.5, 0.95)
TREATMENT = (
    "failed rows are left out of every estimate; infinite values (a first_time never met) are "
    "left out of moments and counted in probabilities"
)


def summarise(table: Table, scenario: Scenario, samples: int, level: float = 0.9) -> dict[str, Any]:
    """The summary of a sweep's table, plain data that JSON can hold.

    ``quantities`` has moments and quantiles, ``exceedance`` P(quantity > threshold), ``reached``
    the probability that a ``first_time`` came at all, ``failures`` the failed rows by reason.

    Args:
        table: Finished rows.
        samples: Rows of the whole sweep.
        level: Level of the intervals of probabilities.
    """
    failed = failed_rows(table)
    quantities = {name: _describe(table[name][~failed]) for name in scenario.quantities}
    exceedance = {}
    for name, thresholds in exceedance_thresholds(scenario).items():
        exceedance[name] = [
            _exceedance(table[name][~failed], threshold, level) for threshold in thresholds
        ]
    return {
        "schema": SCHEMA,
        "samples": samples,
        "done": len(table),
        "failed": int(failed.sum()),
        "failures": _failures(table["status"]),
        "treatment": TREATMENT,
        "units": {name: table.units[name] for name in scenario.quantities},
        "quantities": quantities,
        "exceedance": exceedance,
        "reached": {
            name: _share(np.isfinite(table[name][~failed]), level)
            for name, expression in scenario.quantities.items()
            if isinstance(expression, Functional) and expression.kind == "first_time"
        },
    }


def exceedance_thresholds(scenario: Scenario) -> dict[str, tuple[float, ...]]:
    """Thresholds asked for, and 0 for every quantity that is a time above something."""
    thresholds = {
        name: (0.0,)
        for name, expression in scenario.quantities.items()
        if [f.kind for f in expression.functionals] == ["time_above"]
    }
    return {**thresholds, **scenario.exceedance}


def exceedance_by(
    table: Table,
    quantity: str,
    threshold: float,
    by: str,
    bins: int = 20,
    level: float = 0.9,
) -> Table:
    """P(quantity > threshold) in equal bins of one input: a risk curve.

    Args:
        table: A sweep's table.
        by: An input column, e.g. the day of an intervention.
        bins: Number of bins over the input's range.
        level: Level of Wilson's intervals.

    Returns:
        One row per bin: ``from``, ``to``, ``centre`` of the input, ``count`` of usable rows,
        ``over`` among them, ``probability``, ``lower``, ``upper``, and ``failed`` rows left out.
        An empty bin has probability nan.

    Raises:
        ArgumentError: Not a positive number of bins, or no usable row.
        DataError: An unknown column.
    """
    from twinml.data.table import Table

    if isinstance(bins, bool) or not isinstance(bins, int) or bins < 1:
        raise ArgumentError(f"bins is {bins!r}; expected a whole number, at least 1.")
    values, position = table[quantity], table[by]
    usable = ~np.isnan(values) & ~failed_rows(table) & np.isfinite(position)
    if not usable.any():
        raise ArgumentError(f"No row of the sweep has a value of '{quantity}' to count.")
    edges = np.linspace(position[usable].min(), position[usable].max(), bins + 1)
    inside = np.isfinite(position)
    index = np.clip(np.searchsorted(edges, position, side="right") - 1, 0, bins - 1)
    count = np.bincount(index[usable], minlength=bins)
    over = np.bincount(index[usable & (values > threshold)], minlength=bins)
    lost = np.bincount(index[inside & ~usable], minlength=bins)
    lower, upper = wilson_interval(over, count, level)
    columns = {
        "from": edges[:-1],
        "to": edges[1:],
        "centre": (edges[:-1] + edges[1:]) / 2,
        "count": count,
        "over": over,
        "probability": np.where(count > 0, over / np.maximum(count, 1), math.nan),
        "lower": lower,
        "upper": upper,
        "failed": lost,
    }
    unit = table.units[by]
    return Table(columns, {"from": unit, "to": unit, "centre": unit})


def failed_rows(table: Table) -> np.ndarray:
    """Rows with a failure bit, (N,) bool."""
    from twinml.solve.status import FAILURE

    return (table["status"] & int(FAILURE)) != 0


def _describe(values: np.ndarray) -> dict[str, Any]:
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return {"count": 0, "not_finite": len(values)}
    quantiles = np.quantile(finite, QUANTILES)
    return {
        "count": len(finite),
        "not_finite": int(len(values) - len(finite)),
        "mean": float(finite.mean()),
        "sd": float(finite.std(ddof=1)) if len(finite) > 1 else 0.0,
        "min": float(finite.min()),
        "max": float(finite.max()),
        "quantiles": {
            f"{q:.0%}".rstrip("%"): float(x) for q, x in zip(QUANTILES, quantiles, strict=True)
        },
    }


def _exceedance(values: np.ndarray, threshold: float, level: float) -> dict[str, Any]:
    usable = values[~np.isnan(values)]
    if len(usable) == 0:
        return {"threshold": threshold, "count": 0}
    return {"threshold": threshold, **_share(usable > threshold, level)}


def _share(happened: np.ndarray, level: float) -> dict[str, Any]:
    """The probability of an event from whether it happened, (N,) bool."""
    count, hits = len(happened), int(happened.sum())
    if count == 0:
        return {"count": 0}
    low, high = wilson_interval(hits, count, level)
    return {
        "count": count,
        "over": hits,
        "probability": hits / count,
        "low": float(low),
        "high": float(high),
        "level": level,
    }


def _failures(status: np.ndarray) -> Mapping[str, Any]:
    from twinml.solve.status import ADVICE, FAILURE

    result = {}
    for bit, advice in ADVICE.items():
        count = int(((status & int(bit)) != 0).sum())
        if count and bit & FAILURE:
            result[str(bit.name)] = {"count": count, "reason": advice}
    return result
