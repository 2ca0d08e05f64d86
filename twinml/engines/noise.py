"""What a simulation with noise needs beside its equations, checked in the user's words."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor

from twinml.engines.arguments import Batch
from twinml.engines.brownian import MOST_CELLS, MOST_COMPONENTS, MOST_IDS, BrownianPaths
from twinml.engines.forcing import Forcing
from twinml.errors import ArgumentError, ShapeError
from twinml.physics import Physics, Signal
from twinml.solve.methods import AUTO
from twinml.solve.path import NoisePath
from twinml.solve.problem import LaneState, Problem
from twinml.solve.stochastic import STOCHASTIC


def read_seed(seed: Any) -> int:
    """A whole number that fits the generator's key."""
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if isinstance(seed, bool) or not 0 <= number < 2**64:
        raise ArgumentError(f"seed={seed!r}; expected a whole number from 0 up to 2^64 - 1.")
    return number


def read_ids(ids: Any, device: Any, batch: Batch) -> Tensor | None:
    """Row numbers (B,) int64, or None."""
    if ids is None:
        return None
    try:
        tensor = torch.as_tensor(ids, device=device)
    except (TypeError, ValueError, RuntimeError):
        raise ArgumentError(
            f"ids is {ids!r}; expected whole numbers of shape (B,), one per row."
        ) from None
    if tensor.ndim != 1 or tensor.shape[0] == 0:
        raise ShapeError(f"ids has shape {tuple(tensor.shape)}; expected (B,), one per row.")
    if tensor.is_floating_point() or tensor.is_complex() or tensor.dtype == torch.bool:
        raise ArgumentError(f"ids holds {tensor.dtype} values; expected whole numbers (int64).")
    tensor = tensor.to(torch.int64)
    outside = ((tensor < 0) | (tensor >= MOST_IDS)).nonzero()[:, 0]
    if outside.shape[0]:
        row = int(outside[0])
        raise ArgumentError(
            f"ids holds {int(tensor[row])} in row {row}; expected row numbers from 0 up to "
            "2^48 - 1, which is what the generator's counter has room for."
        )
    batch.see("ids", tensor.shape[0])
    return tensor


def check_method(model: Physics, method: str, dt: float | None) -> None:
    """Refuse what would leave the noise out, or choose a step in silence.

    Raises:
        ArgumentError: a method without noise on a model with noise, or no dt.
    """
    name = type(model).__name__
    if method != AUTO and method not in STOCHASTIC:
        raise ArgumentError(
            f"{name} has noise(), and method={method!r} solves equations without: the noise would "
            f"be left out. Use method='auto' or one of {list(STOCHASTIC)} with dt=...; for the "
            f"equations without noise, simulate a subclass: class Mean({name}): noise = None."
        )
    if dt is None:
        raise ArgumentError(
            f"{name} has noise() and no dt was given: {next(iter(STOCHASTIC))} takes fixed steps, "
            f"and its result depends on them. Pass dt=... in {model.time_unit!r}, well below the "
            "shortest time constant of the equations; halve it until what you look at stays."
        )


def noise_path(
    model: Physics, seed: int, ids: Tensor | None, dt: float, times: Tensor, rows: int,
    start: LaneState | None,
) -> NoisePath:  # fmt: skip
    """The path of a new simulation, or the one that ``start`` is on.

    Raises:
        ArgumentError: time runs backward, the counter has no room, or seed, ids or dt are not
            those of the path that ``start`` continues.
    """
    name, first = type(model).__name__, times[..., 0].expand(rows)
    last = times[..., -1].expand(rows)
    if bool((last < first).any()):
        raise ArgumentError(
            f"t runs backward and {name} has noise(); a diffusion has no solution backward in "
            "time. Simulate forward, or a subclass with noise = None."
        )
    known = None if start is None else start.path
    if known is not None:
        _check_same(known, seed, ids, dt, rows)
        path = NoisePath(
            known.seed, known.ids.expand(rows), known.dt, known.origin.expand(rows),
            known.cell.expand(rows),
        )  # fmt: skip
    else:
        if ids is None:
            ids = torch.arange(rows, device=times.device)
        cell = torch.zeros(rows, dtype=torch.int64, device=times.device)
        path = NoisePath(seed, ids.expand(rows), dt, first, cell)
    cells = float(((last - path.origin) / dt).max())
    if not cells < MOST_CELLS - 1:
        raise ArgumentError(
            f"dt={dt:g} cuts the time of {name} into {cells:.3g} cells; the noise's counter has "
            "room for 2^32. Use a larger dt, or begin a new path."
        )
    if model.declared.width > MOST_COMPONENTS:
        raise ArgumentError(
            f"{name} has {model.declared.width} state components; the noise's counter has room "
            "for 2^25."
        )
    return path


def _check_same(known: NoisePath, seed: int, ids: Tensor | None, dt: float, rows: int) -> None:
    fresh = (
        " For a path of its own from here on, pass start=dataclasses.replace(state, path=None), "
        "with a seed that was not used before."
    )
    if seed != known.seed:
        raise ArgumentError(
            f"start goes on along the noise of seed={known.seed}, and seed={seed} was given. Pass "
            f"seed={known.seed}.{fresh}"
        )
    if ids is not None and not torch.equal(ids.expand(rows), known.ids.expand(rows)):
        raise ArgumentError(
            f"start goes on along the noise of its own rows, and other ids were given. Leave ids "
            f"out.{fresh}"
        )
    if dt != known.dt:
        raise ArgumentError(
            f"start goes on along noise on a grid of dt={known.dt:g}, and dt={dt:g} was given. "
            f"Pass dt={known.dt:g}.{fresh}"
        )


def brownian_paths(problem: Problem, forcing: Forcing) -> BrownianPaths | None:
    """The paths of a problem with noise, else None."""
    if problem.path is None:
        return None
    one = torch.zeros(1, dtype=torch.int64, device=problem.t.device)
    at = forcing.interval(forcing.start(problem.first)[:, :1], one)
    values = at.values(problem.first[:1], problem.y0[:, :1])
    slices = problem.model.declared.slices
    noisy = [
        row
        for name in problem.model.noise_states(values)
        for row in range(slices[name].start, slices[name].stop)
    ]
    return BrownianPaths(problem.path, problem.y0.shape[0], sorted(noisy), problem.last)


def check_gradient(problem: Problem) -> None:
    """Refuse the derivative by a time at which the path is cut: W has none.

    Raises:
        ArgumentError: the time of a change, or a knot of an input, asks for a gradient, or an
            event from which the row goes on would.
    """
    if problem.path is None:
        return
    events = problem.model.declared.events
    onward = [name for name, event in events.items() if not event.terminal]
    if onward:
        raise ArgumentError(
            f"{type(problem.model).__name__} has noise() and goes on after the event "
            f"'{onward[0]}', and a gradient is asked for: the event's time would carry it, and a "
            "Brownian path has no derivative by time. Simulate under torch.no_grad(), or make the "
            "event terminal."
        )
    cuts = [part for change in problem.changes for part in (change.at, change.until)]
    cuts += [value.times for value in problem.inputs.values() if isinstance(value, Signal)]
    if any(isinstance(part, Tensor) and part.requires_grad for part in cuts):
        raise ArgumentError(
            f"{type(problem.model).__name__} has noise(), and the time of a change or an input's "
            "knot asks for a gradient: a Brownian path has no derivative by time. Detach that "
            "time, and vary it by simulating at several values."
        )
