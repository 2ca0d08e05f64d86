"""Parameter values with their posterior, and the evidence for them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np

from twinml.calibrate.named import NamedArray
from twinml.data.atomic import replacing
from twinml.data.posterior import Posterior
from twinml.errors import ArgumentError, DataError, nearest

SCHEMA = "calibration/1"
FILE = "calibration.json"
_AGAIN = "It was cut or changed; restore it, or make one with 'twinml calibrate twin=<name>'."


@final
@dataclass(frozen=True, eq=False)
class Calibration:
    """Result of ``calibrate``.

    Args:
        posterior: Estimates, bounds and covariance in unconstrained coordinates.
        covariance: Covariance in physical units by the delta method, shape (k, k).
        rmse: Root mean square residual per output, in the output's unit.
        samples: Measured values used per output.
        model: Name of the physics class.
        fixed: Parameters that were not fitted, with their values.
        record: sha256 of the record.
        starts: Starts tried; agreeing: those that ended at the same fit.
        settings: Method, tolerances and seed.
        converged: Whether the best start met a stopping rule.
    """

    posterior: Posterior
    covariance: np.ndarray
    rmse: Mapping[str, float]
    samples: Mapping[str, int]
    model: str
    fixed: Mapping[str, float]
    record: str
    starts: int
    agreeing: int
    converged: bool
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Fitted quantities: parameters, then ``initial.<state>``."""
        return self.posterior.names

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each fitted quantity."""
        return self.posterior.units

    @cached_property
    def values(self) -> NamedArray:
        """Estimates in physical units, shape (k,); by number or name."""
        return NamedArray(self.posterior.values, self.names)

    @cached_property
    def std(self) -> NamedArray:
        """Standard errors in physical units, shape (k,)."""
        return NamedArray(np.sqrt(np.diag(self.covariance)), self.names)

    @property
    def noise(self) -> Mapping[str, float]:
        """Measurement standard deviation per output, given or estimated."""
        return self.posterior.noise

    @cached_property
    def correlation(self) -> np.ndarray:
        """Correlations of the estimates in physical units, shape (k, k)."""
        scale = np.sqrt(np.diag(self.covariance))
        return self.covariance / np.outer(scale, scale)

    def interval(self, level: float = 0.9) -> NamedArray:
        """Two-sided Student-t intervals, shape (k, 2), inside the bounds.

        Symmetric in the unconstrained coordinate, hence not about the estimate.

        Raises:
            ArgumentError: ``level`` outside (0, 1).
        """
        if not 0 < level < 1:
            raise ArgumentError(
                f"level={level!r}; expected a probability inside (0, 1), such as 0.9."
            )
        from scipy.special import stdtrit

        posterior = self.posterior
        quantile = float(stdtrit(max(posterior.degrees_of_freedom, 1), 0.5 + level / 2))
        half = quantile * np.sqrt(np.diag(posterior.covariance_unconstrained))
        ends = [
            posterior.from_unconstrained(posterior.mean_unconstrained + s * half) for s in (-1, 1)
        ]
        # A coordinate that falls with the value turns its interval round.
        return NamedArray(np.sort(np.stack(ends, axis=1), axis=1), self.names)

    def parameters(self) -> dict[str, float]:
        """Fitted parameters by name, as ``simulate(parameters=...)`` takes them."""
        return {n: float(self.values[n]) for n in self.names if not n.startswith("initial.")}

    def initial(self) -> dict[str, float]:
        """Fitted initial values by state, as ``simulate(initial=...)`` takes them."""
        return {
            n.removeprefix("initial."): float(self.values[n])
            for n in self.names
            if n.startswith("initial.")
        }

    @property
    def experiments(self) -> tuple[str, ...]:
        """Experiments with initial values of their own, in the order of the record."""
        return tuple(dict.fromkeys(n.partition("@")[2] for n in self.names if "@" in n))

    def experiment(self, name: str) -> Calibration:
        """What holds for one experiment: the parameters and its own initial values.

        Raises:
            DataError: no experiment of that name was fitted.
        """
        if name not in self.experiments:
            known = ", ".join(self.experiments) or "none with initial values of its own"
            raise DataError(
                f"the calibration knows no experiment '{name}'; it has {known}."
                + nearest(name, self.experiments)
            )
        return self._part({n: n.partition("@")[0] for n in self.names if n.endswith(f"@{name}")})

    def shared(self) -> Calibration:
        """What holds for all experiments: the parameters, without anyone's initial values."""
        return self._part({})

    def _part(self, own: Mapping[str, str]) -> Calibration:
        """The marginal of what all experiments share and of ``own``, name -> new name."""
        kept = [i for i, n in enumerate(self.names) if "@" not in n or n in own]
        marginal = self.posterior.subset([self.names[i] for i in kept])
        names = tuple(own.get(n, n) for n in marginal.names)
        return replace(
            self,
            posterior=replace(marginal, names=names),
            covariance=self.covariance[np.ix_(kept, kept)],
        )

    def metrics(self, level: float = 0.9) -> dict[str, float]:
        """Flat figures for ``metrics.json``."""
        interval = self.interval(level)
        out: dict[str, float] = {}
        for index, name in enumerate(self.names):
            out[f"calibration.{name}.value"] = float(self.values[index])
            out[f"calibration.{name}.std"] = float(self.std[index])
            out[f"calibration.{name}.low"] = float(interval[index][0])
            out[f"calibration.{name}.high"] = float(interval[index][1])
        pooled = sum(self.rmse[n] ** 2 * self.samples[n] for n in self.rmse)
        if len(self.rmse) == 1:
            out["fit.rmse"] = float(np.sqrt(pooled / sum(self.samples.values())))
        for name, value in self.rmse.items():
            out[f"fit.{name}.rmse"] = float(value)
            out[f"fit.{name}.noise"] = float(self.noise[name])
        return out

    def to_json(self) -> dict[str, Any]:
        """Plain data with its schema."""
        return {
            "schema": SCHEMA,
            "model": self.model,
            "posterior": self.posterior.to_json(),
            "covariance": self.covariance.tolist(),
            "rmse": dict(self.rmse),
            "samples": dict(self.samples),
            "fixed": dict(self.fixed),
            "record": self.record,
            "starts": self.starts,
            "agreeing": self.agreeing,
            "converged": self.converged,
            "settings": dict(self.settings),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any], source: str = "calibration") -> Calibration:
        """Read what ``to_json`` wrote.

        Raises:
            DataError: another schema, or a key is absent.
        """
        content = dict(data)
        schema = content.pop("schema", None)
        if schema != SCHEMA:
            raise DataError(
                f"{source} has schema {schema!r}; this version reads '{SCHEMA}'. Calibrate again, "
                "or read it with the version that wrote it."
            )
        try:
            content["posterior"] = Posterior.from_json(content["posterior"])
            content["covariance"] = np.asarray(content["covariance"], dtype=np.float64)
            return cls(**content)
        except KeyError as error:
            raise DataError(
                f"{source} is not a whole calibration: it lacks {error}. {_AGAIN}"
            ) from None
        except (DataError, TypeError, ValueError) as error:
            text = str(error).rstrip(".")
            raise DataError(f"{source} is not a whole calibration ({text}). {_AGAIN}") from None

    def save(self, path: str | Path) -> Path:
        """Write ``calibration.json`` at ``path`` (a file, or a folder that will hold it).

        The file appears whole or not at all.
        """
        path = Path(path)
        if path.suffix != ".json":
            path = path / FILE
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary:
            Path(temporary).write_text(json.dumps(self.to_json(), indent=1) + "\n")
        return path


def load_calibration(path: str | Path) -> Calibration:
    """Read a calibration from its file or from the run directory that holds it.

    Raises:
        DataError: no such file, not JSON, another schema.
    """
    path = Path(path)
    if path.is_dir():
        path = path / FILE
    if not path.is_file():
        raise DataError(
            f"{path} does not exist; expected a calibration.json, or the directory of a calibrate "
            "run. Make one with 'twinml calibrate twin=<name>'."
        )
    try:
        data = json.loads(path.read_text())
    except ValueError as error:
        raise DataError(f"{path} is not JSON ({error}); expected a calibration. {_AGAIN}") from None
    if not isinstance(data, dict):
        raise DataError(f"{path} holds a {type(data).__name__}; expected a calibration. {_AGAIN}")
    return Calibration.from_json(data, str(path))
