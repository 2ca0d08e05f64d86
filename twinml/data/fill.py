"""Missing samples of an input, filled by the rule of its kind."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from twinml.errors import DataError


def fill(
    time: np.ndarray,
    values: np.ndarray,
    bounds: Mapping[str, tuple[int, int]],
    kind: str,
    what: str,
) -> np.ndarray:
    """Values without gaps.

    Args:
        time: Times, (T,).
        values: (T,), nan where missing.
        bounds: First row and end of each experiment; nothing is carried across.
        kind: "hold" repeats the last value, "linear" joins the neighbours.
        what: For the message.

    Raises:
        DataError: the first value of an experiment is missing, or for "linear" the last.
    """
    out = values.copy()
    for name, (first, end) in bounds.items():
        piece = values[first:end]
        known = np.flatnonzero(~np.isnan(piece))
        ends = [0] if kind == "hold" else [0, len(piece) - 1]
        for place in ends:
            if place not in known:
                where = f" of experiment '{name}'" if name else ""
                raise DataError(
                    f"input {what}: sample {place + 1}{where} is missing and cannot be filled, "
                    f"since kind '{kind}' needs a value {'before' if place == 0 else 'after'} it. "
                    "Cut the record there, or complete it."
                )
        if kind == "hold":
            last = np.maximum.accumulate(np.where(np.isnan(piece), 0, np.arange(len(piece))))
            out[first:end] = piece[last]
        else:
            out[first:end] = np.interp(time[first:end], time[first:end][known], piece[known])
    return out
