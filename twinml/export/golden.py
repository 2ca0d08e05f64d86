"""Golden rows: inputs with the outputs that the surrogate gave for them, stored in the model file.

Whoever loads the file can compute them again. Floats are stored in hexadecimal, which is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from twinml.errors import ArgumentError, IntegrityError
from twinml.export.description import (
    NUMERIC_OUTPUTS,
    Description,
    canonical_json,
    check_schema,
    read_json,
)
from twinml.surrogate.surrogate import Surrogate

SCHEMA = "golden/1"
RAYS = 48  # rows inside the guard, and as many more spread over the box
OUTSIDE_PER_INPUT = 4
_SHRINK = (1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01, 0.0)
_REACH = 0.1  # how far outside rows lie beyond the box, in widths of the box
_NUDGE = 1e-5  # the guard must answer alike within this share of the width


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


def make_golden(surrogate: Surrogate, description: Description, center: np.ndarray) -> Golden:
    """Choose rows inside and outside the guard and ask the surrogate for the answers.

    Rows at the edge of the guard, where rounding decides, are left out, so that ``in_domain`` can
    be compared exactly on every machine.

    Args:
        surrogate: Its ``predict`` gives the answers.
        description: Names, training range and types.
        center: Mean of the training inputs, shape (k,), a point that the guard accepts.

    Raises:
        ArgumentError: The surrogate gives no finite mean inside its own domain.
    """
    box = np.array([description.guard[name] for name in description.inputs], dtype=np.float64)
    dtype = np.dtype(description.dtype)
    rows = np.concatenate([_inside(surrogate, box, center), _spread(box), _outside(box)])
    rows = np.unique(rows.astype(dtype).astype(np.float64), axis=0)
    nudge = _NUDGE * (box[:, 1] - box[:, 0])
    verdict = _in_domain(surrogate, rows)
    clear = (verdict == _in_domain(surrogate, rows - nudge)) & (
        verdict == _in_domain(surrogate, rows + nudge)
    )
    rows = rows[clear]
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
            "values where it was trained. Fit the surrogate again and check its test metrics."
        )
    return golden


def _in_domain(surrogate: Surrogate, rows: np.ndarray) -> np.ndarray:
    return np.asarray(surrogate.predict(rows).in_domain, dtype=bool).reshape(-1)


def _inside(surrogate: Surrogate, box: np.ndarray, center: np.ndarray) -> np.ndarray:
    """On the way from each spread row to the middle, the first point that the guard accepts.

    Inputs that vary together fill a small part of their box: few rows of the box are inside.
    """
    ends = _spread(box)
    points = np.stack([center + share * (ends - center) for share in _SHRINK])
    accepted = _in_domain(surrogate, points.reshape(-1, len(box))).reshape(points.shape[:2])
    first = accepted.argmax(axis=0)
    return points[first, np.arange(len(ends))]


def _spread(box: np.ndarray) -> np.ndarray:
    """Rows spread evenly over the box: multiples of powers of one irrational number, modulo one.

    Source: Roberts (2018), The unreasonable effectiveness of quasirandom sequences, R sequence.
    """
    k = len(box)
    ratio = 2.0
    for _ in range(64):
        ratio = (1.0 + ratio) ** (1.0 / (k + 1))
    steps = ratio ** -np.arange(1.0, k + 1.0)
    unit = (0.5 + np.arange(RAYS)[:, None] * steps) % 1.0
    return box[:, 0] + unit * (box[:, 1] - box[:, 0])


def _outside(box: np.ndarray) -> np.ndarray:
    """For each input, rows of the box with that input moved below and above it."""
    width = box[:, 1] - box[:, 0]
    size = np.abs(box[:, 1])
    reach = _REACH * np.where(width > 0, width, np.where(size > 0, size, 1.0))
    rows = []
    for column, (low, high) in enumerate(box):
        some = _spread(box)[:OUTSIDE_PER_INPUT]
        some[0::2, column] = low - reach[column]
        some[1::2, column] = high + reach[column]
        rows.append(some)
    return np.concatenate(rows)


def _to_hex(values: np.ndarray) -> list[list[str]]:
    return [[float(value).hex() for value in row] for row in values]


def _from_hex(rows: list[list[str]]) -> np.ndarray:
    return np.array([[float.fromhex(value) for value in row] for row in rows], dtype=np.float64)
