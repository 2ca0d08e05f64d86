"""Two sweeps side by side: rows paired by their sample number, differences with intervals.

Rows that share their random numbers differ only by what the scenarios do differently, so their
differences scatter less than the rows do (common random numbers: Law 2015, Simulation modeling
and analysis, sec. 11.2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ArgumentError
from twinml.scenario.distribution import Fixed
from twinml.sweep.difference import Differences
from twinml.sweep.intervals import normal_quantile, student_quantile
from twinml.sweep.moments import Sums
from twinml.sweep.stream import WEIGHT, sketch_room, thresholds

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.sweep.result import Sweep

SCHEMA = "sweep_comparison/1"
BETTER = ("lower", "higher")


@final
@dataclass(frozen=True, eq=False)
class Comparison:
    """What b changes against a, over the samples that both have.

    Args:
        a, b: Where they lie.
        rows: Samples compared; ``samples`` of each as planned.
        paired: Inputs that both draw, the same numbers in both.
        only_a, only_b: Inputs that one of them draws alone.
        settings: Inputs that one of them holds fixed at another value, as (a, b) of sample 0.
        failed: Rows left out because they failed: only in a, only in b, in both.
        identity: What else differs, by name, as (a, b).
        found: Differences per quantity.
        units: Unit per quantity.
        skipped: Quantities that cannot be compared, with the reason.
    """

    a: str
    b: str
    rows: int
    samples: tuple[int, int]
    level: float
    paired: tuple[str, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    settings: Mapping[str, tuple[float, float]]
    failed: Mapping[str, int]
    identity: Mapping[str, tuple[Any, Any]]
    found: Mapping[str, Differences] = field(repr=False)
    better: Mapping[str, str]
    units: Mapping[str, str]
    skipped: Mapping[str, str]

    @property
    def quantities(self) -> dict[str, dict[str, Any]]:
        """Quantity -> numbers, plain data; see ``Differences.to_mapping``."""
        return {
            name: found.to_mapping(self.level, self.better[name], self.rows)
            for name, found in self.found.items()
        }

    def to_mapping(self) -> dict[str, Any]:
        """Plain data that JSON can hold."""
        return {
            "schema": SCHEMA,
            "a": self.a,
            "b": self.b,
            "rows": self.rows,
            "samples": list(self.samples),
            "level": self.level,
            "paired_on": list(self.paired),
            "only_a": list(self.only_a),
            "only_b": list(self.only_b),
            "settings": {name: list(both) for name, both in self.settings.items()},
            "failed": dict(self.failed),
            "identity": {name: list(both) for name, both in self.identity.items()},
            "units": dict(self.units),
            "skipped": dict(self.skipped),
            "quantities": self.quantities,
        }


def compare(
    a: Sweep, b: Sweep, level: float = 0.9, better: str | Mapping[str, str] = "lower"
) -> Comparison:
    """Differences b - a of every common quantity, on common random numbers.

    Rows are paired by sample number and taken in chunk by chunk, so that memory does not grow
    with their number. Where one sweep has more finished samples, those of the shorter one count.

    Args:
        a, b: The baseline and the scenario.
        level: Level of the intervals.
        better: "lower" or "higher", for all quantities or by name: which way ``b`` is better.

    Raises:
        ArgumentError: Their rows do not share their random numbers, by name; no common quantity.
    """
    normal_quantile(level)
    prefer = _preferences(a, better)
    common, settings = _shared_inputs(a, b)
    _check_noise(a, b)
    names, units, skipped = _shared_quantities(a, b)
    rows = min(a.done, b.done)
    lost = {"only a": 0, "only b": 0, "both": 0}
    found: dict[str, Differences] = {}
    fixed: dict[str, tuple[float, float]] = {}
    weighted = None
    failed_weights = Sums()
    for left, right in zip_longest(_upto(a, rows), _upto(b, rows)):
        if weighted is None:
            weighted = WEIGHT in left
            room = sketch_room(2 * len(names), weighted)
            asked = _thresholds(a, b)
            found = {n: Differences.begin(room, weighted, asked.get(n, ())) for n in names}
            fixed = {n: (float(left[n][0]), float(right[n][0])) for n in settings}
        _check_draws(a, b, left, right, common)
        first, second = _failed(left), _failed(right)
        lost["both"] += int((first & second).sum())
        lost["only a"] += int((first & ~second).sum())
        lost["only b"] += int((second & ~first).sum())
        good = ~(first | second)
        weights = left[WEIGHT] if weighted else None
        failed_weights.add(~good, weights)
        kept = None if weights is None else weights[good]
        for name in names:
            found[name].add(left[name][good], right[name][good], kept)
    for one in found.values():
        one.lost = failed_weights
    return Comparison(
        a=str(a.path), b=str(b.path), rows=rows, samples=(a.samples, b.samples), level=level,
        paired=common,
        only_a=tuple(n for n in a.inputs if n not in b.inputs),
        only_b=tuple(n for n in b.inputs if n not in a.inputs),
        settings={n: both for n, both in fixed.items() if both[0] != both[1]},
        failed=lost, identity=identity_differences(a, b), found=found,
        better={n: prefer.get(n, prefer.get("", "lower")) for n in names},
        units=units, skipped=skipped,
    )  # fmt: skip


def unpaired(a: Sweep, b: Sweep, level: float = 0.9) -> dict[str, dict[str, Any]]:
    """Differences b - a of the means, their rows taken as independent (Welch's interval).

    Returns:
        Quantity -> a, b, difference, low, high, error; None where there is no number.
    """
    names, _, _ = _shared_quantities(a, b)
    result = {}
    for name in names:
        x, y = (sweep.summary["quantities"][name] for sweep in (a, b))
        means = [x.get("mean"), y.get("mean")]
        errors = [x.get("mean_error"), y.get("mean_error")]
        entry: dict[str, Any] = {"a": means[0], "b": means[1]}
        if None not in means and None not in errors:
            square = [error * error for error in errors]
            error = math.sqrt(sum(square))
            freedom = math.inf
            if error > 0:
                freedom = sum(square) ** 2 / sum(
                    s * s / (found["count"] - 1) for s, found in zip(square, (x, y), strict=True)
                )
            half = student_quantile(level, min(freedom, 1e9)) * error
            gap = means[1] - means[0]
            entry |= {"difference": gap, "low": gap - half, "high": gap + half, "error": error}
        result[name] = entry
    return result


def identity_differences(a: Sweep, b: Sweep) -> dict[str, tuple[Any, Any]]:
    """What fixes the bits of two sweeps, and the keys of their scenarios, where they differ."""
    before, after = (dict(sweep.manifest["identity"]) for sweep in (a, b))
    for known, sweep in ((before, a), (after, b)):
        known.pop("scenario", None)
        known["model"] = sweep.manifest.get("model")
        content = sweep.scenario.to_mapping()
        for key, value in content.items():
            if isinstance(value, Mapping) and key != "horizon":
                known.update({f"scenario {key} {n}": entry for n, entry in value.items()})
            else:
                known[f"scenario {key}"] = value
    names = dict.fromkeys([*before, *after])
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _preferences(a: Sweep, better: str | Mapping[str, str]) -> dict[str, str]:
    from twinml.errors import nearest

    prefer = {"": better} if isinstance(better, str) else dict(better)
    for name, way in prefer.items():
        if way not in BETTER:
            raise ArgumentError(f"better is {way!r}; expected 'lower' or 'higher'.")
        if name and name not in a.quantities:
            raise ArgumentError(
                f"better names '{name}', which is not a quantity of {a.path}."
                f"{nearest(name, a.quantities)}"
            )
    return prefer


def _fixed(sweep: Sweep, name: str) -> bool:
    varied = sweep.scenario.vary.get(name)
    if varied is None:
        return name in sweep.scenario.except_
    return isinstance(varied.distribution, Fixed)


def _shared_inputs(a: Sweep, b: Sweep) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Inputs that both draw, and those that at least one of them holds fixed."""
    both = [name for name in a.inputs if name in b.inputs]
    fixed = tuple(name for name in both if _fixed(a, name) or _fixed(b, name))
    common = tuple(name for name in both if name not in fixed)
    if not common and not (a.manifest["identity"].get("noise") and _same_seed(a, b)):
        raise ArgumentError(
            f"{a.path} and {b.path} have no drawn input in common ({_listed(a)} and {_listed(b)}), "
            "so their rows do not belong together. Compare sweeps of scenarios that vary the same "
            "quantities, beside what the scenario changes."
        )
    return common, fixed


def _listed(sweep: Sweep) -> str:
    return ", ".join(sweep.inputs) or "nothing varied"


def _same_seed(a: Sweep, b: Sweep) -> bool:
    return a.manifest["identity"].get("seed") == b.manifest["identity"].get("seed")


def _check_noise(a: Sweep, b: Sweep) -> None:
    noisy = [sweep for sweep in (a, b) if sweep.manifest["identity"].get("noise")]
    if noisy and not _same_seed(a, b):
        raise ArgumentError(
            f"{a.path} and {b.path} cannot be paired: their seeds differ, and with them the noise "
            "of every sample. Sweep again with the same seed=."
        )


def _shared_quantities(a: Sweep, b: Sweep) -> tuple[list[str], dict[str, str], dict[str, str]]:
    """Quantities that both have in one unit, their units, and why the others are left out."""
    for sweep in (a, b):
        if sweep.done == 0:
            raise ArgumentError(
                f"{sweep.path} has no finished rows to compare; resume it with twinml sweep "
                f"resume={sweep.path}."
            )
    units = [sweep.rows(0, 1).units for sweep in (a, b)]
    skipped = {}
    for name in dict.fromkeys([*a.quantities, *b.quantities]):
        found = [known.get(name) for known in units]
        if None in found:
            skipped[name] = f"only in {b.path if found[0] is None else a.path}"
        elif found[0] != found[1]:
            skipped[name] = f"in {found[0]} in one and in {found[1]} in the other"
    names = [name for name in a.quantities if name not in skipped]
    if not names:
        raise ArgumentError(
            f"{a.path} and {b.path} have no quantity in common ({', '.join(a.quantities)} and "
            f"{', '.join(b.quantities)}), so there is nothing to compare."
        )
    return names, {name: units[0][name] for name in names}, skipped


def _thresholds(a: Sweep, b: Sweep) -> dict[str, tuple[float, ...]]:
    asked = [thresholds(sweep.scenario) for sweep in (a, b)]
    return {
        name: tuple(dict.fromkeys([x for found in asked for x in found.get(name, ())]))
        for name in {**asked[0], **asked[1]}
    }


def _upto(sweep: Sweep, rows: int) -> Any:
    from twinml.sweep.rows import read_rows

    return read_rows(sweep.store, sweep.prefix, 0, rows)


def _failed(table: Table) -> np.ndarray:
    from twinml.sweep.summary import failed_rows

    return failed_rows(table)


def _check_draws(a: Sweep, b: Sweep, left: Table, right: Table, common: tuple[str, ...]) -> None:
    names = [*common, *([WEIGHT] if WEIGHT in left or WEIGHT in right else [])]
    for name in names:
        if (name in left) != (name in right):
            raise ArgumentError(
                f"{a.path} and {b.path} cannot be paired: only one of them is tilted and has the "
                "column 'weight', so their samples are of different distributions."
            )
        differ = np.flatnonzero(left[name] != right[name])
        if len(differ):
            row = int(differ[0])
            raise ArgumentError(
                f"{a.path} and {b.path} cannot be paired: '{name}' is drawn differently (sample "
                f"{int(left['sample'][row])} has {left[name][row]:g} and {right[name][row]:g}). "
                "Rows belong together where both scenarios draw the same numbers: the same seed "
                "and design, and what both vary first, in the same order, with the same "
                "distributions."
            )
