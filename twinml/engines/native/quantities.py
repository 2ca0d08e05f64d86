"""Accumulators of quantities: their first values, and the quantities they end in."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from functools import lru_cache
from typing import final

import torch
from torch import Tensor

from twinml.engines.functionals import fixed_value
from twinml.engines.native.memory import Args, ColumnView, column, views
from twinml.engines.native.stamps import from_stamps, to_stamps
from twinml.expression import Expression, Functional
from twinml.lowering.functionals import FunctionalPlan, Slot, plan_functionals
from twinml.solve.problem import Problem

_FIRST = {"max": -torch.inf, "min": torch.inf, "integral": 0.0, "mean": 0.0, "time_above": 0.0}


@lru_cache(maxsize=256)
def functional_plan(quantities: tuple[Expression, ...]) -> FunctionalPlan:
    """``plan_functionals``, kept for the next call."""
    return plan_functionals(quantities)


@final
@dataclass(eq=False)
class QuantityMemory:
    """What the slots of all rows keep.

    Args:
        plan: The slots.
        totals: Numbers (.., B), in the dtype of the states.
        moments: Times as stamps, (.., B, ...).
        bits: Width of numbers.
    """

    plan: FunctionalPlan
    totals: Tensor
    moments: Tensor
    bits: int
    kept: list[Tensor] = field(default_factory=list)

    @staticmethod
    def of(problem: Problem, bits: int) -> QuantityMemory | None:
        """The start of every row; None where no quantities are kept."""
        if problem.keep != "quantities":
            return None
        plan = functional_plan(tuple(problem.quantities.values()))
        device = problem.y0.device
        totals = torch.empty((plan.totals, problem.rows), dtype=problem.y0.dtype, device=device)
        moments = torch.empty((plan.moments, problem.rows), dtype=torch.float64, device=device)
        for slot in plan.slots:
            if slot.total is not None:
                totals[slot.total] = _FIRST.get(slot.kind, torch.nan)
            if slot.share is not None:
                totals[slot.share] = 1.0
            if slot.moment is not None:
                moments[slot.moment] = torch.inf if slot.kind == "first_time" else problem.first
        stamps = to_stamps(moments, bits).contiguous()
        return QuantityMemory(plan, totals, stamps, bits)

    def fill(self, args: Args, problem: Problem) -> ctypes.Array:
        """Tell a launch where it all is; the table of the times of `at`."""
        args.totals, args.moments = self.totals.data_ptr(), self.moments.data_ptr()
        scale = 1 if self.bits == 64 else 2
        columns = []
        for time in self.plan.times:
            stamps = to_stamps(fixed_value(time, problem).to(torch.float64), self.bits)
            self.kept.append(stamps)
            columns.append(column(stamps, scale))
        return views(ColumnView, columns)

    def result(self, problem: Problem) -> dict[str, Tensor]:
        """Quantities by name, (B,): functionals combined by what stands around them."""
        known = {
            functional: self._value(functional, self.plan.slots[slot])
            for functional, slot in self.plan.slot_of.items()
        }
        values: dict[str, Tensor | float] = dict(problem.constants)
        values.update(problem.parameters)
        for name, value in problem.inputs.items():
            if isinstance(value, Tensor):
                values[name] = value
        return {
            name: expression.evaluate(values, known).to(problem.y0.dtype).expand(problem.rows)
            for name, expression in problem.quantities.items()
        }

    def _value(self, functional: Functional, slot: Slot) -> Tensor:
        """One functional of all rows."""
        if functional.kind == "first_time" or functional.kind.startswith("time_of_"):
            assert slot.moment is not None
            return from_stamps(self.moments[slot.moment], self.bits).to(self.totals.dtype)
        assert slot.total is not None
        total = self.totals[slot.total]
        return total if slot.share is None else total / self.totals[slot.share]
