"""What a simulation returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from twinml.errors import ArgumentError, MissingDependencyError, SolveError, nearest
from twinml.solve.event_times import EventTimes
from twinml.solve.kernel import KernelReport
from twinml.solve.problem import LaneState
from twinml.solve.status import FAILURE, describe


class _Found:
    """A field that may be given as a function, which is asked when the field is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    def __get__(self, held: Any, owner: type | None = None) -> Any:
        if held is None:
            raise AttributeError("a field without a default")
        value = held.__dict__[self.name]
        if callable(value):
            value = held.__dict__[self.name] = value()
        return value

    def __set__(self, held: Any, value: Any) -> None:
        held.__dict__[self.name] = value


@final
@dataclass(frozen=True, eq=False)
class Solution:
    """Time, values, status and statistics of a simulation; row b is one scenario.

    Args:
        t: Save points, (T,) or (B, T), in the model's time unit.
        values: By name. (B, T), or (B, T, k) for a state of size k; (B,) for ``keep="final"``
            and for quantities. Times after a failure are nan.
        units: Unit of every value.
        status: Bits of ``Status``, (B,) int64.
        fail_time: Time at which a row failed, (B,); nan where it did not.
        steps: Attempted steps, (B,); rejected: those that were retried, (B,).
        method: Method that ran; an array of names (B,) when rows differ. After a run on a GPU the
            array is made when it is first read.
        engine: Engine that ran; reason: why this one.
        state: Where every row stopped; hand it to ``start=`` to go on from there.
        time_unit: Unit of ``t``.
        keep: "all", "final" or "quantities".
        events: By name; ``sol.events["impact"].time`` is (B, max_events), nan-padded, ``.count``
            (B,). After a terminal event (status EVENT_STOP, ``ok`` stays true) samples are nan;
            ``state`` and ``keep="final"`` are the row at the event, after its reset.
        kernels: The generated kernels that ran, in order; () for the eager engine.
    """

    t: Tensor
    values: Mapping[str, Tensor]
    units: Mapping[str, str]
    status: Tensor
    fail_time: Tensor
    steps: Tensor
    rejected: Tensor
    if TYPE_CHECKING:
        method: Any
    else:
        method: Any = _Found()
    engine: str
    reason: str
    state: LaneState
    time_unit: str
    keep: str
    events: Mapping[str, EventTimes] = field(default_factory=dict)
    kernels: tuple[KernelReport, ...] = ()

    @property
    def ok(self) -> Tensor:
        """Rows without a failure bit, (B,) bool."""
        return (self.status & int(FAILURE)) == 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names that ``sol[name]`` knows."""
        return tuple(self.values)

    def __getitem__(self, name: str) -> Tensor:
        """Values of a state, output or quantity.

        Raises:
            ArgumentError: unknown name.
        """
        if name not in self.values:
            raise ArgumentError(
                f"the solution has no '{name}'; it has {list(self.values)}."
                + nearest(str(name), self.values)
            )
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def raise_if_failed(self) -> Solution:
        """The solution itself when every row is good.

        Raises:
            SolveError: a row failed; says which, when and what to do.
        """
        bad = (~self.ok).nonzero()[:, 0]
        if bad.shape[0]:
            row = int(bad[0])
            raise SolveError(
                f"{bad.shape[0]} of {self.status.shape[0]} rows failed; row {row} at t = "
                f"{float(self.fail_time[row]):g} {self.time_unit} with "
                f"{describe(int(self.status[row]))}."
            )
        return self

    def to_xarray(self) -> Any:
        """An ``xarray.Dataset`` with dimensions row and time, units as attributes.

        Raises:
            MissingDependencyError: xarray is not installed.
        """
        try:
            import xarray
        except ImportError as error:
            raise MissingDependencyError(
                "to_xarray needs the package xarray; install it with 'pip install xarray'."
            ) from error
        coordinates: dict[str, Any] = {}
        if self.keep == "all":
            times = self.t.detach().cpu().numpy()
            dims = ("time",) if self.t.ndim == 1 else ("row", "time")
            coordinates["t"] = (dims, times, {"units": self.time_unit})
        data = {}
        for name, value in self.values.items():
            array = value.detach().cpu().numpy()
            dims = ("row",) + (("time",) if self.keep == "all" else ())
            extra = array.ndim - len(dims)
            dims = dims + tuple(f"{name}_component" for _ in range(extra))
            # A quantity's unit follows from its expression, which is not known here: none is
            # better than a wrong one.
            known = {"units": self.units[name]} if name in self.units else {}
            data[name] = (dims, array, known)
        data["status"] = (("row",), self.status.cpu().numpy())
        for name, event in self.events.items():
            times, unit = event.time.detach().cpu().numpy(), {"units": self.time_unit}
            data[f"{name}.time"] = (("row", "happening"), times, unit)
            data[f"{name}.count"] = (("row",), event.count.cpu().numpy())
        attributes = {"engine": self.engine, "method": str(self.method)}
        return xarray.Dataset(data, coords=coordinates, attrs=attributes)

    def explain(self) -> str:
        """What ran and why, in a few lines of text; of a kernel also where it lies and its text."""
        rows = self.status.shape[0]
        failed = int((~self.ok).sum())
        names = self.method if isinstance(self.method, str) else ", ".join(sorted(set(self.method)))
        lines = [
            f"engine   {self.engine}: {self.reason}",
            f"method   {names}",
            f"rows     {rows}, failed {failed}",
            f"steps    {int(self.steps.sum())} attempted, {int(self.rejected.sum())} rejected",
        ]
        for name, event in self.events.items():
            rows = int((event.count > 0).sum())
            line = f"event    {name}: {int(event.count.sum())} times in {rows} rows"
            if rows:
                first = float(event.at.detach().min())
                line += f", first at t = {first:g} {self.time_unit}"
            lines.append(line)
        for word in torch.unique(self.status[~self.ok]).tolist():
            count = int((self.status == word).sum())
            lines.append(f"status   {count} x {describe(word)}")
        for kernel in self.kernels:
            lines += kernel.lines()
        return "\n".join(lines)
