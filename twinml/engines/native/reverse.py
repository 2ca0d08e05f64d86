"""Derivatives of a run with respect to what entered it, by a kernel that follows it backward."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.native.launch import Launch
from twinml.engines.native.library import load
from twinml.engines.native.plan import Held, Kernel
from twinml.engines.native.tape import Tape
from twinml.engines.native.targets import current_target
from twinml.lowering import Lowered
from twinml.lowering.adjoint import Wanted
from twinml.lowering.reverse_text import PACK_BYTES, ReverseUnit, reverse_unit
from twinml.lowering.unit import UnitSpec
from twinml.physics import Signal

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_longlong
# Rows are cut into at most so many blocks, and their sums take at most so many bytes.
BLOCKS = 256
BLOCK_BYTES = 2**26
_LINE = 64


class ReverseView(ctypes.Structure):
    """``tw::Reverse``."""

    _fields_ = [
        ("blocks", _COUNT), ("packs", _COUNT), ("seeds", _POINTER), ("end_seeds", _POINTER),
        ("states", _POINTER), ("parameters", _POINTER), ("inputs", _POINTER),
        ("signals", ctypes.POINTER(_POINTER)), ("shared", _POINTER), ("changes", _POINTER),
        ("sums", _COUNT), ("totals", _POINTER), ("scratch", _POINTER), ("scratch_bytes", _COUNT),
        ("threads", _POINTER),
    ]  # fmt: skip


@final
@dataclass(frozen=True)
class ReverseKernel:
    """The kernel that follows a run backward, and where its sums stand."""

    unit: ReverseUnit
    wanted: Wanted
    kernel: Kernel


@final
@dataclass(frozen=True, eq=False)
class Derivatives:
    """What a run's results move by, summed against the seeds.

    Args:
        states: By the initial states, (n, B).
        parameters, inputs: By those wanted, (B,) each, at their places among the declared ones.
        signals: By the values of signals: (knots,) where they are shared, else (B, knots).
        changes: By the values of changes, (changes, B).
        tensors: By tensors of the model, flat.
    """

    states: Tensor
    parameters: Mapping[int, Tensor]
    inputs: Mapping[int, Tensor]
    signals: Mapping[str, Tensor]
    changes: Tensor
    tensors: Mapping[int, Tensor]


def reverse_kernel(lowered: Lowered, spec: UnitSpec, wanted: Wanted) -> ReverseKernel:
    """The compiled kernel; kept for the next call."""
    return _kernel(lowered.digest, _shapes(lowered), spec, wanted, current_target(), Held(lowered))


def _shapes(lowered: Lowered) -> tuple[tuple[int, ...], ...]:
    return tuple(ref.shape for ref in lowered.tensors)


@functools.lru_cache(maxsize=256)
def _kernel(
    digest: str, shapes: tuple, spec: UnitSpec, wanted: Wanted, target: str, held: Held
) -> ReverseKernel:
    unit = reverse_unit(held.lowered, spec, wanted)
    return ReverseKernel(unit, wanted, Kernel(spec, unit.text, load(unit.text, target)))


@final
class Backward:
    """One pass backward over a run that was taped.

    Args:
        launch: The run; what it ended with is still in its memory.
        tape: What it wrote down.
        kernel: The kernel.
        signals: Names of signals whose values want a derivative.
    """

    def __init__(
        self, launch: Launch, tape: Tape, kernel: ReverseKernel, signals: frozenset[str]
    ) -> None:
        self.launch, self.tape, self.kernel = launch, tape, kernel
        self.view, self.kept = ReverseView(), list[Any]()
        problem = launch.problem
        self.rows, self.dtype = problem.rows, problem.y0.dtype
        self.signals = {n: v for n, v in problem.inputs.items() if isinstance(v, Signal)}
        self.wanted_signals = signals

    def _zeros(self, *shape: int) -> Tensor:
        memory = torch.zeros(shape, dtype=self.dtype)
        self.kept.append(memory)
        return memory

    def run(self, order: Tensor | None, seeds: Tensor | None, ends: Tensor | None) -> Derivatives:
        """Follow some rows.

        Args:
            order: Their numbers, int64, those of about as many steps together; None for all.
            seeds: Derivative by what was saved, (n, B, T).
            ends: Derivative by the states at the end, (n, B).
        """
        launch, view, wanted = self.launch, self.view, self.kernel.wanted
        args, problem, rows = launch.args, launch.problem, self.rows
        entries = rows if order is None else order.shape[0]
        self.kept = [order, seeds, ends]
        args.entries = entries
        args.order = None if order is None else order.data_ptr()
        args.reverse = ctypes.addressof(view)
        view.seeds = None if seeds is None else seeds.data_ptr()
        view.end_seeds = None if ends is None else ends.data_ptr()
        states = self._zeros(problem.y0.shape[0], rows)
        parameters = self._zeros(max(1, len(wanted.parameters)), rows)
        inputs = self._zeros(max(1, len(wanted.inputs)), rows)
        changes = self._zeros(max(1, len(problem.changes)), rows)
        view.states, view.parameters = states.data_ptr(), parameters.data_ptr()
        view.inputs, view.changes = inputs.data_ptr(), changes.data_ptr()
        own, shared = self._place_signals()
        sums = view.sums
        packs = max(1, -(-entries // (PACK_BYTES // self.dtype.itemsize)))
        most = BLOCK_BYTES // max(1, sums * self.dtype.itemsize)
        view.packs = -(-packs // max(8, min(BLOCKS, most)))
        view.blocks = -(-packs // view.packs)
        totals = self._zeros(view.blocks, max(1, sums))
        view.totals = totals.data_ptr()
        if entries:
            self._work(entries)
        summed = tree(totals.to(torch.float64)).to(self.dtype)
        tensors = {
            number: summed[begin : begin + self.kernel.unit.sizes[number]]
            for number, begin in self.kernel.unit.totals.items()
        }
        found = dict(own)
        for name, (begin, knots) in shared.items():
            found[name] = summed[begin : begin + knots]
        return Derivatives(
            states, dict(zip(wanted.parameters, parameters, strict=False)),
            dict(zip(wanted.inputs, inputs, strict=False)), found, changes, tensors,
        )  # fmt: skip

    def _place_signals(self) -> tuple[dict[str, Tensor], dict[str, tuple[int, int]]]:
        """Memory for signals with values per row, and places of shared ones among the sums."""
        own, shared, view = dict[str, Tensor](), dict[str, tuple[int, int]](), self.view
        count = max(1, len(self.signals))
        pointers, places = (_POINTER * count)(), torch.full((count,), -1, dtype=torch.int64)
        sums = self.kernel.unit.weights
        for number, (name, signal) in enumerate(self.signals.items()):
            if name not in self.wanted_signals:
                continue
            knots = signal.times.shape[0]
            if signal.values.ndim == 2:
                own[name] = self._zeros(self.rows, knots)
                pointers[number] = own[name].data_ptr()
            else:
                shared[name] = sums, knots
                places[number] = sums
                sums += knots
        self.kept += [pointers, places]
        view.signals, view.shared, view.sums = pointers, places.data_ptr(), sums
        return own, shared

    def _work(self, entries: int) -> None:
        launch, view = self.launch, self.view
        library = self.kernel.kernel.library.handle
        room = library.tw_reverse_room
        room.restype = _COUNT
        size = -(-room(ctypes.byref(launch.args)) // _LINE) * _LINE
        threads = min(torch.get_num_threads(), view.blocks)
        scratch = torch.empty(threads * size + _LINE, dtype=torch.uint8)
        begun = torch.zeros(1, dtype=torch.int64)
        self.kept += [scratch, begun]
        address = scratch.data_ptr()
        view.scratch, view.scratch_bytes = address + -address % _LINE, size
        view.threads = begun.data_ptr()
        launch.counters.zero_()
        launch.work(self.kernel.kernel, library.tw_reverse, threads, False)


def tree(values: Tensor) -> Tensor:
    """The sum over the first axis, halves on halves: the same bits for any number of threads."""
    while values.shape[0] > 1:
        half = values.shape[0] // 2
        summed = values[:half] + values[half : 2 * half]
        rest = values[2 * half :]
        values = torch.cat([summed, rest]) if rest.shape[0] else summed
    return values[0]
