"""Rows of a problem as a problem of their own, and the outcomes of all such parts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy
import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.physics import Signal
from twinml.solve.change import Change
from twinml.solve.event_times import EventTimes
from twinml.solve.problem import LaneState, Problem


def part_of(problem: Problem, begin: int, end: int) -> Problem:
    """The rows from ``begin`` up to ``end``."""

    def column(value: Any) -> Any:
        return value[begin:end] if isinstance(value, Tensor) and value.shape[0] > 1 else value

    def later(value: Tensor | None) -> Tensor | None:
        return None if value is None else value[..., begin:end]

    def given(value: Signal | Tensor) -> Signal | Tensor:
        if not isinstance(value, Signal):
            return column(value)
        return replace(value, values=value.values[begin:end]) if value.values.ndim == 2 else value

    path = problem.path
    if path is not None:
        path = replace(
            path, ids=path.ids[begin:end], origin=path.origin[begin:end], cell=path.cell[begin:end]
        )
    return replace(
        problem,
        t=problem.t[begin:end] if problem.t.ndim == 2 else problem.t,
        y0=problem.y0[:, begin:end],
        parameters={name: column(value) for name, value in problem.parameters.items()},
        inputs={name: given(value) for name, value in problem.inputs.items()},
        constants={name: column(value) for name, value in problem.constants.items()},
        changes=tuple(
            Change(column(c.at), c.action, c.target, column(c.value), column(c.until))
            for c in problem.changes
        ),
        h0=later(problem.h0), side=later(problem.side), near=later(problem.near),
        path=path, disposable=False,
    )  # fmt: skip


def joined(parts: Sequence[Outcome], place: torch.device) -> Outcome:
    """The outcomes of neighbouring parts as that of all their rows, results at a place."""
    first, sizes = parts[0], [part.status.shape[0] for part in parts]

    def rows(values: list[Tensor | None], at: int = 0) -> Any:
        found = [value.to(place) for value in values if value is not None]
        return torch.cat(found, dim=at) if found else None

    outputs = None
    if first.outputs is not None:
        outputs = {
            name: rows([(part.outputs or {})[name] for part in parts]) for name in first.outputs
        }
    path = first.state.path
    if path is not None:
        paths = [part.state.path for part in parts if part.state.path is not None]
        path = replace(
            path, ids=rows([p.ids for p in paths]), origin=rows([p.origin for p in paths]),
            cell=rows([p.cell for p in paths]),
        )  # fmt: skip
    names = [part.method() if callable(part.method) else part.method for part in parts]
    return Outcome(
        states=rows([part.states for part in parts], 1),
        quantities={
            name: rows([part.quantities[name] for part in parts]) for name in first.quantities
        },
        outputs=outputs,
        status=rows([part.status for part in parts]),
        fail_time=rows([part.fail_time for part in parts]),
        steps=rows([part.steps for part in parts]),
        rejected=rows([part.rejected for part in parts]),
        state=LaneState(
            rows([part.state.t for part in parts]), rows([part.state.y for part in parts], 1),
            rows([part.state.h for part in parts]), path,
            rows([part.state.side for part in parts], 1),
            rows([part.state.near for part in parts], 1),
        ),
        method=_names(names, sizes),
        events={
            name: _events([part.events[name] for part in parts], sizes, place)
            for name in first.events
        },
        kernels=tuple(report for part in parts for report in part.kernels),
    )  # fmt: skip


def _names(names: list[Any], sizes: list[int]) -> Any:
    if all(isinstance(name, str) and name == names[0] for name in names):
        return names[0]
    return numpy.concatenate(
        [
            numpy.full(size, name, dtype=object) if isinstance(name, str) else name
            for name, size in zip(names, sizes, strict=True)
        ]
    )


def _events(found: list[EventTimes], sizes: list[int], place: torch.device) -> EventTimes:
    begins = numpy.cumsum([0, *sizes[:-1]]).tolist()
    return EventTimes(
        torch.cat([e.rows.to(place) + begin for e, begin in zip(found, begins, strict=True)]),
        torch.cat([e.place.to(place) for e in found]),
        torch.cat([e.at.to(place) for e in found]),
        torch.cat([e.count.to(place) for e in found]),
        found[0].max_events,
    )
