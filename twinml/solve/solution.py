"""What a simulation returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, final

import torch
from torch import Tensor

from twinml.errors import ArgumentError, MissingDependencyError, SolveError, nearest
from twinml.solve.event_times import EventTimes
from twinml.solve.kernel import KernelReport
from twinml.solve.problem import LaneState
from twinml.solve.reduction import Reduced
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
        derivatives: What ``jacobian`` calls with names; None where there is nothing to call.
        reduced: Quantities of all rows together, where ``reduce=`` asked for them. Of the rows
            themselves ``status`` (uint8) and the other quantities are then kept; ``fail_time``,
            ``steps``, ``rejected`` and ``state`` are those of no row.
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
    derivatives: Callable[[Sequence[str], Sequence[str]], Tensor] | None = field(
        default=None, repr=False
    )
    reduced: Mapping[str, Reduced] = field(default_factory=dict)

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
        if name in self.reduced:
            raise ArgumentError(
                f"'{name}' was reduced over the rows, which are not stored; use "
                f"sol.reduced['{name}'], or leave it out of reduce=."
            )
        if name not in self.values:
            raise ArgumentError(
                f"the solution has no '{name}'; it has {list(self.values)}."
                + nearest(str(name), self.values)
            )
        return self.values[name]

    def __contains__(self, name: object) -> bool:
        return name in self.values

    def jacobian(self, of: str | Sequence[str], by: str | Sequence[str]) -> Tensor:
        """Derivative of values by parameters and initial values, for least squares.

        That of the numerical map with the sequence of its steps frozen, as gradients are. The
        simulation is run again for it, at the arguments it was given: by a kernel that follows the
        tangents where the solution is one of kernels that can, else by torch on the eager engine's
        steps (events, noise, quantities). Seen from the exact solution it is as accurate as the
        tolerance.

        Args:
            of: A name that ``sol[name]`` knows, or several.
            by: Parameters, constant inputs, or ``initial.<state>``; what ``initial()`` of the model
                ties to them moves with them.

        Returns:
            (B, T, p), or (B, p) for ``keep="final"`` and quantities, p the number of names in
            ``by``, each in the unit of the value by that of the name; for several names in ``of``
            one more axis for them before the last. Rows that failed are zero.

        Raises:
            ArgumentError: an unknown name, or one without a derivative.

        Source: Hairer, Norsett, Wanner (1993), Solving ODEs I, sec. I.14 and II.6.
        """
        names = (of,) if isinstance(of, str) else tuple(of)
        unknowns = (by,) if isinstance(by, str) else tuple(by)
        for name in names:
            _ = self[name]
        if not names or not unknowns:
            raise ArgumentError(
                f"jacobian was given of={of!r} and by={by!r}; expected at least one name for each, "
                "such as sol.jacobian('x', ['k', 'initial.x'])."
            )
        twice = [name for name in unknowns if unknowns.count(name) > 1]
        if twice:
            raise ArgumentError(
                f"jacobian was given by={by!r}, which names '{twice[0]}' twice. Name it once."
            )
        if self.derivatives is None:
            raise ArgumentError(
                "this solution was not made by simulate, which knows what it depends on; call "
                "simulate and take the jacobian of what it returns."
            )
        found = self.derivatives(names, unknowns)
        found = found if self.keep == "all" else found[:, 0]
        return found[..., 0, :] if isinstance(of, str) else found

    def raise_if_failed(self) -> Solution:
        """The solution itself when every row is good.

        Raises:
            SolveError: a row failed; says which, when and what to do.
        """
        bad = (~self.ok).nonzero()[:, 0]
        if bad.shape[0]:
            row = int(bad[0])
            raise SolveError(
                f"{bad.shape[0]} of {self.status.shape[0]} rows failed; row {row}{self._when(row)} "
                f"with {describe(int(self.status[row]))}."
            )
        return self

    def _when(self, row: int) -> str:
        if self.reduced:
            return ""
        return f" at t = {float(self.fail_time[row]):g} {self.time_unit}"

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
        ]
        if not self.reduced:
            attempted, rejected = int(self.steps.sum()), int(self.rejected.sum())
            lines.append(f"steps    {attempted} attempted, {rejected} rejected")
        for name, found in self.reduced.items():
            lines.append(f"reduced  {name}: {found.count} values, mean {found.mean:g}")
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
