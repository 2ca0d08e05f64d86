"""From a problem to its kernels, and to the memory that it takes on a device."""

from __future__ import annotations

import functools
from dataclasses import replace

from twinml.engines.cuda.device import Gpu
from twinml.engines.cuda.launch import CudaKernel
from twinml.engines.cuda.library import load
from twinml.engines.native.plan import Held, spec_for
from twinml.lowering import Lowered
from twinml.lowering.unit import Fragment, UnitSpec, unit_text
from twinml.solve.problem import Problem

# Of the memory that is free, what a run may plan with: the rest is for the kernel's own and for
# others on the same device.
_SHARE = 0.85


def cuda_spec(problem: Problem, method: str, hand_over: bool) -> UnitSpec:
    """What the kernel of one method is compiled for; a thread has one row."""
    return replace(spec_for(problem, method, hand_over, False), registers=1)


def cuda_kernel(
    lowered: Lowered, spec: UnitSpec, events: Fragment | None, functionals: Fragment | None,
    gpu: Gpu,
) -> CudaKernel:  # fmt: skip
    """The compiled kernel; text and library are kept for the next call."""
    return _kernel(lowered.digest, spec, events, functionals, gpu.architecture, Held(lowered))


@functools.lru_cache(maxsize=256)
def _kernel(
    digest: str, spec: UnitSpec, events: Fragment | None, functionals: Fragment | None,
    architecture: str, held: Held,
) -> CudaKernel:  # fmt: skip
    text = unit_text(held.lowered, spec, events, functionals, "cuda")
    return CudaKernel(spec, text, load(text, architecture))


def bytes_of_results(problem: Problem) -> int:
    """Bytes a row of what the user gets that grows with the save points: states and outputs."""
    if problem.keep == "quantities":
        return 0
    points = problem.t.shape[-1] if problem.keep == "all" else 1
    declared = problem.model.declared
    return (declared.width + len(declared.outputs)) * points * problem.y0.element_size()


def bytes_of_work(problem: Problem) -> int:
    """Bytes a row of everything else that a run makes: the row's state, events, quantities."""
    size, states = problem.y0.element_size(), problem.y0.shape[0]
    events = len(problem.model.declared.events)
    row = 8 * (3 + 4 + 2) + 2 * size * (states + 1)  # times, counters, lists; states twice
    row += 8 * problem.t.shape[-1] * (problem.t.ndim == 2)
    row += events * (8 * 2 + size + 8 * problem.max_events)
    row += 4 * 8 * len(problem.quantities)
    return row


def rows_at_once(problem: Problem, free: int) -> tuple[int, bool]:
    """How many rows a run may take at once, and whether all results fit on the device.

    Args:
        problem: The problem.
        free: Bytes that the device has.
    """
    may, rows = int(free * _SHARE), problem.rows
    results, work = bytes_of_results(problem), bytes_of_work(problem)
    if rows * (results + work) <= may:
        return rows, True
    # Results stay where there is room for them and for the work of some rows; each part's own
    # results are there beside them until they are copied.
    here = rows * results <= may // 2
    left = may - rows * results if here else may
    return max(1, min(rows, left // (results + work))), here
