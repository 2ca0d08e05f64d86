"""Does the loaded file compute what the surrogate computed?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from twinml.errors import ParityError
from twinml.export.description import NUMERIC_OUTPUTS, OUTPUTS, Description
from twinml.export.golden import Golden

TOLERANCE = 2e-6  # of an output's largest magnitude over the golden rows
BATCH_SIZES = (1, 2, 7, 64)  # and all golden rows at once


@dataclass(frozen=True)
class Difference:
    """The largest difference of one output of one target over all rows and batch sizes.

    Attributes:
        output: ``mean``, ``lower``, ``upper`` or ``std``.
        target: Name of the target.
        largest: Absolute difference, in the target's unit.
        relative: The same by the output's largest magnitude over the golden rows.
        batch: Batch size at which it was found.
    """

    output: str
    target: str
    largest: float
    relative: float
    batch: int


def compare(
    model: Callable[[torch.Tensor], Any], golden: Golden, description: Description, name: str
) -> tuple[Difference, ...]:
    """Run the golden rows at every batch size and compare with the stored answers.

    Args:
        model: The loaded file.
        golden: Rows and answers.
        description: Names, order and types.
        name: What to call the file in a message.

    Returns:
        The largest difference for each output and target.

    Raises:
        ParityError: A value differs by more than ``TOLERANCE``, ``in_domain`` differs at all, or
            an output has another shape or type than described.
    """
    worst: dict[tuple[str, str], Difference] = {}
    for batch in (*BATCH_SIZES, len(golden)):
        got = _run(model, golden.inputs, description, batch, name)
        wrong = np.flatnonzero(got["in_domain"][:, 0] != golden.in_domain)
        if len(wrong):
            raise ParityError(
                f"{name}: in_domain differs from the surrogate in {len(wrong)} of {len(golden)} "
                f"golden rows at batch size {batch} (first: row {wrong[0]}); expected the same "
                "answer in every row. Export the surrogate again."
            )
        for output in NUMERIC_OUTPUTS:
            for column, target in enumerate(description.targets):
                found = _difference(
                    got[output][:, column], golden.outputs[output][:, column], output, target, batch
                )
                before = worst.get((output, target))
                if before is None or found.relative > before.relative:
                    worst[output, target] = found
    largest = max(worst.values(), key=lambda difference: difference.relative)
    if largest.relative > TOLERANCE:
        raise ParityError(
            f"{name}: {largest.output} of {largest.target} differs from the surrogate by up to "
            f"{largest.largest:.3g} ({largest.relative:.3g} of its largest magnitude) at batch "
            f"size {largest.batch}; expected at most {TOLERANCE:g} in {description.dtype}. "
            "Either this machine computes differently from the one that wrote the file (export "
            "again here), or the model's sums depend on the batch size (evaluate it in float64)."
        )
    return tuple(worst.values())


def _run(
    model: Callable[[torch.Tensor], Any],
    rows: np.ndarray,
    description: Description,
    batch: int,
    name: str,
) -> dict[str, np.ndarray]:
    """All rows in batches of one size, the last one filled up from the first rows."""
    n = len(rows)
    count = -(-n // batch)
    filled = rows[np.arange(count * batch) % n]
    x = torch.from_numpy(filled).to(description.torch_dtype)
    parts: list[list[np.ndarray]] = []
    with torch.inference_mode():
        for start in range(0, len(x), batch):
            try:
                values = tuple(model(x[start : start + batch]))
            except RuntimeError as error:
                raise ParityError(f"{name} cannot run a batch of {batch}: {error}") from error
            _check_form(values, batch, description, name)
            parts.append([value.to(torch.float64).numpy() for value in values])
    return {
        output: np.concatenate([part[index] for part in parts])[:n]
        for index, output in enumerate(OUTPUTS)
    }


def _check_form(
    values: tuple[torch.Tensor, ...], batch: int, description: Description, name: str
) -> None:
    m = len(description.targets)
    found = [
        (tuple(value.shape), str(value.dtype)) if isinstance(value, torch.Tensor) else type(value)
        for value in values
    ]
    expected = [
        ((batch, 1 if output == "in_domain" else m), f"torch.{description.output_dtypes[output]}")
        for output in OUTPUTS
    ]
    if found != expected:
        raise ParityError(
            f"{name} returns {found}; expected {expected} for {', '.join(OUTPUTS)} "
            f"at batch size {batch}. Export the surrogate again."
        )


def _difference(
    got: np.ndarray, expected: np.ndarray, output: str, target: str, batch: int
) -> Difference:
    """Equal values, nan beside nan included, differ by nothing; nan beside a number by inf."""
    same = (got == expected) | (np.isnan(got) & np.isnan(expected))
    finite = np.isfinite(expected)
    scale = float(np.abs(expected[finite]).max(initial=0.0))
    with np.errstate(invalid="ignore"):
        distance = np.where(same, 0.0, np.abs(got - expected))
    largest = float(np.where(np.isnan(distance), np.inf, distance).max(initial=0.0))
    relative = 0.0 if largest == 0.0 else largest / scale if scale > 0.0 else np.inf
    return Difference(output, target, largest, float(relative), batch)
