"""The paths behind a sweep's rows: chosen samples simulated again, kept over time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np

from twinml.errors import ArgumentError, MissingDependencyError, nearest
from twinml.scenario.design import philox_points
from twinml.sweep.rows import pick_rows
from twinml.sweep.stream import WEIGHT

if TYPE_CHECKING:
    from twinml.data.table import Table
    from twinml.sweep.result import Sweep
    from twinml.sweep.task import SolverSettings, Task

POINTS = 201


@final
@dataclass(frozen=True, eq=False)
class Trajectories:
    """States and outputs of K samples over time.

    Args:
        samples: Their numbers, (K,).
        t: Times, (T,), in ``time_unit``, the horizon's.
        values: By name, (K, T); nan from a failure on.
        units: Unit of every value.
        status: Bits of ``Status``, (K,).
        table: The samples' rows in the sweep.
    """

    samples: np.ndarray
    t: np.ndarray
    time_unit: str
    values: Mapping[str, np.ndarray]
    units: Mapping[str, str]
    status: np.ndarray
    table: Table

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.values)

    def __getitem__(self, name: str) -> np.ndarray:
        """One state or output, (K, T). Raises ArgumentError for an unknown name."""
        if name not in self.values:
            raise ArgumentError(
                f"The trajectories have no '{name}'; they have {', '.join(self.values)}."
                f"{nearest(name, self.values)}"
            )
        return self.values[name]

    def band(self, name: str, shares: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95)) -> Any:
        """Quantiles over the samples at each time, (len(shares), T).

        Failed samples are left out from their failure on; a tilted sweep's samples are weighted.
        """
        values = self[name]
        weights = self.table[WEIGHT] if WEIGHT in self.table else np.ones(len(values))
        result = np.full((len(shares), len(self.t)), np.nan)
        for column in range(len(self.t)):
            good = np.isfinite(values[:, column])
            if not good.any():
                continue
            order = np.argsort(values[good, column], kind="stable")
            here, mass = values[good, column][order], weights[good][order]
            # each value in the middle of its own mass
            place = (np.cumsum(mass) - 0.5 * mass) / mass.sum()
            result[:, column] = np.interp(shares, place, here)
        return result

    def write_parquet(self, path: str | os.PathLike[str]) -> None:
        """One Parquet file, whole or absent: sample, t, then every state and output.

        A row per sample and time, the samples one after the other; the inputs of a sample stand
        in the sweep's table under its number.
        """
        from twinml.data.table import Table

        rows = {
            "sample": np.repeat(self.samples, len(self.t)),
            "t": np.tile(self.t, len(self.samples)),
            **{name: values.ravel() for name, values in self.values.items()},
        }
        Table(rows, {"t": self.time_unit, **self.units}).write_parquet(path)

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` over sample and time, the inputs as coordinates, with units.

        Raises:
            MissingDependencyError: xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise MissingDependencyError(
                "to_xarray needs the package xarray; install it with 'pip install xarray'."
            ) from error
        table = self.table
        rows = {
            name: ("sample", table[name], {"units": table.units[name]})
            for name in table.names
            if name not in self.values
        }
        return xarray.Dataset(
            {
                name: (("sample", "time"), values, {"units": self.units[name]})
                for name, values in self.values.items()
            },
            {**rows, "time": ("time", self.t, {"units": self.time_unit})},
        )


def simulate_again(sweep: Sweep, task: Task, samples: Iterable[int] | int, t: Any) -> Trajectories:
    """The paths of some finished samples; see ``Sweep.trajectories``."""
    chosen = _samples(sweep, task, samples)
    times = _times(task, t)
    rows = pick_rows(sweep.store, sweep.prefix, chosen)
    parts = []
    for start in range(0, len(chosen), task.block):
        cut = slice(start, start + task.block)
        columns = {column.name: rows[column.name][cut] for column in task.bound.columns}
        parts.append(_paths(task, columns, chosen[cut], times * task.bound.time_scale))
    return Trajectories(
        samples=chosen,
        t=times,
        time_unit=task.scenario.horizon.unit or task.model.time_unit,
        values={n: np.concatenate([values[n] for values, _, _ in parts]) for n in parts[0][0]},
        units=parts[0][2],
        status=np.concatenate([status for _, status, _ in parts]),
        table=rows,
    )


def _samples(sweep: Sweep, task: Task, samples: Iterable[int] | int) -> np.ndarray:
    if isinstance(samples, int) and not isinstance(samples, bool):
        if samples < 1:
            raise ArgumentError(f"samples is {samples}; expected at least one.")
        count = min(samples, sweep.done)
        if task.scenario.rule.nested or count == sweep.done:
            return np.arange(count)
        keys = philox_points(0, sweep.done, 1, task.seed, "trajectories")[:, 0]
        return np.sort(np.argsort(keys, kind="stable")[:count])
    given = [] if isinstance(samples, bool) else list(samples)
    chosen = np.asarray(given)
    if chosen.ndim != 1 or len(chosen) == 0 or chosen.dtype.kind not in "iu":
        raise ArgumentError(
            f"samples is {samples!r}; expected sample numbers such as [0, 17], or how many."
        )
    outside = chosen[(chosen < 0) | (chosen >= sweep.done)]
    if len(outside):
        raise ArgumentError(
            f"Sample {int(outside[0])} is not among the finished ones, 0 to {sweep.done - 1:,} of "
            f"{sweep.samples:,}. Name others, or resume the sweep."
        )
    if len(np.unique(chosen)) < len(chosen):
        raise ArgumentError("samples names a sample twice. Name each once.")
    return chosen.astype(np.int64)


def _times(task: Task, t: Any) -> np.ndarray:
    horizon = task.scenario.horizon
    if t is None or (isinstance(t, int) and not isinstance(t, bool)):
        count = POINTS if t is None else t
        if count < 2:
            raise ArgumentError(f"t is {t}; expected at least 2 times.")
        return np.linspace(horizon.start, horizon.stop, count)
    times = np.asarray(t, dtype=np.float64)
    inside = times.ndim == 1 and len(times) > 0 and np.isfinite(times).all()
    if not inside or (np.diff(times) <= 0).any():
        raise ArgumentError("t has to be increasing times, (T,), or how many.")
    if times[0] < horizon.start or times[-1] > horizon.stop:
        raise ArgumentError(
            f"t runs from {times[0]:g} to {times[-1]:g}; the scenario's horizon is "
            f"{horizon.start:g} to {horizon.stop:g}{f' {horizon.unit}' if horizon.unit else ''}."
        )
    return times


def _paths(
    task: Task, columns: Mapping[str, np.ndarray], ids: np.ndarray, times: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, str]]:
    """Values by name (K, T), status (K,) and units; failed rows go up the sweep's ladder."""
    from twinml.solve.status import FAILURE
    from twinml.sweep.block import one_thread
    from twinml.sweep.ladder import ladder

    with one_thread():
        values, status, units = _run(task, columns, ids, times, task.settings)
        for settings in ladder(task.settings, task.model.declared.width).values():
            again = np.flatnonzero((status & int(FAILURE)) != 0)
            if len(again) == 0:
                break
            picked = {name: column[again] for name, column in columns.items()}
            better, found, _ = _run(task, picked, ids[again], times, settings)
            good = (found & int(FAILURE)) == 0
            status[again[good]] = found[good]
            for name, rows in values.items():
                rows[again[good]] = better[name][good]
    return values, status, units


def _run(
    task: Task,
    columns: Mapping[str, np.ndarray],
    ids: np.ndarray,
    times: np.ndarray,
    settings: SolverSettings,
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, str]]:
    import torch

    from twinml.engines import simulate
    from twinml.engines.arithmetic import repeatable

    bound = task.bound
    by_row: dict[str, Any] = bound.arguments(columns)
    by_row["inputs"] = {**task.inputs, **by_row["inputs"]}
    del by_row["constants"]  # of quantities, which are not asked for here
    if task.model.has_noise:
        by_row |= {"seed": task.seed, "ids": torch.as_tensor(ids)}
    # the run begins where the sweep's does, whatever times are kept
    ahead = 0 if times[0] == bound.start else 1
    grid = np.concatenate([[bound.start], times]) if ahead else times
    with torch.no_grad(), repeatable(settings.engine):
        solution = simulate(
            task.model, grid, engine=settings.engine, method=settings.method, rtol=settings.rtol,
            atol=settings.atol, max_steps=settings.max_steps, dt=settings.dt,
            max_step=settings.max_step, max_events=settings.max_events,
            dtype=getattr(torch, settings.dtype), **by_row,
        )  # fmt: skip

    rows = len(ids)
    kept = {
        name: values.detach().cpu().numpy().astype(np.float64)
        for name, values in solution.values.items()
        if values.ndim == 2
    }
    return (
        {n: np.broadcast_to(v, (rows, v.shape[1]))[:, ahead:].copy() for n, v in kept.items()},
        np.broadcast_to(solution.status.cpu().numpy(), rows).astype(np.int64),
        {name: solution.units[name] for name in kept},
    )
