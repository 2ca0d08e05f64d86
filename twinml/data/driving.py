"""A record's inputs as signals that drive a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from twinml.errors import DataError
from twinml.physics import Physics, Signal

if TYPE_CHECKING:
    from twinml.data.record import Record


def signals(record: Record, model: Physics) -> dict[str, Signal]:
    """Inputs of the model that the record holds, over the model's time.

    Raises:
        DataError: a missing sample in an input, or several experiments in the record.
    """
    times = torch.as_tensor(record.time_in(model.time_unit))
    found = {}
    for name, declared in model.declared.inputs.items():
        if name not in record:
            continue
        values = torch.as_tensor(record.values_in(name, declared.unit))
        gaps = (~torch.isfinite(values)).nonzero()[:, 0]
        if gaps.shape[0]:
            count = gaps.shape[0]
            raise DataError(
                f"input '{name}' of {record.source} has {count} missing sample{'s'[: count > 1]}, "
                f"the first in row {int(gaps[0]) + 1} at time {float(record.time[int(gaps[0])]):g} "
                f"{record.time_unit}; an input must be known throughout. Complete the record, or "
                f"have gaps filled by the input's kind: fill=['{name}'], in a twin "
                f"inputs.{name}.missing=fill."
            )
        kind: Any = record.kinds.get(name, "hold")
        found[name] = Signal(times, values, kind)
    return found
