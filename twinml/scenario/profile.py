"""Inputs over time from a file, scaled, shifted and delayed from sample to sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, final

from twinml.errors import ScenarioError, nearest
from twinml.expression import Expression, Name, Number, check_numbers, parse
from twinml.scenario.keys import check_keys, check_number

SHIPPED = "package:"
KINDS = ("hold", "linear")
_ONE, _ZERO = Number(1.0), Number(0.0)


@final
@dataclass(frozen=True)
class Profile:
    """How one input runs: ``scale * file(t - delay) + shift``.

    Args:
        path: CSV, Parquet or MAT file; ``package:<name>`` for one that ships with twinml. Paths
            are relative to the working directory.
        column: Its column of values.
        time: Its column of times: numbers on the scenario's time axis, or datetimes, of which the
            first row is time zero.
        unit: Unit of the values; None for that in the file's header, else the input's.
        time_unit: Unit of the times; None for that in the header, else the horizon's.
        kind: ``hold`` keeps a value until the next row, ``linear`` joins the rows.
        scale: A factor, from varied names and parameters.
        shift: Added after scaling, in the input's unit.
        delay: How much later everything happens, in the horizon's unit; before the file's first
            row its first value holds. Negative is earlier.
        gap: Longest time from one row to the next, in the unit of the file's times, that is not
            a gap; None: rows at a fixed period may leave none out, others what they like.
    """

    path: str
    column: str
    time: str = "time"
    unit: str | None = None
    time_unit: str | None = None
    kind: str = "hold"
    scale: Expression = _ONE
    shift: Expression = _ZERO
    delay: Expression = _ZERO
    gap: float | None = None

    @property
    def expressions(self) -> dict[str, Expression]:
        """What differs from sample to sample, by key."""
        return {"scale": self.scale, "shift": self.shift, "delay": self.delay}

    @property
    def names(self) -> frozenset[str]:
        """Names that its expressions use."""
        return self.scale.names | self.shift.names | self.delay.names

    def to_mapping(self) -> dict[str, Any]:
        """The keys one would write in YAML; defaults are left out."""
        found: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value != field.default:
                found[field.name] = value.text if isinstance(value, Expression) else value
        return found


def read_profiles(data: Any, vary: Mapping[str, Any]) -> dict[str, Profile]:
    """Profiles by input.

    Raises:
        ScenarioError: A key missing or unknown, a value that cannot be used, or an input that
            ``vary`` also gives.
        ExpressionError: An expression outside the language.
    """
    if not isinstance(data, Mapping):
        raise ScenarioError(
            f"profiles is {data!r}; expected inputs with a file, e.g. "
            "{flow: {path: duty.csv, column: flow}}."
        )
    found = {}
    for name, entry in data.items():
        if parse(str(name), where=f"profile {name}") != Name(str(name)) or not isinstance(
            name, str
        ):
            raise ScenarioError(f"profiles names {name!r}; expected the name of an input.")
        if name in vary:
            raise ScenarioError(
                f"profile {name}: vary also gives '{name}' a distribution. Keep one of them; what "
                f"differs from sample to sample goes into scale and shift, under another name."
            )
        found[name] = entry if isinstance(entry, Profile) else _read(entry, f"profile {name}")
    return found


def _read(entry: Any, where: str) -> Profile:
    known = [field.name for field in fields(Profile)]
    given = check_keys(entry, known[:2], known[2:], where)
    values: dict[str, Any] = {}
    for key, value in given.items():
        what = f"{where}: {key}"
        if key in ("scale", "shift", "delay"):
            values[key] = parse(value, where=what, allow_functionals=False)
            check_numbers(values[key], what)
        elif key == "gap":
            values[key] = _gap(value, what)
        elif value is None and key in ("unit", "time_unit"):
            continue
        elif not isinstance(value, str) or not value.strip():
            raise ScenarioError(f"{what} is {value!r}; expected text.")
        else:
            values[key] = value
    profile = Profile(**values)
    if profile.kind not in KINDS:
        raise ScenarioError(
            f"{where}: kind is {profile.kind!r}.{nearest(profile.kind, KINDS)} Expected 'hold' for "
            "values kept until the next row, or 'linear' for straight lines between the rows."
        )
    return profile


def _gap(value: Any, what: str) -> float | None:
    if value is None or (isinstance(value, float) and value == math.inf):
        return value
    number = check_number(value, what)
    if number <= 0:
        raise ScenarioError(
            f"{what} is {number:g}; expected a positive time, or .inf for no limit."
        )
    return number
