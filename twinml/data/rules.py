"""How the columns of a file become a record: everything that can be stated about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_args

from twinml.data.files.text_options import TextOptions
from twinml.data.order import Duplicates, Late
from twinml.errors import ArgumentError, nearest


@dataclass(frozen=True)
class Rules:
    """What a reader may not decide by itself.

    Args:
        zone: Where clock readings without an offset were taken: "UTC", "+01:00",
            "Europe/Berlin". An hour that occurs twice is told apart by the step back in the rows.
        time_format: Format of datetimes that are not ISO 8601, as of ``datetime.strptime``.
        experiments: Column, or columns, whose text labels the experiment of each row.
        experiment: The one experiment to read; the others may hold what they like.
        late: Rows whose time runs backwards: "refuse", "sort" them into place, "set_aside".
        duplicates: Rows of one time: "refuse", keep the "first" or "last" row, or their "mean".
        missing: Texts that mark a missing sample, beside an empty cell and "nan".
        fill: Names whose missing samples are filled by their kind: "hold" repeats the last
            value, "linear" joins the neighbours.
        header_units: Whether ``name [unit]`` and ``name (unit)`` in a header state a unit.
        assumed: Units used where neither the caller nor the file states one.
        assumed_time: The same for the time axis.

    Raises:
        ArgumentError: a value that cannot be used.
    """

    zone: str | None = None
    time_format: str | None = None
    experiments: str | Sequence[str] | None = None
    experiment: str | None = None
    late: Late = "refuse"
    duplicates: Duplicates = "refuse"
    missing: Sequence[str] = ()
    fill: Sequence[str] = ()
    header_units: bool = True
    assumed: Mapping[str, str] = field(default_factory=dict)
    assumed_time: str = "s"

    def __post_init__(self) -> None:
        for name, choices in (("late", get_args(Late)), ("duplicates", get_args(Duplicates))):
            value = getattr(self, name)
            if value not in choices:
                raise ArgumentError(
                    f"{name}={value!r} cannot be used; expected one of {', '.join(choices)}."
                    + nearest(str(value), choices)
                )
        for name in ("missing", "fill"):
            value = getattr(self, name)
            if isinstance(value, str):
                object.__setattr__(self, name, (value,))

    @property
    def labels(self) -> tuple[str, ...]:
        """Columns that label experiments."""
        given = self.experiments
        if given is None:
            return ()
        return (given,) if isinstance(given, str) else tuple(given)


def sort_out(given: Mapping[str, Any]) -> tuple[Rules, TextOptions, str | None]:
    """Keywords of a constructor as rules, options of a text file, and a format.

    Raises:
        ArgumentError: an unknown keyword, with the nearest known one.
    """
    parts = [{f.name for f in fields(kind)} for kind in (Rules, TextOptions)]
    known = [*parts[0], *parts[1], "format"]
    for name in given:
        if name not in known:
            raise ArgumentError(
                f"'{name}' is nothing that can be stated about a record.{nearest(name, known)} "
                f"Keywords: {', '.join(sorted(known))}."
            )
    rules = Rules(**{n: v for n, v in given.items() if n in parts[0]})
    text = TextOptions(**{n: v for n, v in given.items() if n in parts[1]})
    return rules, text, given.get("format")
