"""Quantities of all rows together: rows run a chunk at a time and leave what is counted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy
import torch
from torch import Tensor

from twinml.engines.base import Outcome
from twinml.engines.chunks import rows_of
from twinml.errors import ArgumentError, nearest
from twinml.solve.problem import LaneState, Problem
from twinml.solve.reduction import Reduced, Reduction, reduce_values
from twinml.solve.solution import Solution
from twinml.solve.status import FAILURE

Run = Callable[[Problem], tuple[Outcome, str, str]]

# Rows that run together: enough for many threads, few enough for a small memory.
CHUNK = 2**18


def _reduced(
    engine: str, reduction: Reduction, values: Tensor, failed: Tensor, first: int
) -> Reduced:  # fmt: skip
    """By a kernel where kernels ran; the bits are the same."""
    if engine != "native":
        return reduce_values(reduction, values, failed, first)
    # Compiling is imported by those who use it.
    from twinml.engines.native.reduce import reduce_natively

    return reduce_natively(reduction, values, failed, first)


def check_reduce(reduce: Any, keep: Any) -> dict[str, Reduction]:
    """The reductions by name of their quantity.

    Raises:
        ArgumentError: they are not of quantities that are kept.
    """
    if reduce is None:
        return {}
    if not isinstance(reduce, Mapping) or not reduce:
        raise ArgumentError(
            f"reduce={reduce!r}; expected reductions by name of a quantity, such as "
            "{'peak': tw.Reduction(thresholds=[5.0])}."
        )
    if not isinstance(keep, Mapping):
        raise ArgumentError(
            f"reduce was given with keep={keep!r}; it takes quantities, one number per row. Pass "
            "keep={'peak': 'max(h2)'} or the like."
        )
    for name, value in reduce.items():
        if name not in keep:
            raise ArgumentError(
                f"reduce names '{name}', which is no quantity of keep; expected some of "
                f"{list(keep)}." + nearest(str(name), keep)
            )
        if not isinstance(value, Reduction):
            raise ArgumentError(
                f"reduce['{name}'] is {value!r}; expected tw.Reduction(edges=..., thresholds=...)."
            )
    return dict(reduce)


def reduced_solution(problem: Problem, reduce: Mapping[str, Reduction], run: Run) -> Solution:
    """Run a problem a chunk at a time.

    Args:
        problem: It keeps quantities.
        reduce: Which of them are reduced, the others are stored.
        run: Gives the outcome of a part, the engine and the reason.

    Raises:
        ArgumentError: a gradient is asked for.
    """
    if problem.differentiable():
        raise ArgumentError(
            "A gradient is asked for of a simulation with reduce=, which keeps no rows to derive. "
            "Leave reduce out, or run under torch.no_grad()."
        )
    rows = problem.rows
    status = torch.zeros(rows, dtype=torch.uint8)
    stored = {
        name: torch.empty(rows, dtype=problem.y0.dtype)
        for name in problem.quantities
        if name not in reduce
    }
    reduced: dict[str, Reduced] = {}
    methods, kernels = set[str](), ()
    engine = reason = ""
    for start in range(0, rows, CHUNK):
        stop = min(start + CHUNK, rows)
        outcome, engine, reason = run(rows_of(problem, start, stop))
        failed = (outcome.status & int(FAILURE)) != 0
        status[start:stop] = outcome.status
        for name, values in stored.items():
            values[start:stop] = outcome.quantities[name]
        for name, reduction in reduce.items():
            part = _reduced(engine, reduction, outcome.quantities[name], failed, start)
            reduced[name] = reduced[name].merge(part) if name in reduced else part
        # A device tells when it is asked.
        method: Any = outcome.method() if callable(outcome.method) else outcome.method
        methods.update(numpy.atleast_1d(method).tolist())
        kernels = kernels or outcome.kernels
    none = torch.zeros(0, dtype=torch.int64)
    return Solution(
        t=problem.t, values=stored, units={}, status=status,
        fail_time=none.to(torch.float64), steps=none, rejected=none,
        method=", ".join(sorted(methods)), engine=engine, reason=reason,
        state=LaneState(none.to(torch.float64), problem.y0[:, :0], none.to(torch.float64)),
        time_unit=problem.model.time_unit, keep=problem.keep, kernels=kernels, reduced=reduced,
    )  # fmt: skip
