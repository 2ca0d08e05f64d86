"""Golden rows: inputs with the outputs that the surrogate gave for them, stored in the model file.

Whoever loads the file can compute them again. Floats are stored in hexadecimal, which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from twinml.errors import ArgumentError, IntegrityError
from twinml.export.description import (
    NUMERIC_OUTPUTS,
    Description,
    canonical_json,
    check_schema,
    read_json,
)

SCHEMA = "golden/1"
INSIDE = 64
OUTSIDE_PER_INPUT = 4
_REACH = 0.25  # how far outside rows lie beyond the box, in widths of the box
_NUDGE = 1e-3  # guard must answer alike within this share of the width, or the row is not used


@dataclass(frozen=True)
class Golden:
    """Rows and what they must give.

    Attributes:
        inputs: (n, k) float64, each value exact in the model's input type.
        outputs: (n, m) float64 by output, nan where the output has no value.
        in_domain: (n,) bool.
    """

    inputs: np.ndarray
    outputs: dict[str, np.ndarray]
    in_domain: np.ndarray

    def __len__(self) -> int:
        return len(self.inputs)

    def to_json(self) -> bytes:
        return canonical_json(
            {
                "schema": SCHEMA,
                "inputs": _to_hex(self.inputs),
                "outputs": {name: _to_hex(self.outputs[name]) for name in NUMERIC_OUTPUTS},
                "in_domain": self.in_domain.tolist(),
            }
        )

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Golden:
        """Read ``golden.json`` of the model file called ``name`` in messages."""
        values = read_json(data, f"golden.json in {name}")
        check_schema(values, SCHEMA, f"golden.json in {name}")
        try:
            return cls(
                inputs=_from_hex(values["inputs"]),
                outputs={key: _from_hex(values["outputs"][key]) for key in NUMERIC_OUTPUTS},
                in_domain=np.asarray(values["in_domain"], dtype=bool),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(f"golden.json in {name} cannot be read: {error!r}.") from error


def make_golden(surrogate: Any, description: Description) -> Golden:
    """Choose rows inside and outside the training box and ask the surrogate for the answers.

    Rows at the edge of the guard, where rounding decides the answer, are left out, so that
    ``in_domain`` can be compared exactly on every machine.

    Raises:
        ArgumentError: The surrogate gives no finite mean inside its own training box.
    """
    box = np.array([description.guard[name] for name in description.inputs], dtype=np.float64)
    dtype = np.dtype(description.dtype)
    rows = np.concatenate([_inside(box), _outside(box)]).astype(dtype).astype(np.float64)
    nudge = _NUDGE * _width(box)
    verdicts = [
        np.asarray(surrogate.predict(moved).in_domain, dtype=bool).reshape(-1)
        for moved in (rows - nudge, rows, rows + nudge)
    ]
    rows = rows[(verdicts[0] == verdicts[1]) & (verdicts[1] == verdicts[2])]
    prediction = surrogate.predict(rows)
    golden = Golden(
        inputs=rows,
        outputs={
            name: np.stack(
                [
                    np.asarray(getattr(prediction, name)[target], dtype=np.float64).reshape(-1)
                    for target in description.targets
                ],
                axis=1,
            )
            for name in NUMERIC_OUTPUTS
        },
        in_domain=np.asarray(prediction.in_domain, dtype=bool).reshape(-1),
    )
    inside = golden.in_domain
    if not inside.any() or not np.isfinite(golden.outputs["mean"][inside]).all():
        raise ArgumentError(
            f"The surrogate calls {int(inside.sum())} of {len(rows)} rows in and around its "
            "training box in_domain, or gives a mean that is not finite there; expected finite "
            "values inside the box. Fit the surrogate again and check its test metrics."
        )
    return golden


def _inside(box: np.ndarray) -> np.ndarray:
    """Evenly spread rows: additive recurrence on powers of the plastic number's generalisation.

    Source: Roberts (2018), The unreasonable effectiveness of quasirandom sequences.
    """
    k = len(box)
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (k + 1))
    steps = ratio ** -np.arange(1.0, k + 1.0)
    unit = (0.5 + np.arange(INSIDE)[:, None] * steps) % 1.0
    return box[:, 0] + unit * (box[:, 1] - box[:, 0])


def _outside(box: np.ndarray) -> np.ndarray:
    """For each input, rows of the box with that input moved below and above it."""
    rows = []
    for column in range(len(box)):
        some = _inside(box)[column : column + OUTSIDE_PER_INPUT].copy()
        beyond = _REACH * _width(box)[column]
        some[0::2, column] = box[column, 0] - beyond
        some[1::2, column] = box[column, 1] + beyond
        rows.append(some)
    return np.concatenate(rows)


def _width(box: np.ndarray) -> np.ndarray:
    """Width of the box; for an input that never varied, its size or one."""
    width = box[:, 1] - box[:, 0]
    size = np.abs(box[:, 1])
    return np.where(width > 0, width, np.where(size > 0, size, 1.0))


def _to_hex(values: np.ndarray) -> list[list[str]]:
    return [[float(value).hex() for value in row] for row in values]


def _from_hex(rows: list[list[str]]) -> np.ndarray:
    return np.array([[float.fromhex(value) for value in row] for row in rows], dtype=np.float64)
