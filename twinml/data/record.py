"""Measured columns with units on a time axis."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.data.table import Table
from twinml.errors import DataError, ShapeError, nearest
from twinml.units import check_unit, convert

if TYPE_CHECKING:
    from twinml.physics import Physics, Signal


@final
@dataclass(frozen=True, eq=False)
class Record:
    """What sensors recorded: columns by name, a time axis that starts at zero.

    A record may hold several experiments one after the other; each has its own zero of time.

    Args:
        time: Times in ``time_unit``, shape (T,), strictly increasing within an experiment; zero
            is its first row.
        columns: Values by name, shape (T,); nan marks a missing sample.
        units: Unit of every column.
        time_unit: Unit of ``time``.
        kinds: "hold" or "linear" for columns that drive an input.
        source: Where the record came from.
        parts: First row of every experiment by its name; empty for a single one without a name.
        notes: What was found out or decided when it was read.
        set_aside: Rows of the file that are not in the record as they stand, with the reason.
        counts: How many rows were late, repeated, set aside.
        start: The first time as the file states it.
        source_digest: sha256 of the bytes of the file, "" where there is none.

    Raises:
        ShapeError: a column and the time axis disagree on T.
        DataError: times that repeat or run backwards, infinite values, an empty record.
    """

    time: np.ndarray
    columns: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    time_unit: str = "s"
    kinds: Mapping[str, str] = field(default_factory=dict)
    source: str = "memory"
    parts: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    set_aside: Table = field(default_factory=lambda: Table({}))
    counts: Mapping[str, int] = field(default_factory=dict)
    start: str = ""
    source_digest: str = ""

    def __post_init__(self) -> None:
        time = np.array(self.time, dtype=np.float64)
        if time.ndim != 1 or len(time) == 0:
            raise DataError(
                f"{self.source} holds no samples (times of shape {time.shape}); expected at least "
                "one row of measured values."
            )
        columns = {name: np.asarray(v, dtype=np.float64) for name, v in self.columns.items()}
        for name, values in columns.items():
            if values.shape != time.shape:
                raise ShapeError(
                    f"column '{name}' of {self.source} has shape {values.shape}; expected "
                    f"{time.shape}, one value per time."
                )
            infinite = np.flatnonzero(np.isinf(values))
            if len(infinite):
                raise DataError(
                    f"{self.source}, sample {infinite[0] + 1}, column '{name}': the value is "
                    "infinite; no sensor measures that. Use nan for a missing sample."
                )
            check_unit(self.units.get(name, "1"), f"column '{name}' of {self.source}")
        check_unit(self.time_unit, f"the time axis of {self.source}")
        if not np.isfinite(time).all():
            row = int(np.flatnonzero(~np.isfinite(time))[0]) + 1
            raise DataError(
                f"{self.source}, sample {row}: the time is missing; every row needs one."
            )
        for name, (first, end) in self._bounds(len(time)).items():
            self._check_order(time, name, first, end)
            time[first:end] -= time[first]
        object.__setattr__(self, "time", time)
        object.__setattr__(self, "columns", columns)
        object.__setattr__(self, "units", {name: self.units.get(name, "1") for name in columns})

    def _bounds(self, rows: int) -> dict[str, tuple[int, int]]:
        if not self.parts:
            return {"": (0, rows)}
        firsts = list(self.parts.values())
        if firsts[0] != 0 or any(a >= b for a, b in zip(firsts, [*firsts[1:], rows], strict=True)):
            raise DataError(
                f"{self.source}: parts={dict(self.parts)} do not cut {rows} rows; expected the "
                "first row of each experiment, the first of all 0."
            )
        return dict(zip(self.parts, zip(firsts, [*firsts[1:], rows], strict=True), strict=True))

    def _check_order(self, time: np.ndarray, name: str, first: int, end: int) -> None:
        back = np.flatnonzero(np.diff(time[first:end]) <= 0)
        if len(back):
            row = first + int(back[0]) + 2
            word = "repeats" if time[row - 1] == time[row - 2] else "runs backwards"
            where = f" of experiment '{name}'" if name else ""
            raise DataError(
                f"{self.source}, sample {row}{where}: the time {word} (from {time[row - 2]:g} to "
                f"{time[row - 1]:g} {self.time_unit}); expected strictly increasing times. Sort "
                "the rows and keep one per time."
            )

    def __len__(self) -> int:
        return len(self.time)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.columns:
            raise DataError(
                f"{self.source} has no column '{name}'; it has {list(self.columns)}."
                + nearest(name, self.columns)
            )
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    @property
    def experiments(self) -> tuple[str, ...]:
        """Names of the experiments; empty for a single one without a name."""
        return tuple(self.parts)

    def experiment(self, name: str) -> Record:
        """One experiment as a record of its own.

        Raises:
            DataError: no experiment of that name.
        """
        if name not in self.parts:
            held = ", ".join(self.parts) or "one without a name"
            raise DataError(
                f"{self.source} holds no experiment '{name}'; it holds {held}."
                + nearest(str(name), self.parts)
            )
        first, end = self._bounds(len(self))[name]
        aside = self.set_aside
        if "experiment" in aside:
            aside = aside.rows(aside["experiment"] == name)
        return replace(
            self,
            time=self.time[first:end],
            columns={n: v[first:end] for n, v in self.columns.items()},
            parts={name: 0},
            set_aside=aside,
        )

    def single(self) -> Record:
        """This record, if it holds one experiment.

        Raises:
            DataError: it holds several, which share no time axis.
        """
        if len(self.parts) > 1:
            raise DataError(
                f"{self.source} holds {len(self.parts)} experiments ({', '.join(self.parts)}); "
                "expected one, because each has its own time and state. Choose it with "
                "record.experiment('name'), in a twin with data.experiment=<name>."
            )
        return self

    def values_in(self, name: str, unit: str) -> np.ndarray:
        """A column expressed in ``unit``.

        Raises:
            UnitError: the dimensions differ.
        """
        return convert(self[name], self.units[name], unit, f"column '{name}' of {self.source}")

    def time_in(self, unit: str) -> np.ndarray:
        """Times expressed in ``unit``, starting at zero.

        Raises:
            UnitError: not a unit of time.
            DataError: the record holds several experiments.
        """
        what = f"the time axis of {self.source}"
        return convert(self.single().time, self.time_unit, unit, what)

    def inputs(self, model: Physics) -> dict[str, Signal]:
        """The model's inputs that the record holds, ready for ``simulate(inputs=...)``.

        Values are in the input's unit, times in the model's, kept or joined by ``kinds``.

        Raises:
            DataError: a missing sample in an input, or several experiments in the record.
        """
        from twinml.data.driving import signals

        return signals(self, model)

    def head(self, rows: int) -> Record:
        """The first ``rows`` samples."""
        return replace(
            self,
            time=self.time[:rows],
            columns={name: v[:rows] for name, v in self.columns.items()},
            parts={name: first for name, first in self.parts.items() if first < rows},
        )

    def between(self, start: float | None = None, stop: float | None = None) -> Record:
        """The samples from ``start`` to ``stop``, both included; the first kept is the new zero.

        Args:
            start, stop: Times in ``time_unit`` since the first row (of each experiment); None for
                its end.

        Raises:
            DataError: an experiment has no sample there.
        """
        keep = np.ones(len(self), dtype=bool)
        if start is not None:
            keep &= self.time >= start
        if stop is not None:
            keep &= self.time <= stop
        parts, first = {}, 0
        for name, (begin, end) in self._bounds(len(self)).items():
            count = int(keep[begin:end].sum())
            if not count:
                of = f" of experiment '{name}'" if name else ""
                left = "its start" if start is None else f"{start:g}"
                right = "its end" if stop is None else f"{stop:g}"
                raise DataError(
                    f"{self.source} has no sample{of} from {left} to {right} {self.time_unit}; it "
                    f"reaches from 0 to {self.time[end - 1]:g}. Widen the part."
                )
            parts[name], first = first, first + count
        return replace(
            self,
            time=self.time[keep],
            columns={name: v[keep] for name, v in self.columns.items()},
            parts=parts if self.parts else {},
            notes=(*self.notes, f"{first} of {len(self)} samples used"),
        )

    def filled(self, names: Sequence[str]) -> Record:
        """The record without missing samples in ``names``, filled by their kind.

        "hold" (the default) repeats the last value, "linear" joins the neighbours.

        Raises:
            DataError: an unknown name, or a sample with no value before it (linear: or after it).
        """
        from twinml.data.fill import fill

        columns, notes, count = dict(self.columns), list(self.notes), 0
        bounds = self._bounds(len(self))
        for name in names:
            kind = self.kinds.get(name, "hold")
            values = fill(self.time, self[name], bounds, kind, f"'{name}' of {self.source}")
            found = int(np.isnan(self[name]).sum())
            columns[name], count = values, count + found
            if found:
                notes.append(f"{found} missing samples of '{name}' filled ({kind})")
        counts = {**self.counts, "filled": self.counts.get("filled", 0) + count}
        return replace(self, columns=columns, notes=tuple(notes), counts=counts)

    def metrics(self) -> dict[str, int]:
        """Flat figures for ``metrics.json``: rows, missing samples, and what the rules did."""
        missing = sum(int(np.isnan(values).sum()) for values in self.columns.values())
        return {
            "record.rows": len(self),
            "record.missing": missing,
            **{f"record.{name}": count for name, count in self.counts.items()},
        }

    @property
    def digest(self) -> str:
        """sha256 of names, units, times and values, however they are stored in a file."""
        total = hashlib.sha256()
        total.update(f"record/1 {self.time_unit}".encode())
        total.update(_plain(self.time))
        for name in sorted(self.columns):
            total.update(f"{name} {self.units[name]} {self.kinds.get(name, '')}".encode())
            total.update(_plain(self.columns[name]))
        for name, first in self.parts.items() if len(self.parts) > 1 else ():
            total.update(f"experiment {name} {first}".encode())
        return total.hexdigest()

    @classmethod
    def read(
        cls,
        path: str | Path | Sequence[str | Path],
        time: str | None = None,
        time_unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        kinds: Mapping[str, str] | None = None,
        period: float | None = None,
        **rules: Any,
    ) -> Record:
        """Read a file by its ending: text (.csv .tsv .txt .dat, also with .gz), Parquet or MAT.

        Args:
            path: The file; a list of files or a pattern such as ``runs/*.csv`` gives one
                experiment per file, called by the name of the file.
            time: Column of times: numbers in ``time_unit`` or datetimes with a zone. The first
                row becomes zero.
            time_unit: Unit of the time axis; by default that in the header, else "s".
            columns: Name in the record -> column of the file; None takes every column as it is.
            units: Unit per name; by default that in the header, else "1".
            kinds: "hold" or "linear" for inputs.
            period: Time between rows, for a file without a time column.
            **rules: What else can be stated: the fields of ``twinml.data.rules.Rules`` (zone,
                experiments, late, duplicates, missing, fill ...), those of ``TextOptions`` for
                text (delimiter, decimal, encoding, header, names), and ``format``.

        Returns:
            The record; missing samples are nan.

        Raises:
            DataError: missing file or column, a cell that is not a number (row and column are
                named), times that repeat or run backwards.
            UnitError: a stated unit contradicts the file.
            ArgumentError: an unknown rule or value of one.
        """
        from twinml.data.assemble import Request
        from twinml.data.several import read_paths

        request = Request(time, time_unit, columns, units, kinds, period)
        return read_paths(path, request, rules)

    @classmethod
    def from_csv(
        cls, path: str | Path | Sequence[str | Path], time: str | None = None,
        time_unit: str | None = None, columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None, **rules: Any,
    ) -> Record:  # fmt: skip
        """Read text with a header line and a delimiter; as ``read``, whatever the file's name."""
        rules = {**rules, "format": "csv"}
        return cls.read(path, time, time_unit, columns, units, **rules)

    @classmethod
    def from_parquet(
        cls, path: str | Path | Sequence[str | Path], time: str | None = None,
        time_unit: str | None = None, columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None, **rules: Any,
    ) -> Record:  # fmt: skip
        """Read a Parquet file; as ``read``, whatever the file's name."""
        rules = {**rules, "format": "parquet"}
        return cls.read(path, time, time_unit, columns, units, **rules)

    @classmethod
    def from_mat(
        cls, path: str | Path | Sequence[str | Path], time: str | None = None,
        time_unit: str | None = None, columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None, **rules: Any,
    ) -> Record:  # fmt: skip
        """Read the vectors of a MAT file up to version 7; as ``read``, whatever the file's name."""
        rules = {**rules, "format": "mat"}
        return cls.read(path, time, time_unit, columns, units, **rules)

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        time: str | None = None,
        time_unit: str | None = None,
        columns: Mapping[str, str] | None = None,
        units: Mapping[str, str] | None = None,
        kinds: Mapping[str, str] | None = None,
        period: float | None = None,
        **rules: Any,
    ) -> Record:
        """Take over a pandas or polars dataframe or an Arrow table; arguments as in ``read``.

        A datetime index is the time axis unless ``time`` or ``period`` says otherwise.
        """
        from twinml.data.assemble import Request, assemble
        from twinml.data.files.arrow import index_name, read_frame
        from twinml.data.rules import sort_out

        if time is None and period is None:
            time = index_name(frame)
        request = Request(time, time_unit, columns, units, kinds, period)
        return assemble(read_frame(frame, "the dataframe"), request, sort_out(rules)[0])


def _plain(values: np.ndarray) -> bytes:
    """Bytes that depend on the numbers alone: one pattern for every nan, one zero."""
    values = np.where(np.isnan(values), np.nan, values) + 0.0
    return values.astype("<f8").tobytes()
