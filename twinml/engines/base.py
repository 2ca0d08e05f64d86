"""What an engine is: it turns a problem into an outcome."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as _replace
from typing import Any, ClassVar, final

from torch import Tensor

from twinml.engines.record import Record
from twinml.solve.event_times import EventTimes
from twinml.solve.kernel import KernelReport
from twinml.solve.problem import LaneState, Problem


@final
@dataclass(frozen=True, eq=False)
class Outcome:
    """Raw result of an engine.

    Args:
        states: (n, B, T), or (n, B, 1) for the final states; None when quantities are kept.
        quantities: By name, (B,).
        outputs: By name at the saved states, (B, T) each; None where torch is to evaluate them.
        derivatives: What took derivatives: "kernel", or "torch: " and why; "" for nothing.
        note: How it ran, where that is not plain, for ``Solution.reason``.
        status, fail_time, steps, rejected: (B,).
        state: Where every row stopped.
        method: Name, or names (B,), or a function that finds them.
        events: Times by event.
        kernels: What kernels ran, () for none.
    """

    states: Tensor | None
    quantities: Mapping[str, Tensor]
    status: Tensor
    fail_time: Tensor
    steps: Tensor
    rejected: Tensor
    state: LaneState
    method: Any
    events: Mapping[str, EventTimes] = field(default_factory=dict)
    kernels: tuple[KernelReport, ...] = ()
    outputs: Mapping[str, Tensor] | None = None
    derivatives: str = ""
    note: str = ""

    def replace(self, **changes: Any) -> Outcome:
        """The outcome with some fields exchanged."""
        return _replace(self, **changes)


class AbstractEngine(ABC):
    """An executor of problems; all executors give the same meaning."""

    name: ClassVar[str]

    @abstractmethod
    def obstacle(self, problem: Problem, gradient: str) -> str | None:
        """Why the engine cannot run a problem, None where it can."""

    @abstractmethod
    def run(self, problem: Problem, method: str, gradient: str) -> Outcome:
        """Integrate every row; ``gradient`` is "frozen" or "adjoint"."""

    @abstractmethod
    def recorded(self, problem: Problem, method: str) -> tuple[Outcome, list[Record]]:
        """As ``run`` without gradient, with the accepted steps of each method."""
