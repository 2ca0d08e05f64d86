"""One pass over a sweep's rows: everything its summary and figures are made from.

Rows are taken in by sample index, in chunks of one fixed size, and merged in their order. The
result is therefore the same, bit for bit, for any shards, workers and interruptions, and memory
grows with the number of columns only.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.expression import Functional
from twinml.sweep.failures import Failures
from twinml.sweep.moments import Moments, Sums
from twinml.sweep.sketch import Ordered, QuantileSketch

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.scenario import Scenario

RUNG = "rung"  # column: which rung of the ladder gave the row, 0 for none
WEIGHT = "weight"  # column of a tilted sweep: the row's likelihood ratio
SKETCH_BYTES = 96 * 2**20  # what all sketches together may hold
MOST_ROOM, LEAST_ROOM = 1 << 20, 1 << 14


@final
@dataclass
class Quantity:
    """What is kept of one quantity's rows that did not fail.

    Args:
        sketch, moments: Of its finite values.
        above, below, undefined: Rows with inf, -inf and nan.
        over: Threshold -> rows beyond it, inf among them.
    """

    sketch: QuantileSketch
    moments: Moments = field(default_factory=Moments)
    above: Sums = field(default_factory=Sums)
    below: Sums = field(default_factory=Sums)
    undefined: Sums = field(default_factory=Sums)
    over: dict[float, Sums] = field(default_factory=dict)

    def add(self, values: np.ndarray, weights: np.ndarray | None) -> None:
        """Take in a part, (N,) float64."""
        finite = np.isfinite(values)
        if finite.all():
            kept, kept_weights = values, weights
        else:
            self.above.add(values == math.inf, weights)
            self.below.add(values == -math.inf, weights)
            self.undefined.add(np.isnan(values), weights)
            kept = values[finite]
            kept_weights = None if weights is None else weights[finite]
        self.moments.add(kept, kept_weights)
        self.sketch.add(kept, kept_weights)
        for threshold, sums in self.over.items():
            sums.add(values > threshold, weights)

    @property
    def not_finite(self) -> int:
        return self.above.count + self.below.count + self.undefined.count


@final
@dataclass
class Statistics:
    """What one pass over the rows found.

    Args:
        rows, good: Rows seen, and those that did not fail.
        lost: The failed ones.
        mended: Rows that a rung of the ladder saved, by its number.
        digests: sha256 of each column's values, little-endian, in sample order.
        weighted: Whether rows have weights.
    """

    scenario: Scenario
    units: Mapping[str, str]
    failures: Failures
    quantities: dict[str, Quantity]
    weighted: bool
    rows: int = 0
    good: Sums = field(default_factory=Sums)
    lost: Sums = field(default_factory=Sums)
    hashes: dict[str, Any] = field(default_factory=dict)
    mended: dict[int, int] = field(default_factory=dict)

    def add(self, chunk: Table) -> None:
        """Take in the next rows."""
        from twinml.solve.status import FAILURE

        self.rows += len(chunk)
        for name in chunk.names:
            self.hashes.setdefault(name, hashlib.sha256()).update(
                np.ascontiguousarray(chunk[name]).astype(chunk[name].dtype.newbyteorder("<"),
                                                         copy=False)
            )  # fmt: skip
        failed = (chunk["status"] & int(FAILURE)) != 0
        if RUNG in chunk and chunk[RUNG].any():
            for number, count in zip(*np.unique(chunk[RUNG], return_counts=True), strict=True):
                self.mended[int(number)] = self.mended.get(int(number), 0) + int(count)
        self.failures.add(chunk["status"], failed, chunk.columns)
        weights = chunk[WEIGHT] if self.weighted else None
        good = ~failed
        self.good.add(good, weights)
        self.lost.add(failed, weights)
        some = bool(failed.any())
        kept = weights[good] if some and weights is not None else weights
        for name, quantity in self.quantities.items():
            quantity.add(chunk[name][good] if some else chunk[name], kept)

    @property
    def digests(self) -> dict[str, str]:
        return {name: total.hexdigest() for name, total in self.hashes.items()}

    def ordered(self, name: str) -> Ordered:
        """The finite values of a quantity in order."""
        return self.quantities[name].sketch.ordered()


def observe(
    chunks: Iterable[Table], scenario: Scenario, failures: bool = True
) -> Statistics | None:
    """One pass over tables of ``CHUNK`` consecutive rows each; None where there are none.

    Args:
        failures: Whether any row may have failed; the inputs are followed only then.
    """
    found: Statistics | None = None
    for chunk in chunks:
        if found is None:
            found = _begin(chunk, scenario, failures)
        found.add(chunk)
    return found


def thresholds(scenario: Scenario) -> dict[str, tuple[float, ...]]:
    """Thresholds asked for, and 0 for every quantity that is a time above something."""
    result = {
        name: (0.0,)
        for name, expression in scenario.quantities.items()
        if [f.kind for f in expression.functionals] == ["time_above"]
    }
    return {**result, **scenario.exceedance}


def reached(scenario: Scenario) -> tuple[str, ...]:
    """Quantities that are the time at which something first happened, inf if it never did."""
    return tuple(
        name
        for name, expression in scenario.quantities.items()
        if isinstance(expression, Functional) and expression.kind == "first_time"
    )


def sketch_room(quantities: int, weighted: bool) -> int:
    """Values that each quantity's sketch keeps, a power of two."""
    each = SKETCH_BYTES // (24 * max(quantities, 1) * (3 if weighted else 1))
    return min(max(1 << (each.bit_length() - 1), LEAST_ROOM), MOST_ROOM)


def _begin(chunk: Table, scenario: Scenario, failures: bool) -> Statistics:
    names = [name for name in scenario.quantities if name in chunk]
    weighted = WEIGHT in chunk
    fixed = {"sample", "status", RUNG, WEIGHT, *scenario.quantities}
    inputs = [name for name in chunk.names if name not in fixed] if failures else []
    asked = thresholds(scenario)
    room = sketch_room(len(names), weighted)
    quantities = {
        name: Quantity(
            QuantileSketch(room, weighted), over={x: Sums() for x in asked.get(name, ())}
        )
        for name in names
    }
    return Statistics(scenario, chunk.units, Failures(inputs), quantities, weighted)
