"""A fitted surrogate, its predictions and its file."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twinml.data.atomic import replacing
from twinml.data.table import Table
from twinml.errors import ArgumentError, DataError, ShapeError, nearest
from twinml.surrogate.module import SurrogateModule, wrap
from twinml.surrogate.options import GpOptions, parse_options
from twinml.surrogate.predictors import GpPredictor, MlpPredictor

SCHEMA = "surrogate/1"
# what torch.load raises on other bytes
_UNREADABLE = (
    RuntimeError,
    OSError,
    EOFError,
    KeyError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a surrogate says about B rows.

    Attributes:
        mean, lower, upper: Target to values, shape (B,), in the target's unit. The interval has the
            surrogate's level.
        std: The same, the predictor's std times a constant: as a normal distribution with ``mean``
            it has the lowest CRPS on the calibration rows. Where errors have heavy tails the
            interval is wider than this normal distribution's.
        in_domain: Shape (B,), bool: the row lies where training rows lie.
    """

    mean: Mapping[str, np.ndarray]
    lower: Mapping[str, np.ndarray]
    upper: Mapping[str, np.ndarray]
    std: Mapping[str, np.ndarray]
    in_domain: np.ndarray


@dataclass(frozen=True, eq=False)
class Surrogate:
    """A learned stand-in for a simulation, with conformal intervals and a domain guard.

    Attributes:
        kind: "gp" or "mlp".
        inputs, targets: Names, in the order of the module's columns.
        input_units, target_units: Name to unit.
        level: Of the intervals.
        seed: Of the cut, the initial weights and the row order.
        options: What was set about the kind.
        metrics, selection_metrics: Target to scores on test and selection rows.
        training: Rows used and dropped, and what the training did.
    """

    kind: str
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    input_units: Mapping[str, str]
    target_units: Mapping[str, str]
    level: float
    seed: int
    options: Mapping[str, Any]
    metrics: Mapping[str, Mapping[str, float]]
    selection_metrics: Mapping[str, Mapping[str, float]]
    training: Mapping[str, Any]
    _module: SurrogateModule

    def module(self) -> SurrogateModule:
        """The exportable module: ``forward(x) -> (mean, lower, upper, in_domain, std)``."""
        return self._module

    def predict(self, x: Mapping[str, Any] | Table | np.ndarray) -> Prediction:
        """Predict rows given by name, or as an array of shape (B, k) in the order of ``inputs``.

        Values are raw, in ``input_units``; a single value of a mapping is used for every row.

        Raises:
            ArgumentError: An input is missing or unknown.
            ShapeError: Shapes that do not fit.
        """
        with torch.no_grad():
            outputs = self._module(torch.from_numpy(self._matrix(x)))
        mean, lower, upper, in_domain, std = (output.numpy() for output in outputs)
        named = [dict(zip(self.targets, a.T, strict=True)) for a in (mean, lower, upper, std)]
        return Prediction(*named, in_domain=in_domain[:, 0])

    def _matrix(self, x: Mapping[str, Any] | Table | np.ndarray) -> np.ndarray:
        k = len(self.inputs)
        if isinstance(x, Table):
            return np.stack([x[name].astype(np.float64) for name in self.inputs], axis=1)
        if not isinstance(x, Mapping):
            matrix = np.array(x, dtype=np.float64)
            if matrix.ndim != 2 or matrix.shape[1] != k:
                raise ShapeError(
                    f"x has shape {matrix.shape}; expected (B, {k}), one column per input "
                    f"{self.inputs}. Stack the inputs in that order, axis 1."
                )
            return matrix
        for name in x:
            if name not in self.inputs:
                raise ArgumentError(
                    f"'{name}' is not an input of this surrogate; its inputs are "
                    f"{', '.join(self.inputs)}.{nearest(name, self.inputs)}"
                )
        missing = [name for name in self.inputs if name not in x]
        if missing:
            raise ArgumentError(
                f"No value for {', '.join(missing)}; expected every input of the surrogate: "
                f"{', '.join(self.inputs)}."
            )
        values = [np.asarray(x[name], dtype=np.float64) for name in self.inputs]
        try:
            columns = np.broadcast_arrays(*(np.atleast_1d(value) for value in values))
        except ValueError:
            columns = ()
        if not columns or columns[0].ndim != 1:
            shapes = {name: v.shape for name, v in zip(self.inputs, values, strict=True)}
            raise ShapeError(
                f"The inputs have shapes {shapes}; expected one length B, or single values."
            )
        return np.stack(columns, axis=1)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one file that is either whole or absent; the same surrogate gives the same bytes.

        Raises:
            OSError: The path cannot be written.
        """
        state = {name: value.cpu() for name, value in self._module.state_dict().items()}
        training = {name: value for name, value in self.training.items() if name != "seconds"}
        described = {
            "kind": self.kind,
            "inputs": list(self.inputs),
            "targets": list(self.targets),
            "input_units": dict(self.input_units),
            "target_units": dict(self.target_units),
            "level": self.level,
            "seed": self.seed,
            "options": dict(self.options),
            "metrics": self.metrics,
            "selection_metrics": self.selection_metrics,
            "training": training,
        }
        buffer = io.BytesIO()  # a path would put its own name into the file
        content = {"schema": SCHEMA, "surrogate": json.dumps(described), "state": state}
        torch.save(content, buffer)
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())


def load_surrogate(path: str | os.PathLike[str]) -> Surrogate:
    """Read what ``Surrogate.save`` wrote: tensors and JSON, no code.

    Raises:
        DataError: No such file, not a surrogate, or one of another version.
    """
    if not Path(path).is_file():
        raise DataError(f"There is no surrogate at {path}; expected a file. Check the path.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        schema = content["schema"]
    except _UNREADABLE as error:
        raise DataError(
            f"{path} cannot be read as a surrogate ({type(error).__name__}); expected a file "
            "that twinml train or Surrogate.save wrote. It may be cut, damaged or something else."
        ) from error
    if schema != SCHEMA:
        raise DataError(
            f"{path} has schema '{schema}'; this version reads '{SCHEMA}'. Fit the surrogate again."
        )
    described, state = json.loads(content["surrogate"]), content["state"]
    inputs, targets = tuple(described.pop("inputs")), tuple(described.pop("targets"))
    _, options = parse_options(described["kind"], described["options"])
    k, m = len(inputs), len(targets)
    if isinstance(options, GpOptions):
        predictor = GpPredictor(k, m, len(state["predictor.rows"]))
    else:
        predictor = MlpPredictor(k, m, options.width, options.depth)
    module = wrap(described["kind"], predictor, k, m)
    module.load_state_dict(state)
    return Surrogate(
        inputs=inputs, targets=targets, _module=module.eval().requires_grad_(False), **described
    )
