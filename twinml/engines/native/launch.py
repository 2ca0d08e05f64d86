"""One run of a kernel over a queue of rows: arguments, threads, what it tells."""

from __future__ import annotations

import ctypes
import functools
import time
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.native.events import EventMemory
from twinml.engines.native.memory import (
    Args,
    ChangeView,
    ColumnView,
    SignalView,
    column,
    views,
)
from twinml.engines.native.moving import MovingMemory
from twinml.engines.native.plan import Kernel
from twinml.engines.native.quantities import QuantityMemory
from twinml.engines.native.room import trajectory
from twinml.engines.native.rows import RowState
from twinml.engines.native.stamps import to_stamps
from twinml.engines.native.team import run_team
from twinml.errors import CompileError
from twinml.physics import Signal
from twinml.solve.kernel import KernelReport, Measured
from twinml.solve.problem import Problem

# Below so many packs one thread does the work: starting others would cost more.
_FEW_PACKS = 64
_LANES = 8
# The same for outputs, which cost less than a row's steps.
_FEW_SAMPLES = 65_536
# A launch of few rows and steps is not worth a thread of its own, which could be interrupted.
_SHORT = 10_000_000


# Up to so many states a pack fits any stack.
_FEW_STATES = 16


def _stack(states: int) -> int:
    """Bytes of stack a kernel may need: some 60 vectors and two matrices a lane, of 24 lanes.

    Memory that is not touched costs nothing.
    """
    return (8 << 20) + 24 * 8 * (60 * states + 3 * states * states) // 4096 * 4096


@final
class Launch:
    """Arguments of the kernels of one problem, on the device of its states.

    The memory they point to stays with it. ``tables`` are the arrays of pointers and views among
    it, which lie on the host.
    """

    def __init__(
        self, problem: Problem, state: RowState, bits: int, weights: list[Tensor],
        moving: MovingMemory | None = None,
    ) -> None:  # fmt: skip
        self.problem, self.state, self.bits = problem, state, bits
        self.events = EventMemory.of(problem, bits)
        self.quantities = QuantityMemory.of(problem, bits)
        self.kept: list[Any] = [weights]
        self.device = problem.y0.device
        # next, useful lane steps, all lane steps, cancel
        self.counters = torch.zeros(4, dtype=torch.int64, device=self.device)
        self.args = Args()
        self.tables: dict[str, ctypes.Array] = {}
        self.states: Tensor | None = None
        self.observed: tuple[Tensor, Tensor] | None = None
        self._fill(weights)
        if moving is not None:
            self.kept.append(moving)
            for name, table in moving.fill(self.args).items():
                self._table(name, table)

    def _keep(self, value: Tensor) -> Tensor:
        self.kept.append(value)
        return value

    def _table(self, name: str, table: ctypes.Array) -> None:
        self.tables[name] = table
        setattr(self.args, name, table)

    def _fill(self, weights: list[Tensor]) -> None:
        args, problem, state = self.args, self.problem, self.state
        dtype = problem.y0.dtype
        args.bytes, args.rows = ctypes.sizeof(Args), problem.rows
        counters = self.counters.data_ptr()
        args.next, args.lane_steps, args.cancel = counters, counters + 8, counters + 24
        times = self.times = self._keep(to_stamps(problem.t, self.bits).contiguous())
        points = problem.t.shape[-1]
        shift = points if problem.t.ndim == 2 else 0
        args.first = ColumnView(times.data_ptr(), shift)
        args.last = ColumnView(times.data_ptr() + 8 * (points - 1), shift)
        args.save_times, args.save_count, args.save_stride = times.data_ptr(), points, shift
        args.direction = int(problem.direction)
        declared = problem.model.declared
        self._table(
            "parameters", views(ColumnView, [self._column(v) for v in problem.parameters.values()])
        )
        constant, signals = [], []
        for name in declared.inputs:
            value = problem.inputs[name]
            if isinstance(value, Signal):
                constant.append(ColumnView(None, 0))
            else:
                constant.append(self._column(value))
        for value in problem.inputs.values():
            if isinstance(value, Signal):
                signals.append(self._signal(value))
        self._table("inputs", views(ColumnView, constant))
        self._table("signals", views(SignalView, signals))
        self._table("changes", views(ChangeView, [self._change(c) for c in problem.changes]))
        self._table(
            "constants", views(ColumnView, [self._column(v) for v in problem.constants.values()])
        )
        pointers = (ctypes.c_void_p * max(1, len(weights)))()
        for place, weight in enumerate(weights):
            pointers[place] = weight.data_ptr()
        self._table("weights", pointers)
        settings = torch.empty(1 + problem.y0.shape[0], dtype=dtype, device=self.device)
        settings[0], settings[1:] = problem.rtol, problem.atol
        args.settings = self._keep(settings).data_ptr()
        width = 1.0 if problem.dt is None else problem.dt
        clocks = torch.full((2,), width, dtype=torch.float64, device=self.device)
        clocks[1] = problem.max_step
        args.clocks = self._keep(to_stamps(clocks, self.bits)).data_ptr()
        most = 2**31 - 2 if self.bits == 32 else 2**62
        args.max_steps, args.max_events = min(problem.max_steps, most), problem.max_events
        args.step_width = width
        for name in ("t", "h", "y", "steps", "rejected", "status", "fail_time", "grid", "origin"):
            setattr(args, name, getattr(state, name).data_ptr())
        if problem.keep == "all":
            shape = (problem.y0.shape[0], problem.rows, points)
            self.states = trajectory(shape, len(declared.outputs), dtype, self.device)
            args.states = self.states.data_ptr()
        if self.events is not None:
            self.events.fill(args)
        if self.quantities is not None:
            self._table("quantity_times", self.quantities.fill(args, problem))
        if problem.path is not None:
            seed = problem.path.seed
            args.seed = seed - 2**64 if seed >= 2**63 else seed
            args.ids = self._keep(problem.path.ids.contiguous()).data_ptr()

    def _column(self, values: Tensor) -> ColumnView:
        return column(self._keep(values.detach()))

    def _stamps(self, values: Tensor) -> ColumnView:
        kept = self._keep(to_stamps(values, self.bits))
        return column(kept, 1 if self.bits == 64 else 2)

    def _signal(self, signal: Signal) -> SignalView:
        times = self._keep(to_stamps(signal.times, self.bits).contiguous())
        values = self._keep(signal.values.detach().contiguous())
        stride = values.stride(0) if values.ndim == 2 else 0
        delay = ColumnView(None, 0) if signal.delay is None else self._stamps(signal.delay)
        return SignalView(times.data_ptr(), values.data_ptr(), signal.times.shape[0], stride, delay)

    def _change(self, change: Any) -> ChangeView:
        never = torch.full((1,), torch.inf, dtype=torch.float64, device=self.device)
        until = never if change.until is None else change.until
        return ChangeView(self._stamps(change.at), self._stamps(until), self._column(change.value))

    def run(self, kernel: Kernel, rows: Tensor | None) -> KernelReport:
        """Run a kernel over all rows, or over some by number, int64."""
        args = self.args
        entries = self.problem.rows if rows is None else rows.shape[0]
        args.entries = entries
        args.order = None if rows is None else self._keep(rows.contiguous()).data_ptr()
        self.counters.zero_()
        threads = 1
        if entries >= _FEW_PACKS * _LANES:
            threads = min(torch.get_num_threads(), entries // _LANES)
        begin = time.perf_counter()
        short = entries * self.problem.max_steps <= _SHORT
        self.work(kernel, kernel.library.handle.tw_run, threads, short)
        seconds = time.perf_counter() - begin
        useful, every = self.counters[1].item(), self.counters[2].item()
        library = kernel.library
        return KernelReport(
            method=kernel.spec.method, target=library.target, text=kernel.text,
            source=str(library.source_path), library=str(library.path),
            command=" ".join(library.command), compile_seconds=library.compile_seconds,
            cached=library.cached, threads=threads,
            measured=Measured(seconds, useful / every if every else None),
        )  # fmt: skip

    def observe(self, kernel: Kernel, states: Tensor) -> dict[str, Tensor]:
        """Outputs by name, (B, T), at saved states (n, B, T), or at the ends (n, B, 1)."""
        problem = self.problem
        if not problem.model.declared.outputs:
            return {}
        found = self.point_to_samples(states)
        self.counters.zero_()
        total = problem.rows * states.shape[-1]
        threads = 1 if total < _FEW_SAMPLES else min(torch.get_num_threads(), total // _LANES)
        self.work(kernel, kernel.library.handle.tw_observe, threads, total <= _SHORT)
        return dict(zip(problem.model.declared.outputs, found, strict=True))

    def point_to_samples(self, states: Tensor) -> Tensor:
        """Tell a kernel which saved states it is to observe; memory for the outputs, (m, B, T)."""
        args, problem = self.args, self.problem
        names = problem.model.declared.outputs
        count, points = states.shape[-1], problem.t.shape[-1]
        states = states.contiguous()
        found = torch.empty(
            (len(names), problem.rows, count), dtype=states.dtype, device=self.device
        )
        self.observed = states, found
        args.samples, args.observed = states.data_ptr(), found.data_ptr()
        args.sample_times = self.times.data_ptr() + 8 * (points - count)
        args.sample_count, args.sample_stride = count, args.save_stride
        return found

    def work(self, kernel: Kernel, entry: Any, threads: int, short: bool) -> None:
        """Call into a kernel; long work goes to threads, so that Ctrl-C is heard at once.

        So does that of large models, whose packs may need more stack than the caller has.
        """
        if threads == 1 and short and self.problem.y0.shape[0] <= _FEW_STATES:
            codes = [self._call(entry)]
        else:
            codes = run_team(
                functools.partial(self._call, entry), threads,
                _stack(self.problem.y0.shape[0]), self._cancel,
            )  # fmt: skip
        if any(codes):
            raise CompileError(
                "A compiled kernel and this version of twinml disagree on the layout of their "
                f"arguments ({kernel.library.path}). Empty the kernel cache and run again."
            )

    def _call(self, entry: Any) -> int:
        # A thread that holds this call holds the launch, and so the memory the kernel works on.
        return entry(ctypes.byref(self.args))

    def _cancel(self) -> None:
        self.counters[3] = 1
