"""One launch of a kernel over the rows of a problem: arguments, grid, what it tells."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any, final

import numpy
import torch
from torch import Tensor

from twinml.engines.cuda import device
from twinml.engines.cuda.device import Clock, Gpu
from twinml.engines.cuda.library import CudaLibrary
from twinml.engines.cuda.packages import cupy
from twinml.engines.native.launch import Launch
from twinml.engines.native.memory import Args
from twinml.engines.native.moving import MovingMemory
from twinml.engines.native.rows import RowState
from twinml.lowering.unit import UnitSpec
from twinml.solve.kernel import KernelReport, Measured, Occupancy
from twinml.solve.problem import Problem

_ALIGNED = 16
_MOST_BLOCKS = 2**31 - 1


@final
@dataclass(frozen=True)
class CudaKernel:
    """A method's kernel, compiled and loaded."""

    spec: UnitSpec
    text: str
    library: CudaLibrary


@final
@dataclass(frozen=True, eq=False)
class Handed:
    """Rows that a launch hands over: written by it, read by the next one, on the device.

    Args:
        rows: Their numbers, (B,), in no order; count: how many, (1,).
    """

    rows: Tensor
    count: Tensor

    @staticmethod
    def none_yet(problem: Problem) -> Handed:
        """Room for all rows."""
        device = problem.y0.device
        rows = torch.empty(problem.rows, dtype=torch.int64, device=device)
        return Handed(rows, torch.zeros(1, dtype=torch.int64, device=device))


@final
class _Watch:
    """Asked for, waits for the device: seconds of a launch and use of its lanes."""

    def __init__(self, clock: Clock, counters: Tensor) -> None:
        self._clock, self._counters = clock, counters
        self._found: Measured | None = None

    def __call__(self) -> tuple[float, float | None]:
        if self._found is None:
            _, useful, every, _ = self._counters.tolist()
            share = useful / every if every else None
            self._found = Measured(self._clock.seconds(), share)
        return self._found()

    def __reduce__(self) -> tuple[Any, ...]:
        # Elsewhere there is no such device to ask.
        return Measured, self()


@final
class CudaLaunch:
    """Launches over the rows of one problem; nothing here waits for the device."""

    def __init__(
        self,
        problem: Problem,
        state: RowState,
        bits: int,
        weights: list[Tensor],
        gpu: Gpu,
        moving: MovingMemory | None = None,
    ) -> None:
        self.problem, self.gpu = problem, gpu
        self.launch = Launch(problem, state, bits, weights, moving)
        self._tables = _sent(self.launch, gpu)

    def run(
        self, kernel: CudaKernel, taken: Handed | None, handed: Handed | None
    ) -> KernelReport:  # fmt: skip
        """Step all rows, or those in ``taken``; rows that turn stiff are written to ``handed``."""
        args, problem = self.launch.args, self.problem
        counters = torch.zeros_like(self.launch.counters)
        self.launch.kept.append((counters, taken, handed))
        place = counters.data_ptr()
        args.next, args.lane_steps, args.cancel = place, place + 8, place + 24
        args.entries = problem.rows
        args.order = None if taken is None else taken.rows.data_ptr()
        args.entries_at = None if taken is None else taken.count.data_ptr()
        args.handed = None if handed is None else handed.rows.data_ptr()
        args.handed_count = None if handed is None else handed.count.data_ptr()
        function, block, resident = kernel.library.function("tw_run", self.gpu)
        blocks = max(1, -(-problem.rows // block))
        if not kernel.spec.plain:  # a queue feeds as many threads as run at once
            blocks = min(blocks, max(1, resident * self.gpu.processors))
        clock = Clock()
        clock.start()
        self._start(function, min(blocks, _MOST_BLOCKS), block)
        clock.stop()
        library = kernel.library
        return KernelReport(
            method=kernel.spec.method, target=f"{self.gpu.name} ({library.target})",
            text=kernel.text, source=str(library.source_path), library=str(library.path),
            command=" ".join(library.command), compile_seconds=library.compile_seconds,
            cached=library.cached, threads=blocks * block,
            measured=_Watch(clock, counters),
            occupancy=Occupancy(
                library.usage.registers, library.usage.stack, library.usage.spills, block, blocks,
                min(1.0, block * resident / self.gpu.threads),
            ),
        )  # fmt: skip

    def observe(self, kernel: CudaKernel, states: Tensor) -> dict[str, Tensor]:
        """Outputs by name, (B, T), at saved states (n, B, T), or at the ends (n, B, 1)."""
        names = self.problem.model.declared.outputs
        if not names:
            return {}
        found = self.launch.point_to_samples(states)
        function, block, _ = kernel.library.function("tw_observe", self.gpu)
        samples = self.problem.rows * states.shape[-1]
        self._start(function, min(max(1, -(-samples // block)), _MOST_BLOCKS), block)
        return dict(zip(names, found, strict=True))

    def _start(self, function: Any, blocks: int, block: int) -> None:
        args = Args.from_buffer_copy(self.launch.args)
        begin, places = self._tables
        for name, place in places.items():
            kind = type(getattr(args, name))
            setattr(args, name, ctypes.cast(begin.data_ptr() + place, kind))
        for field in Args._fields_:
            pointer = issubclass(field[1], ctypes._Pointer) and getattr(args, field[0])
            assert not pointer or field[0] in places, f"args.{field[0]} is no table of the launch"
        # A numpy array of one element goes by value, into the kernel's own constant memory.
        value = numpy.frombuffer(bytes(args), dtype=f"V{ctypes.sizeof(Args)}")
        with cupy().cuda.Stream.from_external(_Stream(device.stream(self.gpu))):
            function((blocks,), (block,), (value,))


@final
class _Stream:
    """A stream in the form in which CUDA's Python packages hand it to each other."""

    def __init__(self, pointer: int) -> None:
        self._pointer = pointer

    def __cuda_stream__(self) -> tuple[int, int]:
        return 0, self._pointer


def _sent(launch: Launch, gpu: Gpu) -> tuple[Tensor, dict[str, int]]:
    """The launch's tables in one piece of the device's memory, and where each begins."""
    places: dict[str, int] = {}
    content = bytearray()
    for name, table in launch.tables.items():
        content += bytes(-len(content) % _ALIGNED)
        places[name] = len(content)
        content += bytes(table)
    return device.sent(bytes(content), gpu), places
