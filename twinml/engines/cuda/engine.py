"""The cuda engine: the model's equations lowered, compiled and stepped on a GPU.

Each method is one kernel. A row that turns stiff is written to a list on the device, which the next
kernel works off: the host knows nothing of it and waits for nothing.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar, final

import numpy
import torch
from torch import Tensor

from twinml.engines.base import AbstractEngine, Outcome
from twinml.engines.chunks import rows_of
from twinml.engines.cuda import device, packages
from twinml.engines.cuda.device import Gpu
from twinml.engines.cuda.launch import CudaLaunch, Handed
from twinml.engines.cuda.parts import joined
from twinml.engines.cuda.plan import cuda_kernel, cuda_spec, rows_at_once
from twinml.engines.derivatives import methods_for
from twinml.engines.native.equations import equations
from twinml.engines.native.events import EventMemory, room_for_events
from twinml.engines.native.fragments import fragments
from twinml.engines.native.moving import MovingMemory
from twinml.engines.native.plan import moving_spec
from twinml.engines.native.rows import RowState
from twinml.engines.record import Record
from twinml.errors import (
    ArgumentError,
    DeviceError,
    MissingDependencyError,
    OutOfMemoryError,
    TwinmlError,
)
from twinml.solve.event_times import EventTimes
from twinml.solve.problem import LaneState, Problem
from twinml.solve.status import FAILURE

Found = TypeVar("Found")


@final
class CudaEngine(AbstractEngine):
    """Generated kernels on an NVIDIA GPU."""

    name = "cuda"

    def obstacle(self, problem: Problem, gradient: str) -> str | None:
        """Why a problem cannot run here, or None."""
        reason = unavailable()
        if reason is not None:
            return reason
        if not device.is_gpu(problem.y0.device):
            return f"the rows lie on {problem.y0.device}, and the kernels run on a GPU"
        if problem.differentiable():
            return (
                "a gradient is asked for and the kernels on a GPU have none yet (torch.no_grad() "
                "would say that none is needed)"
            )
        if gradient == "adjoint":
            return "gradient='adjoint' belongs to the eager engine"
        return room_for_events(problem)

    def run(self, problem: Problem, method: str, gradient: str) -> Outcome:
        reason = self.obstacle(problem, gradient)
        if reason is not None:
            raise ArgumentError(
                f"engine='cuda' cannot run this: {reason}. Use engine='native' for kernels on the "
                "CPU, or engine='auto' to choose what can."
            )
        gpu = device.describe(problem.y0.device)
        with torch.no_grad(), device.guard(gpu):
            return _told(gpu, lambda: _planned(problem, method, gpu))

    def moved(self, problem: Problem, method: str, memory: MovingMemory) -> Outcome:
        """As ``run`` for all rows at once, with the derivatives along one pass in ``memory``."""
        gpu = device.describe(problem.y0.device)
        with torch.no_grad(), device.guard(gpu):
            return _told(gpu, lambda: _run(problem, method, gpu, memory))

    def recorded(self, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
        """The eager engine's, which runs on the same device."""
        from twinml.engines.eager import EagerEngine

        return EagerEngine().recorded(problem, method)


def unavailable() -> str | None:
    """Why no kernel can run on a GPU here, whatever the problem, or None."""
    if sys.platform != "linux":
        return f"kernels on a GPU run on Linux, and this is {sys.platform}"
    reason = device.unusable()
    if reason is not None:
        return reason
    try:
        return packages.mismatch()
    except MissingDependencyError as error:
        return str(error).rstrip(".")


def _told(gpu: Gpu, work: Callable[[], Found]) -> Found:
    """The work's result; errors of the device in words."""
    try:
        return work()
    except TwinmlError:
        raise
    except Exception as error:
        if device.is_out_of_memory(error):
            raise OutOfMemoryError(
                f"{gpu.name} has no memory left for this run, not even for a few rows at once "
                f"({_first(error)}). Free tensors that are not needed, end other programs there, "
                "keep quantities or keep='final', or use engine='native'."
            ) from error
        if "cuda" not in f"{type(error).__name__} {error}".lower():
            raise
        raise DeviceError(
            f"{gpu.name} failed or was lost during the run: {_first(error)}. Nothing of this run "
            "can be used, and CUDA refuses further work in this process: start it again, see "
            "nvidia-smi, or use engine='native'."
        ) from error


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


def _planned(problem: Problem, method: str, gpu: Gpu) -> Outcome:
    """All rows at once, or where memory is short one part after the other."""
    most, here = rows_at_once(problem, device.free_memory(gpu))
    short = False
    while True:
        try:
            if most >= problem.rows:
                return _run(problem, method, gpu)
            place = gpu.device if here else torch.device("cpu")
            parts = list(_in_parts(problem, method, gpu, most, place))
            told = (
                f"in {len(parts)} parts of at most {most} rows, since the device's memory "
                f"{'ran out' if short else 'does not hold all at once'}"
            )
            if not here:
                told += "; the results are too large for it and lie in the CPU's memory"
            return joined(parts, place).replace(note=told)
        except Exception as error:
            if not device.is_out_of_memory(error) or most <= 1:
                raise
        # Outside of the handler, whose error would hold the memory of what failed.
        device.release()
        short, most = True, min(most, problem.rows) // 2
        here = here and most > problem.rows // 16


def _in_parts(
    problem: Problem, method: str, gpu: Gpu, most: int, place: torch.device
) -> Iterator[Outcome]:
    for begin in range(0, problem.rows, most):
        part = rows_of(problem, begin, min(begin + most, problem.rows))
        yield joined([_run(part, method, gpu)], place)


def _run(
    problem: Problem, method: str, gpu: Gpu, memory: MovingMemory | None = None
) -> Outcome:  # fmt: skip
    bits = 64 if problem.y0.dtype == torch.float64 else 32
    lowered = equations(problem)
    texts = fragments(problem, lowered)
    methods = methods_for(problem, method, derived=memory is not None)
    specs = [
        cuda_spec(problem, name, number + 1 < len(methods)) for number, name in enumerate(methods)
    ]
    if memory is not None:
        specs = [moving_spec(spec, memory.moving) for spec in specs]
    kernels = [cuda_kernel(lowered, spec, *texts, gpu) for spec in specs]
    weights = [
        _aligned(weight.to(gpu.device, non_blocking=True))
        for weight in lowered.read(problem.y0.dtype)
    ]
    # Never in the problem's own memory: a run that finds too little begins again with fewer rows.
    state = RowState.of(problem, bits)
    launch = CudaLaunch(problem, state, bits, weights, gpu, memory)
    reports, names, taken = [], methods[0], None
    for number, kernel in enumerate(kernels):
        handed = Handed.none_yet(problem) if specs[number].hand_over else None
        reports.append(launch.run(kernel, taken, handed))
        if handed is not None:
            names = functools.partial(_names, tuple(methods), handed.rows, handed.count)
        taken = handed
    failed = (state.status & int(FAILURE)) != 0
    states = launch.launch.states
    if problem.keep == "final":
        states = torch.where(failed, torch.nan, state.y).unsqueeze(-1)
    outputs = None if states is None else launch.observe(kernels[0], states)
    quantities = {}
    if launch.launch.quantities is not None:
        found = launch.launch.quantities.result(problem)
        quantities = {name: torch.where(failed, torch.nan, v) for name, v in found.items()}
    book = launch.launch.events
    path = None if problem.path is None else replace(problem.path, cell=state.grid)
    return Outcome(
        states=states, outputs=outputs, quantities=quantities,
        status=state.status, fail_time=state.failed_at,
        steps=state.steps, rejected=state.rejected, method=names,
        state=LaneState(
            state.time, state.y, state.h.to(torch.float64), path,
            book and book.side, book and book.near.to(torch.float64),
        ),
        events={} if book is None else _Events(book, problem),
        kernels=tuple(reports),
    )  # fmt: skip


def _aligned(weight: Tensor) -> Tensor:
    """Weights begin where several can be read at once."""
    return weight if weight.data_ptr() % 16 == 0 else weight.clone()


def _names(methods: tuple[str, ...], rows: Tensor, count: Tensor) -> str | numpy.ndarray:
    """The method of each row; waits for the device. One name where all rows share it."""
    over = rows[: int(count)].cpu().numpy()
    if over.shape[0] in (0, rows.shape[0]):
        return methods[over.shape[0] > 0]
    names = numpy.full(rows.shape[0], methods[0], dtype=object)
    names[over] = methods[1]
    return names


@final
class _Events(Mapping[str, EventTimes]):
    """Times of events by name, gathered when they are asked for: that waits for the device."""

    def __init__(self, book: EventMemory, problem: Problem) -> None:
        self._book, self._problem = book, problem
        self._names = list(problem.model.declared.events)
        self._found: dict[str, EventTimes] = {}

    def __getitem__(self, name: str) -> EventTimes:
        if name not in self._found:
            self._found[name] = self._book.times_of(self._names.index(name), self._problem)
        return self._found[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
