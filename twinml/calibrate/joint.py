"""Several experiments fitted together: parameters shared, initial values each their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, final

import torch
from torch import Tensor

from twinml.calibrate.coordinates import Unknown
from twinml.calibrate.setup import Setup, measured
from twinml.data.record import Record
from twinml.errors import DataError
from twinml.physics import Physics

AT = "@"  # initial.<state>@<experiment>


@final
@dataclass(frozen=True, eq=False)
class Joint:
    """What ``Setup`` is, for experiments one after the other.

    Args:
        parts: One setup per experiment, with the unknowns that act in it.
        places: Of each experiment's unknowns, their positions among all.
        unknowns: Parameters, then the initial values of each experiment.
    """

    parts: tuple[Setup, ...]
    places: tuple[tuple[int, ...], ...]
    unknowns: tuple[Unknown, ...]

    @property
    def model(self) -> Physics:
        return self.parts[0].model

    @property
    def outputs(self) -> tuple[str, ...]:
        return self.parts[0].outputs

    @property
    def options(self) -> Mapping[str, Any]:
        return self.parts[0].options

    @property
    def data(self) -> Tensor:
        """Measured values of all experiments (m, T), nan where missing."""
        return torch.cat([part.data for part in self.parts], dim=1)

    @property
    def present(self) -> Tensor:
        """Samples that were measured, (m, T) bool."""
        return torch.isfinite(self.data)

    def with_options(self, options: Mapping[str, Any]) -> Joint:
        """The same problem, solved otherwise."""
        return replace(self, parts=tuple(part.with_options(options) for part in self.parts))

    def predicted(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Modelled outputs (m, B, T), and the most steps that any experiment took (B,)."""
        found = [
            part.predicted(theta[:, list(at)])
            for part, at in zip(self.parts, self.places, strict=True)
        ]
        steps = torch.stack([steps for _, steps in found]).amax(0)
        return torch.cat([values for values, _ in found], dim=2), steps

    def linearised(self, theta: Tensor) -> tuple[Tensor, Tensor]:
        """Modelled outputs (m * T, B) and their Jacobian (m * T, B, p)."""
        values, slopes = [], []
        m, rows = len(self.outputs), theta.shape[0]
        for part, at in zip(self.parts, self.places, strict=True):
            found, jacobian = part.linearised(theta[:, list(at)])
            full = jacobian.new_zeros((*jacobian.shape[:2], len(self.unknowns)))
            full[..., list(at)] = jacobian
            values.append(found.reshape(m, -1, rows))
            slopes.append(full.reshape(m, -1, rows, len(self.unknowns)))
        return torch.cat(values, 1).flatten(0, 1), torch.cat(slopes, 1).flatten(0, 1)


def build_setup(
    model: Physics, record: Record, sought: tuple[Unknown, ...], options: Mapping[str, Any]
) -> Setup | Joint:
    """The fit of a record: of one experiment, or of several together.

    Raises:
        DataError: no output is measured, or an input has gaps.
    """
    if len(record.experiments) < 2:
        return _one(model, record, sought, options)
    shared = [unknown for unknown in sought if unknown.initial is None]
    own = [unknown for unknown in sought if unknown.initial is not None]
    every = list(shared)
    parts, places = [], []
    for name in record.experiments:
        part = _one(model, record.experiment(name), sought, options)
        if own and not bool(part.present.any()):
            raise DataError(
                f"experiment '{name}' of {record.source} holds no measured output, so its initial "
                "values cannot be fitted. Leave it out."
            )
        first = len(every)
        every += [replace(unknown, name=f"{unknown.name}{AT}{name}") for unknown in own]
        positions = {unknown.name: index for index, unknown in enumerate(shared)}
        positions |= {unknown.name: first + index for index, unknown in enumerate(own)}
        parts.append(part)
        places.append(tuple(positions[unknown.name] for unknown in sought))
    return Joint(tuple(parts), tuple(places), tuple(every))


def _one(
    model: Physics, record: Record, sought: tuple[Unknown, ...], options: Mapping[str, Any]
) -> Setup:
    t = torch.as_tensor(record.time_in(model.time_unit))
    outputs, data = measured(model, record)
    return Setup(model, t, record.inputs(model), outputs, data, sought, options)
