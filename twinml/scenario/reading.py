"""The parts of a scenario, read from plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

from twinml.errors import ScenarioError, nearest
from twinml.expression import Expression, Name, check_numbers, parse
from twinml.scenario.distribution import Calibrated, Distribution, read_distribution
from twinml.scenario.keys import check_keys, check_number

RESERVED = ("sample", "status", "t")  # columns of a sweep's table, and the time
TAGS = ("baseline", "stress", "failure", "optimisation", "rare")


@final
@dataclass(frozen=True)
class Horizon:
    """The time simulated, from ``start`` to ``stop`` in ``unit`` (None: the twin's time unit)."""

    start: float
    stop: float
    unit: str | None = None


@final
@dataclass(frozen=True)
class Varied:
    """A distribution and the unit its numbers are in (None: the unit declared by the twin)."""

    distribution: Distribution
    unit: str | None = None


def read_horizon(data: Any) -> Horizon:
    if isinstance(data, Horizon):
        data = {"start": data.start, "stop": data.stop, "unit": data.unit}
    given = check_keys(data, ("start", "stop"), ("unit",), "horizon")
    start = check_number(given["start"], "horizon: start")
    stop = check_number(given["stop"], "horizon: stop")
    if not start < stop:
        raise ScenarioError(f"horizon runs from {start:g} to {stop:g}; stop must follow start.")
    return Horizon(start, stop, _read_unit(given.get("unit"), "horizon"))


def _read_unit(unit: Any, where: str) -> str | None:
    if unit is not None and not isinstance(unit, str):
        raise ScenarioError(f"{where}: unit is {unit!r}; expected text such as 'day' or 'cm'.")
    return unit


def read_vary(data: Any) -> dict[str, Varied]:
    if not isinstance(data, Mapping):
        raise ScenarioError(f"vary is {data!r}; expected names with distributions.")
    result = {}
    for name, entry in data.items():
        where = f"vary {name}"
        if parse(str(name), where=where) != Name(str(name)) or name in RESERVED:
            raise ScenarioError(
                f"{where}: '{name}' cannot be varied; expected a parameter, an input, "
                f"initial.<state> or a free name other than {', '.join(RESERVED)}."
            )
        if isinstance(entry, Varied):
            result[str(name)] = entry
            continue
        unit = None
        if isinstance(entry, Mapping) and "unit" in entry:
            unit = _read_unit(entry["unit"], where)
            entry = {key: value for key, value in entry.items() if key != "unit"}
        distribution = read_distribution(entry, where)
        if unit is not None and isinstance(distribution, Calibrated):
            raise ScenarioError(
                f"{where}: a calibrated quantity has its calibration's unit; leave 'unit' out."
            )
        result[str(name)] = Varied(distribution, unit)
    return result


def read_quantities(data: Any, vary: Mapping[str, Varied]) -> dict[str, Expression]:
    if not isinstance(data, Mapping) or not data:
        raise ScenarioError(
            f"quantities is {data!r}; expected at least one name with an expression, e.g. "
            "{peak: max(level)}."
        )
    result = {}
    for name, source in data.items():
        if name in RESERVED or name in vary or not isinstance(name, str) or not name.strip():
            raise ScenarioError(
                f"The quantity name '{name}' is taken: sample, status and the varied names are "
                "columns of the same table. Choose another."
            )
        where = f"quantity {name}"
        result[name] = source if isinstance(source, Expression) else parse(source, where=where)
        check_numbers(result[name], where)
    return result


def read_except(data: Any, vary: Mapping[str, Varied]) -> tuple[str, ...]:
    if not isinstance(data, list | tuple) or not all(isinstance(name, str) for name in data):
        raise ScenarioError(f"except is {data!r}; expected a list of fitted quantities.")
    for name in data:
        if name in vary:
            raise ScenarioError(
                f"except names '{name}', which vary also gives a distribution. Keep one of them."
            )
    return tuple(data)


def read_exceedance(
    data: Any, quantities: Mapping[str, Expression]
) -> dict[str, tuple[float, ...]]:
    if not isinstance(data, Mapping):
        raise ScenarioError(f"exceedance is {data!r}; expected quantities with thresholds.")
    result = {}
    for name, levels in data.items():
        if name not in quantities:
            raise ScenarioError(
                f"exceedance names '{name}', which is not a quantity.{nearest(name, quantities)} "
                f"Known are {', '.join(quantities)}."
            )
        levels = levels if isinstance(levels, list | tuple) else [levels]
        result[name] = tuple(check_number(level, f"exceedance {name}") for level in levels)
    return result


def read_description(data: Any) -> str:
    """One or more sentences, spaces as in running text.

    Raises:
        ScenarioError: Not text.
    """
    if not isinstance(data, str):
        raise ScenarioError(f"description is {data!r}; expected text.")
    return " ".join(data.split())


def read_tags(data: Any) -> tuple[str, ...]:
    """Tags, each once, in the order written.

    Raises:
        ScenarioError: Not a list, or an unknown tag.
    """
    if isinstance(data, str):
        data = [data]
    if not isinstance(data, list | tuple):
        raise ScenarioError(f"tags is {data!r}; expected a list of {', '.join(TAGS)}.")
    for tag in data:
        if tag not in TAGS:
            raise ScenarioError(
                f"tags has the unknown tag {tag!r}.{nearest(str(tag), TAGS)} "
                f"Known are {', '.join(TAGS)}."
            )
    return tuple(dict.fromkeys(data))
