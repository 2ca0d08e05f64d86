"""Problems and solutions carried to a GPU and back, for tests written for the CPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

import twinml as tw
from twinml.engines.base import Outcome
from twinml.engines.cuda import device
from twinml.engines.cuda.engine import CudaEngine
from twinml.engines.cuda.parts import joined
from twinml.physics import Signal
from twinml.solve.change import Change
from twinml.solve.problem import Problem

CPU = torch.device("cpu")


def moved(value: Any, place: torch.device) -> Any:
    """Tensors, and what holds some, at a place."""
    match value:
        case Tensor():
            return value.detach().to(place)
        case Signal():
            return Signal(value.times.to(place), value.values.detach().to(place), value.kind)
        case Change():
            at, until = moved(value.at, place), moved(value.until, place)
            return Change(at, value.action, value.target, moved(value.value, place), until)
        case dict():
            return {key: moved(each, place) for key, each in value.items()}
        case tuple():
            return tuple(moved(each, place) for each in value)
    return value


def run_there(problem: Problem, method: str, gradient: str) -> Outcome:
    """A problem of the CPU by the cuda engine, its outcome on the CPU."""
    place = device.current()
    path = problem.path
    if path is not None:
        path = replace(
            path, ids=moved(path.ids, place), origin=moved(path.origin, place),
            cell=moved(path.cell, place),
        )  # fmt: skip
    fields = ("t", "y0", "parameters", "inputs", "changes", "constants", "atol", "h0", "side",
              "near")  # fmt: skip
    there = {name: moved(getattr(problem, name), place) for name in fields}
    outcome = CudaEngine().run(replace(problem, path=path, **there), method, gradient)
    return joined([outcome], CPU)


def here(sol: tw.Solution) -> tw.Solution:
    """A solution on the CPU."""
    state = replace(sol.state, t=sol.state.t.cpu(), y=sol.state.y.cpu(), h=sol.state.h.cpu())
    names = ("t", "status", "fail_time", "steps", "rejected")
    return replace(
        sol, values={name: value.cpu() for name, value in sol.values.items()}, state=state,
        method=sol.method, **{name: getattr(sol, name).cpu() for name in names},
    )  # fmt: skip
