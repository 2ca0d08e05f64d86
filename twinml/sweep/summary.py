"""What a sweep says: moments, quantiles, exceedance, failures, risk by an input."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from twinml.errors import ArgumentError
from twinml.sweep.estimate import Rows, exceedance_curve, quantiles, shares
from twinml.sweep.intervals import student_quantile, wilson_interval
from twinml.sweep.ladder import RUNGS
from twinml.sweep.moments import Sums
from twinml.sweep.rows import rechunked
from twinml.sweep.stream import Quantity, Statistics, observe, reached

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.scenario import Scenario

SCHEMA = "sweep_summary/2"
QUANTILES = (0.05, 0.5, 0.95)
TREATMENT = (
    "failed rows are left out of every estimate; infinite values (a first_time never met) are "
    "left out of moments and quantiles and counted in probabilities"
)
WEIGHTED = (
    "rows are weighted by their likelihood ratio: means are self-normalised, probabilities and "
    "quantiles count the weight on the rarer side of a threshold over the number of rows"
)
BANDS = (
    "quantiles: order statistics, any distribution; probabilities: Wilson's, at one threshold; "
    "half_width: Dvoretzky, Kiefer and Wolfowitz's, at all thresholds at once; all take rows as "
    "independent draws, which is on the safe side for sobol, halton and latin"
)


def summarise(table: Table, scenario: Scenario, samples: int, level: float = 0.9) -> dict[str, Any]:
    """The summary of a sweep's table, plain data that JSON can hold; see ``describe``.

    Args:
        table: Finished rows, from sample 0 on.
        samples: Rows of the whole sweep.
        level: Level of the intervals.
    """
    found = observe(rechunked([table]), scenario, failures=bool(failed_rows(table).any()))
    return describe(found, scenario, samples, level)


def describe(
    found: Statistics | None, scenario: Scenario, samples: int, level: float = 0.9
) -> dict[str, Any]:
    """The summary of what one pass over the rows found.

    ``quantities`` has moments and quantiles with intervals, ``curves`` P(quantity > x) with its
    bands, ``exceedance`` the same at the thresholds asked for, ``reached`` the probability that a
    ``first_time`` came at all, ``failures`` the failed rows by reason, ``mended`` those that the
    ladder saved by its rungs, ``where`` where among the inputs the failed ones lie, ``weights``
    the effective sample size of a tilted sweep, ``digests`` the sha256 of every column. A number
    that does not exist is None.
    """
    if found is None:
        return {"schema": SCHEMA, "samples": samples, "done": 0, "failed": 0}
    names = list(found.quantities)
    thresholds = {name: q.over for name, q in found.quantities.items() if q.over}
    return {
        "schema": SCHEMA,
        "samples": samples,
        "done": found.rows,
        "failed": found.failures.count,
        "failures": found.failures.by_reason(),
        "mended": {
            RUNGS[number]: found.mended[number] for number in sorted(found.mended) if number
        },
        "failed_share": _share(found, found.lost, _all_rows(found), level),
        "where": found.failures.where(),
        "treatment": f"{TREATMENT}; {WEIGHTED}" if found.weighted else TREATMENT,
        "bands": BANDS,
        "level": level,
        "weights": _weights(found),
        "units": {name: found.units[name] for name in names},
        "quantities": {name: _quantity(found, name, level) for name in names},
        "exceedance": {
            name: [
                {"threshold": threshold, **_probability(found, name, over, level)}
                for threshold, over in asked.items()
            ]
            for name, asked in thresholds.items()
        },
        "reached": {
            name: _probability(found, name, _finite(found.quantities[name]), level)
            for name in reached(scenario)
            if name in names
        },
        "curves": {name: _curve(found, name, level) for name in names},
        "digests": found.digests,
    }


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


def _quantity(found: Statistics, name: str, level: float) -> dict[str, Any]:
    quantity = found.quantities[name]
    moments = quantity.moments
    count = moments.sums.count
    lost = {
        "not_finite": quantity.not_finite,
        "infinite": quantity.above.count + quantity.below.count,
        "undefined": quantity.undefined.count,
    }
    if count == 0:
        return {"count": 0, **lost}
    freedom = (moments.sums.effective if found.weighted else count) - 1
    half = student_quantile(level, freedom) * moments.error
    ordered = quantity.sketch.ordered()
    rows = _rows(found, quantity, finite=True)
    listed = quantiles(ordered, rows, QUANTILES, level)
    labels = [f"{q:.0%}".rstrip("%") for q in QUANTILES]
    return {
        "count": count,
        **lost,
        "mean": moments.mean,
        "mean_error": _number(moments.error),
        "mean_low": _number(moments.mean - half),
        "mean_high": _number(moments.mean + half),
        "sd": moments.deviation,
        "min": moments.low,
        "max": moments.high,
        "quantiles": {q: value for q, (value, _, _) in zip(labels, listed, strict=True)},
        "quantile_bands": {
            q: [low, high] for q, (_, low, high) in zip(labels, listed, strict=True)
        },
        "rank_error": ordered.rank_error,
        **({"effective": moments.sums.effective} if found.weighted else {}),
    }


def _probability(found: Statistics, name: str, over: Sums, level: float) -> dict[str, Any]:
    rows = _rows(found, found.quantities[name], finite=False)
    result = _share(found, over, rows, level)
    if result["count"] and not found.weighted and found.failures.count:
        # what the failed rows would make of it, had none of them, or all of them, been over
        total = result["count"] + found.failures.count
        result["if_failed"] = [
            result["over"] / total, (result["over"] + found.failures.count) / total
        ]  # fmt: skip
    return result


def _share(found: Statistics, over: Sums, rows: Rows, level: float) -> dict[str, Any]:
    """A probability as plain data."""
    if rows.kept.count == 0:
        return {"count": 0}
    probability, low, high = shares(over.weight, over.squares, rows, level)
    return {
        "count": rows.kept.count,
        "over": over.count,
        "probability": _number(float(probability)),
        "low": _number(float(low)),
        "high": _number(float(high)),
        "level": level,
    }


def _curve(found: Statistics, name: str, level: float) -> dict[str, Any]:
    quantity = found.quantities[name]
    if quantity.moments.sums.count == 0:
        return {}
    rows = _rows(found, quantity, finite=False)
    curve = exceedance_curve(quantity.sketch.ordered(), rows, quantity.above, level)
    return {
        "x": curve.x.tolist(),
        "probability": curve.probability.tolist(),
        "low": curve.low.tolist(),
        "high": curve.high.tolist(),
        "half_width": _number(curve.half_width),
    }


def _rows(found: Statistics, quantity: Quantity, finite: bool) -> Rows:
    """The rows that an estimate is about: all good ones with a number, or a finite one."""
    left = [quantity.undefined, *([quantity.above, quantity.below] if finite else [])]
    lost = _sum([found.lost, *left])
    return Rows(found.rows, _less(found.good, _sum(left)), lost, found.weighted)


def _all_rows(found: Statistics) -> Rows:
    return Rows(found.rows, _sum([found.good, found.lost]), Sums(), found.weighted)


def _finite(quantity: Quantity) -> Sums:
    return quantity.moments.sums


def _sum(parts: list[Sums]) -> Sums:
    return Sums(
        sum(part.count for part in parts),
        math.fsum(part.weight for part in parts),
        math.fsum(part.squares for part in parts),
    )


def _less(whole: Sums, part: Sums) -> Sums:
    return Sums(whole.count - part.count, whole.weight - part.weight, whole.squares - part.squares)


def _weights(found: Statistics) -> dict[str, Any] | None:
    """Effective sample size; the mean weight, which should be 1 within a few of its errors."""
    if not found.weighted:
        return None
    every = _sum([found.good, found.lost])
    mean = every.weight / found.rows
    variance = max(every.squares / found.rows - mean * mean, 0.0)
    return {
        "effective": found.good.effective,
        "mean": mean,
        "mean_error": math.sqrt(variance / max(found.rows - 1, 1)),
    }


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
