"""One short step of the same rows again and again, for filters: everything is readied once."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.engines.native.equations import checked
from twinml.engines.native.launch import Launch
from twinml.engines.native.plan import kernel_for, spec_for
from twinml.engines.native.rows import RowState
from twinml.engines.native.stamps import to_stamps
from twinml.engines.normalise import build_problem
from twinml.errors import ArgumentError, ShapeError, nearest
from twinml.physics import Physics
from twinml.solve.methods import AUTO
from twinml.solve.status import FAILURE

# From here on a launch shares its rows among threads.
_MANY_ROWS = 512


@final
class Propagator:
    """States of B rows carried over one span of time by a generated kernel, call after call.

    The numbers are those of ``simulate(..., keep="final", engine="native")`` in every bit. What
    that call checks and readies each time is done once here: arguments, memory, the kernel.
    Not for several threads at once.

    Args:
        model: The physics, without events and noise; weights are read at each call.
        span: Length of time that a call covers, in the model's time unit, above 0.
        rows: How many rows B every call has.
        parameters: Numbers, text with a unit or tensors (B,) that replace defaults.
        inputs: Constant inputs over a span, a number or (B,); the first call's values.
        method: A name in ``twinml.solve.methods.METHODS``; not "auto".
        rtol, atol, dt, max_steps, dtype: As for ``simulate``.

    Raises:
        ArgumentError: a name, value or combination that cannot be used.
        LoweringError, NoCompilerError, CompileError: no kernel can be made.
    """

    def __init__(
        self,
        model: Physics,
        span: float,
        rows: int,
        parameters: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
        method: str = "tsit5",
        rtol: float = 1e-6,
        atol: float | Mapping[str, float] = 1e-9,
        dt: float | None = None,
        max_steps: int = 100_000,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        if not span > 0:
            raise ArgumentError(f"span={span!r}; expected a length of time above 0.")
        if method == AUTO:
            raise ArgumentError(
                "method='auto' may hand rows from one kernel to the next; a propagator runs one. "
                "Name a method: 'tsit5', or 'rodas5p' for stiff equations."
            )
        if model.declared.events or model.has_noise:
            what = "events" if model.declared.events else "noise"
            raise ArgumentError(
                f"{type(model).__name__} has {what}, which a propagator does not follow. Use "
                "simulate with start=sol.state."
            )
        declared = model.declared
        self._span, self._bits = float(span), 64 if dtype == torch.float64 else 32
        shape = (rows,)
        initial = {
            name: torch.zeros(shape if state.size is None else (rows, state.size), dtype=dtype)
            for name, state in declared.states.items()
        }
        problem = build_problem(
            model, [0.0, self._span], parameters, initial, inputs, method=method, rtol=rtol,
            atol=atol, dt=dt, dtype=dtype, max_steps=max_steps, keep="final",
        )  # fmt: skip
        if problem.rows != rows:
            raise ShapeError(
                f"rows={rows} but the parameters or inputs have {problem.rows} rows; expected "
                "one value for all, or one for each row."
            )
        # Columns of our own: a call may change them, and the kernel reads them where they are.
        self._columns: dict[str, Tensor] = {}
        for name, value in (*problem.parameters.items(), *problem.inputs.items()):
            if not isinstance(value, Tensor):
                raise ArgumentError(
                    f"input '{name}' is a Signal; a propagator holds inputs over its span. Pass "
                    "its value in inputs= of each call."
                )
            self._columns[name] = value.detach().expand(rows).clone()
        self._problem = replace(
            problem,
            parameters={name: self._columns[name] for name in problem.parameters},
            inputs={name: self._columns[name] for name in problem.inputs},
        )
        lowered = checked(model)
        self._state = RowState.of(self._problem, self._bits)
        self._launch = Launch(self._problem, self._state, self._bits, lowered.read(dtype))
        spec = spec_for(self._problem, method, False, False)
        self._kernel = kernel_for(lowered, spec, None, None)
        self._h = self._state.h.clone()
        self._pointer = ctypes.byref(self._launch.args)
        self._launch.args.entries = rows
        self.status = self._state.status

    def __call__(
        self,
        states: Tensor,
        t: float = 0.0,
        parameters: Mapping[str, Any] | None = None,
        inputs: Mapping[str, Any] | None = None,
    ) -> Tensor:
        """States one span later; rows that fail are nan, and ``status`` says why.

        Args:
            states: (n, B), components in the order of declaration.
            t: Time at which the span begins.
            parameters, inputs: New values by name, a number or (B,), from this call on.

        Returns:
            (n, B), new memory.
        """
        state = self._state
        if states.shape != state.y.shape:
            raise ShapeError(
                f"states has shape {tuple(states.shape)}; expected {tuple(state.y.shape)}: "
                "components, then rows."
            )
        with torch.no_grad():
            for given in (parameters, inputs):
                for name, value in (given or {}).items():
                    self._column(name)[:] = value
            state.y.copy_(states)
            self._set_time(float(t))
            state.h.copy_(self._h)
            for counted in (state.steps, state.rejected, state.status, state.grid):
                counted.zero_()
            self._run()
            end = state.y.clone()
            failed = (state.status & int(FAILURE)) != 0
            if bool(failed.any()):
                end[:, failed] = torch.nan
        return end

    def _column(self, name: str) -> Tensor:
        if name not in self._columns:
            raise ArgumentError(
                f"'{name}' is no parameter or input of {type(self._problem.model).__name__}; it "
                f"has {list(self._columns)}." + nearest(str(name), self._columns)
            )
        return self._columns[name]

    def _set_time(self, begin: float) -> None:
        launch, state = self._launch, self._state
        ends = to_stamps(torch.tensor([begin, begin + self._span], dtype=torch.float64), self._bits)
        launch.times.copy_(ends)
        state.t.copy_(ends[0].expand_as(state.t))
        state.origin.copy_(ends[0].expand_as(state.origin))

    def _run(self) -> None:
        if self._problem.rows >= _MANY_ROWS:
            self._launch.run(self._kernel, None)
            return
        self._launch.counters.zero_()
        self._kernel.library.handle.tw_run(self._pointer)
