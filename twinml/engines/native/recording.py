"""Kernel runs that write down their accepted steps, as ``twinml.engines.record`` keeps them."""

from __future__ import annotations

import torch
from torch import Tensor

from twinml.engines.native.launch import Launch
from twinml.engines.native.plan import Kernel
from twinml.engines.native.stamps import from_stamps
from twinml.engines.record import Steps
from twinml.solve.kernel import KernelReport


def recorded_run(
    launch: Launch, kernel: Kernel, rows: Tensor | None
) -> tuple[KernelReport, Steps]:  # fmt: skip
    """Run twice: once to count the steps of every row, once to write them down.

    A row's result is the same in every bit, so the second run takes the steps that were counted.
    """
    args, state, bits = launch.args, launch.state, launch.bits
    count, n = launch.problem.rows, launch.problem.y0.shape[0]
    before = state.copy()
    taken = torch.zeros(count, dtype=torch.int64)
    args.record_place, args.record_total = taken.data_ptr(), 0
    launch.kept.append(taken)
    launch.run(kernel, rows)
    state.restore(before)
    total = int(taken.sum())
    place = torch.cumsum(taken, 0) - taken
    pair = (total,) if bits == 64 else (total, 2)
    dtype = state.y.dtype
    t, t1 = torch.empty(pair, dtype=state.t.dtype), torch.empty(pair, dtype=state.t.dtype)
    h, y = torch.empty(total, dtype=dtype), torch.empty((n, total), dtype=dtype)
    clipped = torch.empty(total, dtype=torch.int64)
    launch.kept += [place, t, t1, h, y, clipped]
    args.record_place, args.record_total = place.data_ptr(), total
    args.record_t, args.record_t1, args.record_h = t.data_ptr(), t1.data_ptr(), h.data_ptr()
    args.record_clipped, args.record_y = clipped.data_ptr(), y.data_ptr()
    report = launch.run(kernel, rows)
    fixed = clipped.bool() | (launch.problem.dt is not None)
    owners = torch.repeat_interleave(torch.arange(count), taken)
    return report, Steps(
        owners, from_stamps(t, bits), from_stamps(t1, bits), h.to(torch.float64), fixed, y
    )
