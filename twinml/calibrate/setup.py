"""What a record says to a model: inputs, measured outputs, residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.calibrate.coordinates import Unknown
from twinml.data.record import Record
from twinml.engines.choice import run_with
from twinml.engines.linearise import linearise
from twinml.engines.normalise import build_problem
from twinml.engines.observe import outputs_at
from twinml.errors import DataError
from twinml.physics import Physics, Signal
from twinml.solve.problem import Problem


@final
@dataclass(frozen=True, eq=False)
class Setup:
    """A model on the time axis of a record.

    Args:
        model: The physics.
        t: Sample times in the model's time unit, (T,).
        inputs: Signals from the record.
        outputs: Names of measured outputs.
        data: Measured values (m, T), nan where missing.
        unknowns: What is fitted.
        options: Method and tolerances.
    """

    model: Physics
    t: Tensor
    inputs: Mapping[str, Signal]
    outputs: tuple[str, ...]
    data: Tensor
    unknowns: tuple[Unknown, ...]
    options: Mapping[str, Any]

    @property
    def present(self) -> Tensor:
        """Samples that were measured, (m, T) bool."""
        return torch.isfinite(self.data)

    def with_options(self, options: Mapping[str, Any]) -> Setup:
        """The same problem, solved otherwise."""
        return replace(self, options=options)

    def problem(self, theta: Tensor) -> Problem:
        """The simulation at unconstrained unknowns (B, p)."""
        parameters: dict[str, Any] = {}
        initial: dict[str, Any] = {}
        for index, unknown in enumerate(self.unknowns):
            value = unknown.bounded(theta[:, index])
            if unknown.initial is None:
                parameters[unknown.name] = value
            else:
                initial[unknown.initial] = value
        return build_problem(self.model, self.t, parameters, initial, self.inputs, **self.options)

    def observed(self, problem: Problem, states: Tensor) -> Tensor:
        """Modelled outputs (m * T, B) for saved states (n, B, T)."""
        values = outputs_at(problem, states, problem.t)
        return torch.cat([values[name].movedim(0, 1) for name in self.outputs])

    def linearised(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Modelled outputs (m * T, B) and their Jacobian (m * T, B, p)."""
        _, values, jacobian = linearise(self.problem, self.observed, theta, self.options["method"])
        return values, jacobian

    def predicted(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Modelled outputs (m, B, T) without derivatives, and the steps each row took (B,)."""
        with torch.no_grad():  # weights of a learned term would ask for derivatives
            problem = self.problem(theta)
            outcome, _, _ = run_with("auto", problem, self.options["method"], "frozen")
            assert outcome.states is not None
            values = outputs_at(problem, outcome.states, problem.t)
            return torch.stack([values[name] for name in self.outputs]), outcome.steps


def measured(model: Physics, record: Record) -> tuple[tuple[str, ...], Tensor]:
    """Names and values (m, T) of the outputs that the record holds.

    Raises:
        DataError: none of the model's outputs is in the record.
    """
    declared = model.declared.outputs
    names = tuple(name for name in declared if name in record)
    if not names:
        raise DataError(
            f"{record.source} holds columns {list(record.columns)}, none of them an output of "
            f"{type(model).__name__} ({list(declared)}). Name the column of one, in a twin's file "
            f"as outputs: {{{next(iter(declared), 'output')}: {{column: ...}}}}."
        )
    rows = [torch.as_tensor(record.values_in(name, declared[name].unit)) for name in names]
    return names, torch.stack(rows)
