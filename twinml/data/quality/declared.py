"""Ranges that a model declares for what sensors see."""

from __future__ import annotations

import math

import torch

from twinml.physics import Physics


def output_ranges(model: Physics) -> dict[str, tuple[float, float]]:
    """Validity bounds of the outputs that are a state as it is, in the output's unit.

    Outputs have no bounds of their own. Which output is a state is seen by its values: they
    follow that state alone, number for number, at two different points.
    """
    declared = model.declared
    found: dict[str, set[str]] = {name: set() for name in declared.outputs}
    for round_ in (0, 1):
        values: dict[str, torch.Tensor] = {"t": torch.tensor([0.5 + round_], dtype=torch.float64)}
        pieces = []
        names = [*declared.states, *declared.inputs, *declared.parameters]
        for index, name in enumerate(names):
            number = 0.1 + math.sqrt(2.0 + index + 31.0 * round_)
            width = declared.states[name].size if name in declared.states else None
            shape = (1,) if width is None else (1, width)
            values[name] = torch.full(shape, number, dtype=torch.float64)
            if name in declared.states:
                pieces.append(values[name].reshape(-1, 1))
        try:
            with torch.no_grad():
                seen = model.observe(values, torch.cat(pieces))
        except Exception:  # the user's own equations; without them there are no ranges to check
            return {}
        for output, value in seen.items():
            equal = {
                state
                for state in declared.states
                if values[state].shape == value.shape and bool((values[state] == value).all())
            }
            found[output] = equal if round_ == 0 else found[output] & equal
    ranges = {}
    for output, states in found.items():
        for state in states:
            low, high = declared.states[state].low, declared.states[state].high
            ranges[output] = (
                -math.inf if low is None else low,
                math.inf if high is None else high,
            )
    return ranges
