"""Some rows of a problem, as a problem of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import Tensor

from twinml.physics import Signal
from twinml.solve.path import NoisePath
from twinml.solve.problem import Problem


def rows_of(problem: Problem, start: int, stop: int) -> Problem:
    """Rows ``start`` to ``stop - 1``; a row's result is the same in the part and in the whole."""
    part = slice(start, stop)

    def one(value: Any) -> Any:
        if isinstance(value, Signal):
            return value if value.values.ndim == 1 else replace(value, values=one(value.values))
        # A value shared by all rows has one entry.
        if isinstance(value, Tensor) and value.shape[0] == problem.rows:
            return value[part]
        return value

    def wide(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[:, part]

    path = problem.path
    if path is not None:
        path = NoisePath(path.seed, one(path.ids), path.dt, one(path.origin), one(path.cell))
    return replace(
        problem,
        t=problem.t if problem.t.ndim == 1 else one(problem.t),
        # A copy: an engine may step in the memory it is given.
        y0=problem.y0[:, part].clone(),
        parameters={name: one(value) for name, value in problem.parameters.items()},
        inputs={name: one(value) for name, value in problem.inputs.items()},
        constants={name: one(value) for name, value in problem.constants.items()},
        changes=tuple(
            replace(c, at=one(c.at), value=one(c.value), until=one(c.until))
            for c in problem.changes
        ),
        h0=one(problem.h0),
        path=path,
        side=wide(problem.side),
        near=wide(problem.near),
        disposable=True,
    )
