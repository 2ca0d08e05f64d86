"""A stored sweep, whole or in part."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.data.posterior import Posterior
from twinml.errors import ArgumentError
from twinml.scenario import Scenario
from twinml.sweep.reopen import evaluate, factors_of, task_of
from twinml.sweep.rows import CHUNK, check_range, joined, read_rows, write_parquet
from twinml.sweep.store import ShardReport, Store
from twinml.sweep.stream import observe
from twinml.sweep.summary import SCHEMA, describe
from twinml.sweep.views import check_done, dataset, lazy_frame, to_xarray

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.physics import Physics
    from twinml.sweep.compare import Comparison
    from twinml.sweep.morris import MorrisEffects
    from twinml.sweep.plan import Plan
    from twinml.sweep.sensitivity import SobolIndices
    from twinml.sweep.stream import Statistics
    from twinml.sweep.task import Task
    from twinml.sweep.tornado import Tornado
    from twinml.sweep.trajectories import Trajectories

SUMMARY = "summary.json"


@final
@dataclass(frozen=True, eq=False)
class Sweep:
    """A scenario executed over N samples.

    The finished shards from the first sample on, without a gap, are a valid smaller sweep;
    ``done`` says how many rows that is.

    Args:
        path: The directory.
        manifest: What the sweep is.
        reports: Finished shards in sample order.
        task, plan: What was computed and how it was cut; None after ``open_sweep``.
    """

    path: Path
    manifest: dict[str, Any]
    reports: tuple[ShardReport, ...]
    task: Task | None = None
    plan: Plan | None = None

    @property
    def samples(self) -> int:
        """Rows of the whole sweep."""
        return self.manifest["samples"]

    @property
    def done(self) -> int:
        """Rows of the finished part that starts at sample 0."""
        return self.prefix[-1].stop if self.prefix else 0

    @property
    def failed(self) -> int:
        """Failed rows among them."""
        return sum(report.failed for report in self.prefix)

    @property
    def complete(self) -> bool:
        return self.done == self.samples

    @cached_property
    def prefix(self) -> tuple[ShardReport, ...]:
        """Finished shards from sample 0 up to the first gap."""
        position, kept = 0, []
        for report in self.reports:
            if report.start != position or report.stop > self.samples:
                break
            kept.append(report)
            position = report.stop
        return tuple(kept)

    @cached_property
    def scenario(self) -> Scenario:
        return Scenario.from_mapping(self.manifest["scenario"], where=str(self.path))

    @cached_property
    def posterior(self) -> Posterior | None:
        """What calibrated quantities were drawn from."""
        data = self.manifest["posterior"]
        return None if data is None else Posterior.from_json(data)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Columns of the table that were varied."""
        return tuple(self.manifest["inputs"])

    @property
    def quantities(self) -> tuple[str, ...]:
        """Columns of the table that came out."""
        return tuple(self.scenario.quantities)

    @cached_property
    def store(self) -> Store:
        """Where the files lie."""
        return Store(self.path)

    def table(self) -> Table:
        """All finished rows in memory, in sample order: sample, status, inputs, quantities.

        Raises:
            SweepError: No shard is finished.
            IntegrityError: A shard is not what was written.
        """
        check_done(self)
        return joined(list(self.chunks()))

    def rows(self, start: int, stop: int) -> Table:
        """Samples ``start`` to ``stop``; only the shards that hold them are read.

        Raises:
            ArgumentError: They are not all finished.
        """
        check_range(start, stop, self.done, self.samples)
        found = list(read_rows(self.store, self.prefix, start, stop))
        return joined(found) if found else self.rows(0, 1).rows(slice(0, 0))

    def chunks(self, size: int = CHUNK) -> Iterator[Table]:
        """All finished rows in tables of ``size`` rows, whatever the shards; the last is shorter.

        Raises:
            ArgumentError: ``size`` is not a positive whole number.
        """
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ArgumentError(f"size is {size!r}; expected a whole number of rows, at least 1.")
        return read_rows(self.store, self.prefix, 0, self.done, size)

    def scan(self) -> Any:
        """The finished rows as a ``polars.LazyFrame``, in sample order.

        Columns and rows that a query does not need are not read. Fingerprints are not compared:
        ``table``, ``rows``, ``chunks`` and ``summary`` do that.

        Raises:
            MissingDependencyError: polars is not installed.
            SweepError: No shard is finished.
        """
        return lazy_frame(self)

    def dataset(self) -> Any:
        """The same as a ``pyarrow.dataset.Dataset``."""
        return dataset(self)

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset``: quantities over ``sample``, inputs and status as coordinates.

        Every variable has its unit as the attribute ``units``.

        Raises:
            MissingDependencyError: xarray is not installed.
        """
        return to_xarray(self)

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """All finished rows in one Parquet file, in bounded memory, the same bytes for any cut."""
        check_done(self)
        write_parquet(self.chunks(), path)

    @cached_property
    def statistics(self) -> Statistics | None:
        """What one pass over the finished rows finds; None where there are none."""
        return observe(self.chunks(), self.scenario, failures=self.failed > 0)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Moments, quantiles, exceedance with intervals, failures; see ``summary.json``.

        It is read from there where that file is of these rows, else made by one pass over them.
        """
        stored = _stored_summary(self)
        if stored is not None and "statistics" not in self.__dict__:
            return stored
        content = describe(self.statistics, self.scenario, self.samples)
        return {**content, "identity": _identity_digest(self)}

    def sensitivity(
        self,
        samples: int = 2**12,
        model: Physics | None = None,
        inputs: Mapping[str, Any] | None = None,
        level: float = 0.9,
        seed: int | None = None,
    ) -> SobolIndices:
        """Sobol indices of every quantity, from (factors + 2) * samples further simulations.

        The factors are the varied quantities; calibrated ones are correlated and form one
        factor, ``calibrated(beta,gamma,...)``, whose index is that of the group: what the
        calibration's uncertainty as a whole explains. Columns of one table form one factor too.

        Args:
            samples: Base samples, a power of two for preference.
            model, inputs: Needed after ``open_sweep``, which does not know them.
            level: Level of the bootstrap intervals.
            seed: Of the points; the sweep's own when None.

        Raises:
            SweepError: No model, another one, or nothing varies.
        """
        from twinml.sweep.sensitivity import sobol_indices

        task = task_of(self, model, inputs, "sensitivity")

        def simulate(points: np.ndarray) -> np.ndarray:
            # The noise is one more factor that is never exchanged: a point of the first matrix and
            # those mixed from it share theirs, the second matrix has its own.
            number = np.arange(len(points))
            ids = np.where(number // samples == 1, samples, 0) + number % samples
            return evaluate(task, points, ids)

        seed = task.seed if seed is None else seed
        factors = factors_of(task)
        return sobol_indices(simulate, factors, self.quantities, samples, seed, level)

    def morris(
        self,
        trajectories: int = 64,
        model: Physics | None = None,
        inputs: Mapping[str, Any] | None = None,
        level: float = 0.9,
        seed: int | None = None,
    ) -> MorrisEffects:
        """Elementary effects of every factor, from trajectories * (factors + 1) simulations.

        Which factors matter at all, for a fraction of what Sobol indices cost. Quantities that are
        drawn jointly (calibrated, correlated, of one table) move together as one factor; it has
        ``mean_size`` only, as its direction means nothing. A constraint on a quantity alone makes
        the steps those of what it leaves.

        Raises:
            SweepError: As ``sensitivity``.
            ScenarioError: A constraint ties several quantities to each other.
            ArgumentError: Fewer than 4 trajectories.
        """
        from twinml.sweep.middle import Reach, check_steps
        from twinml.sweep.morris import morris_effects

        task = task_of(self, model, inputs, "morris")
        factors = factors_of(task)
        check_steps(task.bound)
        reaches = [Reach(task.bound, factor) for factor in task.bound.factors]

        def simulate(points: np.ndarray) -> np.ndarray:
            points = points.copy()
            for reach in reaches:
                if reach.draws is not None:
                    column = reach.factor.dimensions[0]
                    points[:, column] = reach.at(points[:, column])
            return evaluate(task, points, np.arange(len(points)) // (len(factors) + 1))

        seed = task.seed if seed is None else seed
        signed = [reach.signed for reach in reaches]
        return morris_effects(
            simulate, factors, self.quantities, trajectories, seed, level, signed=signed
        )

    def tornado(
        self,
        level: float = 0.9,
        model: Physics | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Tornado:
        """Every factor alone from its low to its high quantile, the others at their medians.

        It shows directions and sizes in the quantities' own units, and no interactions.

        Args:
            level: Share of a factor's values between its ends, 0.9 for 5 to 95 %.

        Raises:
            SweepError: As ``sensitivity``.
        """
        from twinml.sweep.tornado import tornado

        task = task_of(self, model, inputs, "tornado")
        return tornado(task, level, task.seed)

    def trajectories(
        self,
        samples: Iterable[int] | int,
        t: Any = None,
        model: Physics | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Trajectories:
        """Chosen samples simulated again, with everything over time.

        The inputs are those in the table, bit for bit, and the noise is that of the sample's
        number, so these are the paths behind the rows.

        Args:
            samples: Sample numbers, or how many to choose: the first ones of a design whose
                beginnings are designs themselves, else a fixed random choice.
            t: Times in the horizon's unit, (T,); how many, evenly spaced; 201 when None.

        Raises:
            ArgumentError: A sample that is not finished, or times outside the horizon.
            SweepError: As ``sensitivity``.
        """
        from twinml.sweep.trajectories import simulate_again

        return simulate_again(self, task_of(self, model, inputs, "trajectories"), samples, t)

    def versus(self, baseline: Sweep, level: float = 0.9) -> Comparison:
        """This sweep against a baseline, sample by sample; see ``twinml.compare``."""
        from twinml.sweep.compare import compare

        return compare(baseline, self, level)

    def __repr__(self) -> str:
        return f"Sweep({str(self.path)!r}, {self.done:,} of {self.samples:,} samples done)"


def open_sweep(path: str | os.PathLike[str]) -> Sweep:
    """Open a stored sweep, finished or not; warns of finished shards that were cut or removed.

    Raises:
        DataError: There is no sweep at ``path``, or another version wrote it.
    """
    store = Store(path)
    manifest = store.read_manifest()
    done, damaged = store.sorted_out()
    if damaged:
        warnings.warn(f"{store.out}: {store.damage(damaged)}.", UserWarning, 2)
    return Sweep(store.path, manifest, done)


def write_summary(sweep: Sweep) -> None:
    """Put ``summary.json`` beside the shards; a function of the rows alone, not of their cut."""
    sweep.store.write_json(SUMMARY, sweep.summary)


def _stored_summary(sweep: Sweep) -> dict[str, Any] | None:
    """``summary.json`` where it is of this version, this sweep and exactly its finished rows.

    A row is a function of the sweep's identity and its number, so that equal identities and
    counts mean equal rows.
    """
    try:
        content = json.loads(sweep.store.folder.read(SUMMARY))
        known = (content["schema"], content["identity"], content["samples"], content["done"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    wanted = (SCHEMA, _identity_digest(sweep), sweep.samples, sweep.done)
    return content if known == wanted else None


def _identity_digest(sweep: Sweep) -> str:
    content = [sweep.manifest["identity"], list(sweep.quantities)]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
