"""The outcomes of a problem's parts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy
import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.solve.event_times import EventTimes
from twinml.solve.problem import LaneState


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
