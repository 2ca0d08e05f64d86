"""Blocks: the rows that are drawn and simulated together, always the same ones.

A row's value must not depend on how the sweep was cut. In torch the last bit of a row can
depend on the size of the batch and the place in it, so rows are always drawn in blocks aligned
to the sample index and of one size: block k holds samples k * size to (k + 1) * size. Where the
sweep ends inside a block, a nested design fills it with the samples that follow and another with
copies of the last. Any shard size, worker count or resume then does the same arithmetic on the
same batches.

Eager torch simulates the whole block too. A kernel computes each row by itself, so of a block it
is given only the rows that are wanted, in whole vectors (``task.VECTOR``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from twinml.sweep.ladder import RUNGS, ladder
from twinml.sweep.task import VECTOR, SolverSettings, Task


@final
@dataclass(frozen=True, eq=False)
class Rows:
    """Simulated rows.

    Args:
        status: Bits of ``twinml.solve.Status``, (B,) int64.
        rung: Number in ``ladder.RUNGS`` of what gave the row, (B,) int8.
        quantities: Name to (B,) float64; nan in failed rows.
        engine: What computed them.
        kernel: Digest of the generated text and its headers; "" where there is none.
    """

    status: np.ndarray
    rung: np.ndarray
    quantities: dict[str, np.ndarray]
    engine: str = ""
    kernel: str = ""

    @property
    def failed(self) -> np.ndarray:
        """Rows with a failure bit, (B,) bool."""
        from twinml.solve.status import FAILURE

        return (self.status & int(FAILURE)) != 0


@final
@dataclass
class Tally:
    """Counts over the rows of a shard: failed ones, and those that a rung of the ladder saved."""

    failed: int = 0
    mended: dict[str, int] = field(default_factory=dict)

    def add(self, status: np.ndarray, rung: np.ndarray) -> None:
        from twinml.solve.status import FAILURE

        self.failed += int(np.count_nonzero(status & int(FAILURE)))
        if not rung.any():
            return
        for number, name in enumerate(RUNGS):
            count = int(np.count_nonzero(rung == number)) if number else 0
            if count:
                self.mended[name] = self.mended.get(name, 0) + count


def simulate_blocks(
    task: Task, start: int, stop: int, tally: Tally | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """The sweep's rows ``start`` to ``stop``, one piece per block they lie in.

    Columns: sample, status, rung (which rung of the ladder gave the row, 0 for none), the varied
    quantities, the quantities of interest.
    """
    for index in range(start // task.block, -(-stop // task.block)):
        first = index * task.block
        low, high = max(start, first) - first, min(stop, first + task.block) - first
        with one_thread():
            columns = _block_columns(task, first, low, high)
        if tally is not None:
            tally.add(columns["status"], columns["rung"])
        if not task.rungs:
            del columns["rung"]
        yield columns


def drawn_block(task: Task, first: int) -> dict[str, np.ndarray]:
    """What is drawn for the block that begins with sample ``first``, each (block,)."""
    if first not in task.drawn:
        stop = first + task.block
        if not task.scenario.rule.nested:
            stop = min(stop, task.samples)
        values = task.bound.draw(first, stop, task.samples, task.seed)
        if stop < first + task.block:
            index = np.minimum(np.arange(task.block), stop - first - 1)
            values = {name: column[index] for name, column in values.items()}
        task.drawn.clear()
        task.drawn[first] = values
    return task.drawn[first]


def simulate_values(
    task: Task, values: Mapping[str, np.ndarray], ids: np.ndarray | None = None
) -> Rows:
    """Status and quantities at given values (N,), in blocks filled by repeating the last row.

    ``ids`` (N,) are the row numbers of the noise, for models with; 0 to N - 1 when None.
    """
    count = len(next(iter(values.values())))
    parts = []
    with one_thread():
        for first in range(0, count, task.block):
            stop = first + min(task.block, -(-(count - first) // task.unit) * task.unit)
            index = np.minimum(np.arange(first, stop), count - 1)
            chosen = {name: column[index] for name, column in values.items()}
            parts.append(_simulate(task, chosen, index if ids is None else ids[index]))
    names = parts[0].quantities
    return Rows(
        np.concatenate([part.status for part in parts])[:count],
        np.concatenate([part.rung for part in parts])[:count],
        {n: np.concatenate([part.quantities[n] for part in parts])[:count] for n in names},
    )


def probe(task: Task) -> Rows:
    """The first two samples, with engine and kernel; the user's errors come up here."""
    stop = min(2, task.samples)
    values = task.bound.draw(0, stop, task.samples, task.seed)
    with one_thread():
        return _run(task, values, task.settings, np.arange(stop), digest=True)


def table_units(task: Task) -> dict[str, str]:
    """Units of the sweep's columns, quantities included."""
    from twinml.scenario.quantity_unit import quantity_unit

    declared = task.model.declared
    units = {name: declared.unit(name) for name in declared.names} | task.bound.units
    clock = task.scenario.horizon.unit or task.model.time_unit
    quantities = {
        name: quantity_unit(expression, units, clock)
        for name, expression in task.scenario.quantities.items()
    }
    return task.bound.units | quantities


@contextmanager
def one_thread() -> Iterator[None]:
    """Hold torch to one thread: splitting an operation moves rows between code paths."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _block_columns(task: Task, first: int, low: int, high: int) -> dict[str, np.ndarray]:
    """Rows ``low`` to ``high`` of the block that begins with sample ``first``."""
    values = drawn_block(task, first)
    # whole vectors, or the whole block
    begin, end = low // task.unit * task.unit, -(-high // task.unit) * task.unit
    values = {name: column[begin:end] for name, column in values.items()}
    sample = np.arange(first + begin, first + end, dtype=np.int64)
    rows = _simulate(task, values, sample)
    columns = {
        "sample": sample, "status": rows.status, "rung": rows.rung, **values, **rows.quantities,
    }  # fmt: skip
    wanted = slice(low - begin, high - begin)
    return {name: column[wanted] for name, column in columns.items()}


def _simulate(task: Task, values: Mapping[str, np.ndarray], ids: np.ndarray) -> Rows:
    """One batch, its failed rows tried again by the ladder."""
    result = _run(task, values, task.settings, ids)
    if not result.failed.any():
        return result
    for name, settings in ladder(task.settings, task.model.declared.width).items():
        again = np.flatnonzero(result.failed)
        if len(again) == 0:
            break
        better = _run_some(task, values, settings, ids, again)
        # a row keeps the bits of its first failure unless a rung succeeds
        good = ~better.failed
        result.status[again[good]] = better.status[good]
        result.rung[again[good]] = RUNGS.index(name)
        for quantity, column in result.quantities.items():
            column[again[good]] = better.quantities[quantity][good]
    for column in result.quantities.values():
        column[result.failed] = np.nan
    return result


def _run_some(
    task: Task,
    values: Mapping[str, np.ndarray],
    settings: SolverSettings,
    ids: np.ndarray,
    chosen: np.ndarray,
) -> Rows:
    """Chosen rows of a batch; before a kernel they fill whole vectors by repeating the last."""
    count = len(chosen)
    if task.unit == VECTOR:
        chosen = chosen[np.minimum(np.arange(-(-count // VECTOR) * VECTOR), count - 1)]
    rows = _run(task, {n: column[chosen] for n, column in values.items()}, settings, ids[chosen])
    return Rows(
        rows.status[:count],
        rows.rung[:count],
        {name: column[:count] for name, column in rows.quantities.items()},
    )


def _run(
    task: Task,
    values: Mapping[str, np.ndarray],
    settings: SolverSettings,
    ids: np.ndarray,
    digest: bool = False,
) -> Rows:
    import torch

    from twinml.engines import simulate
    from twinml.engines.arithmetic import repeatable

    bound = task.bound
    by_row: dict[str, Any] = bound.arguments(values)
    by_row["inputs"] = {**task.inputs, **by_row["inputs"]}
    if task.model.has_noise:
        # The sample is the row of the noise, whatever the block it is simulated in.
        by_row |= {"seed": task.seed, "ids": torch.as_tensor(ids)}
    with torch.no_grad(), repeatable(settings.engine):
        solution = simulate(
            task.model,
            [bound.start, bound.stop],
            keep=dict(bound.quantities),
            engine=settings.engine,
            method=settings.method,
            rtol=settings.rtol,
            atol=settings.atol,
            max_steps=settings.max_steps,
            dt=settings.dt,
            max_step=settings.max_step,
            max_events=settings.max_events,
            dtype=getattr(torch, settings.dtype),
            **by_row,
        )

    def column(tensor: Any, dtype: Any) -> np.ndarray:
        return tensor.detach().cpu().expand(len(ids)).numpy().astype(dtype)  # astype copies

    return Rows(
        column(solution.status, np.int64),
        np.zeros(len(ids), dtype=np.int8),
        {name: column(solution[name], np.float64) for name in bound.quantities},
        solution.engine,
        _kernel_digest(solution.kernels) if digest else "",
    )


def _kernel_digest(kernels: Any) -> str:
    """Of what is compiled; not of the compiler, which changes no bit of a result."""
    if not kernels:
        return ""
    from twinml import resources
    from twinml.engines.kernel_store import headers_digest

    total = hashlib.sha256(headers_digest(resources.kernels()).encode())
    for kernel in kernels:
        total.update(kernel.text.encode())
    return total.hexdigest()
