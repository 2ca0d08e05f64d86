"""What a calibration knows about its parameters, as plain data that a scenario can draw from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from twinml.errors import DataError, ShapeError, nearest

SCHEMA = "posterior/1"


@final
@dataclass(frozen=True, eq=False)
class Posterior:
    """A joint Gaussian in unconstrained coordinates.

    The coordinate of a value v is log(v - low) with one lower bound, log(high - v) with one
    upper bound, log((v - low) / (high - v)) with both, and v itself without bounds; a draw
    therefore never leaves the bounds.

    Args:
        names: Fitted quantities, e.g. ("beta", "gamma", "initial.infected"); k of them.
        values: Estimates, shape (k,), in ``units``.
        low, high: Bounds, shape (k,), -inf or inf where there is none.
        mean_unconstrained: Mean of the coordinates, shape (k,).
        covariance_unconstrained: Their covariance, shape (k, k), positive definite.
        units: One per name.
        degrees_of_freedom: Measured values less fitted quantities.
        noise: Measurement standard deviation per output, in the output's unit.

    Raises:
        ShapeError: An array does not have one entry per name.
        DataError: A value lies outside its bounds, or the covariance is not positive definite.
    """

    names: tuple[str, ...]
    values: np.ndarray
    low: np.ndarray
    high: np.ndarray
    mean_unconstrained: np.ndarray
    covariance_unconstrained: np.ndarray
    units: tuple[str, ...]
    degrees_of_freedom: int
    noise: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "units", tuple(self.units))
        count = len(self.names)
        for label, shape in (
            ("values", (count,)),
            ("low", (count,)),
            ("high", (count,)),
            ("mean_unconstrained", (count,)),
            ("covariance_unconstrained", (count, count)),
        ):
            array = np.asarray(getattr(self, label), dtype=np.float64)
            if array.shape != shape:
                raise ShapeError(
                    f"The posterior's {label} has shape {array.shape}; expected {shape}, "
                    f"one entry per name in {self.names}."
                )
            object.__setattr__(self, label, array)
        if len(self.units) != count or len(set(self.names)) != count:
            raise ShapeError(
                f"The posterior names {self.names} with units {self.units}; expected distinct "
                "names and one unit each."
            )
        for name, value, low, high in zip(
            self.names, self.values, self.low, self.high, strict=True
        ):
            if not low < value < high:
                raise DataError(
                    f"The posterior has {name} = {value:g}, which is not inside its bounds "
                    f"({low:g}, {high:g})."
                )

    @cached_property
    def factor(self) -> np.ndarray:
        """Lower Cholesky factor of the covariance, shape (k, k)."""
        try:
            return np.linalg.cholesky(self.covariance_unconstrained)
        except np.linalg.LinAlgError:
            raise DataError(
                f"The posterior's covariance of {', '.join(self.names)} is not positive definite; "
                "the record does not determine them jointly. Fit fewer quantities."
            ) from None

    def subset(self, names: Iterable[str]) -> Posterior:
        """The marginal distribution of some quantities, in this posterior's order.

        Marginal, not conditional: what is left out says nothing about what stays.

        Raises:
            DataError: A name is not a fitted quantity.
        """
        wanted = set(names)
        for name in sorted(wanted.difference(self.names)):
            raise DataError(
                f"'{name}' was not fitted; the calibration has {', '.join(self.names)}."
                f"{nearest(name, self.names)}"
            )
        keep = [i for i, name in enumerate(self.names) if name in wanted]
        return Posterior(
            names=tuple(self.names[i] for i in keep),
            values=self.values[keep],
            low=self.low[keep],
            high=self.high[keep],
            mean_unconstrained=self.mean_unconstrained[keep],
            covariance_unconstrained=self.covariance_unconstrained[np.ix_(keep, keep)],
            units=tuple(self.units[i] for i in keep),
            degrees_of_freedom=self.degrees_of_freedom,
            noise=self.noise,
        )

    def to_unconstrained(self, values: np.ndarray) -> np.ndarray:
        """Coordinates of physical values; shape (..., k) both."""
        return _by_column(values, self.low, self.high, _free)

    def from_unconstrained(self, coordinates: np.ndarray) -> np.ndarray:
        """Physical values of coordinates; shape (..., k) both."""
        return _by_column(coordinates, self.low, self.high, _bounded)

    def draw(self, normals: np.ndarray) -> np.ndarray:
        """Physical values for given independent standard normals.

        Sums run left to right over the factor's columns, so a row does not depend on the rows
        beside it, as it would with a matrix product.

        Args:
            normals: Shape (N, k).

        Returns:
            Shape (N, k), in the order of ``names``.
        """
        normals = np.asarray(normals, dtype=np.float64)
        if normals.ndim != 2 or normals.shape[1] != len(self.names):
            raise ShapeError(
                f"The normals have shape {normals.shape}; expected (N, {len(self.names)}), one "
                f"column per name in {self.names}."
            )
        columns = [np.ascontiguousarray(normals[:, j]) for j in range(len(self.names))]
        coordinates = np.empty_like(normals)
        for i, mean in enumerate(self.mean_unconstrained):
            total = np.full(len(normals), mean)
            for j in range(i + 1):
                total = total + self.factor[i, j] * columns[j]
            coordinates[:, i] = total
        return self.from_unconstrained(coordinates)

    def to_json(self) -> dict[str, Any]:
        """Plain data with its schema; infinite bounds become None."""
        return {
            "schema": SCHEMA,
            "names": list(self.names),
            "units": list(self.units),
            "values": self.values.tolist(),
            "low": [None if np.isinf(x) else x for x in self.low.tolist()],
            "high": [None if np.isinf(x) else x for x in self.high.tolist()],
            "mean_unconstrained": self.mean_unconstrained.tolist(),
            "covariance_unconstrained": self.covariance_unconstrained.tolist(),
            "degrees_of_freedom": int(self.degrees_of_freedom),
            "noise": {name: float(value) for name, value in self.noise.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Posterior:
        """Read what ``to_json`` wrote.

        Raises:
            DataError: Another schema, or a key is absent.
        """
        data = dict(data)
        schema = data.pop("schema", None)
        if schema != SCHEMA:
            raise DataError(
                f"The posterior has schema {schema!r}; this version reads '{SCHEMA}'. "
                "Calibrate again, or read it with the version that wrote it."
            )
        try:
            data["low"] = [-np.inf if x is None else x for x in data["low"]]
            data["high"] = [np.inf if x is None else x for x in data["high"]]
            return cls(**data)
        except (KeyError, TypeError) as error:
            raise DataError(f"The posterior is incomplete or has unknown keys: {error}.") from None

    @cached_property
    def digest(self) -> str:
        """sha256 of the content, the same for equal posteriors."""
        text = json.dumps(self.to_json(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def _by_column(values: np.ndarray, low: np.ndarray, high: np.ndarray, change: Any) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.shape[-1:] != low.shape:
        raise ShapeError(
            f"The values have shape {values.shape}; expected (..., {len(low)}), one per name."
        )
    result = np.empty_like(values)
    for i, bounds in enumerate(zip(low, high, strict=True)):
        result[..., i] = change(np.ascontiguousarray(values[..., i]), *bounds)
    return result


def _free(value: np.ndarray, low: float, high: float) -> np.ndarray:
    if np.isfinite(low) and np.isfinite(high):
        return np.log((value - low) / (high - value))
    if np.isfinite(low):
        return np.log(value - low)
    return np.log(high - value) if np.isfinite(high) else value


def _bounded(coordinate: np.ndarray, low: float, high: float) -> np.ndarray:
    if np.isfinite(low) and np.isfinite(high):
        # of the two equal forms the one whose exponential cannot overflow
        ratio = np.exp(-np.abs(coordinate))
        upper = np.where(coordinate >= 0, 1.0, ratio) / (1.0 + ratio)
        return low + (high - low) * upper
    if np.isfinite(low):
        return low + np.exp(coordinate)
    return high - np.exp(coordinate) if np.isfinite(high) else coordinate
