"""Kinds of surrogate and what can be set about each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from twinml.errors import ConfigError, nearest


@dataclass(frozen=True)
class GpOptions:
    """An exact Gaussian process per target.

    Args:
        rows: Training rows it is conditioned on; cost grows with the cube, memory with the square.
        coarse_rows: Rows on which the hyperparameters are searched before all rows refine them.
        coarse_evaluations: Likelihood evaluations of that search.
        evaluations: Likelihood evaluations on all rows; more when there are fewer than ``rows``.
        noise_floor: Smallest noise variance as a share of the target's variance.
        threads: CPU threads; with one, the bits do not depend on the number of cores. More pay off
            from some 2,000 rows on, when nothing else runs.
    """

    rows: int = 1024
    coarse_rows: int = 384
    coarse_evaluations: int = 60
    evaluations: int = 8
    noise_floor: float = 1e-6
    threads: int = 1


@dataclass(frozen=True)
class MlpOptions:
    """A neural network for all targets, trained by AdamW with a cosine schedule.

    Args:
        width, depth: Units in a hidden layer, and hidden layers.
        steps: Optimiser steps; rounded up to whole passes over the rows.
        batch: Rows in a step; an eighth of the rows when there are few.
        learning_rate: Its largest value.
        weight_decay: Decoupled decay.
        holdout: Share of the training rows that only picks the best pass.
        device: "cpu", or "cuda"; the CPU repeats bit for bit.
        threads: CPU threads. Steps this small gain nothing from a second one and lose much when
            something else runs; with one, the bits do not depend on the number of cores.
    """

    width: int = 96
    depth: int = 4
    steps: int = 6000
    batch: int = 512
    learning_rate: float = 1e-2
    weight_decay: float = 1e-4
    holdout: float = 0.1
    device: str = "cpu"
    threads: int = 1


Options = GpOptions | MlpOptions
KINDS: dict[str, type[Options]] = {"gp": GpOptions, "mlp": MlpOptions}
_POSITIVE = {
    "rows",
    "coarse_rows",
    "coarse_evaluations",
    "width",
    "depth",
    "steps",
    "batch",
    "threads",
}


def parse_options(
    surrogate: str | Mapping[str, Any], options: Mapping[str, Any] | None
) -> tuple[str, Options]:
    """Kind and options from ``"gp"`` or ``{"kind": "gp", "rows": 512}``, with further options.

    Raises:
        ConfigError: Unknown kind or key, or a value of the wrong type.
    """
    given = {"kind": surrogate} if isinstance(surrogate, str) else dict(surrogate)
    given.update(options or {})
    kind = given.pop("kind", None)
    if kind not in KINDS:
        raise ConfigError(
            f"surrogate kind is {kind!r}; expected one of {', '.join(KINDS)}."
            f"{nearest(str(kind), KINDS)}"
        )
    chosen: Any = KINDS[kind]
    known = {field.name: type(field.default) for field in fields(chosen)}
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                f"surrogate '{kind}' has no option '{name}'; it has {', '.join(known)}."
                f"{nearest(name, known)}"
            )
        given[name] = _checked(kind, name, value, known[name])
    return kind, chosen(**given)


def _checked(kind: str, name: str, value: Any, wanted: type) -> Any:
    if wanted is float and type(value) is int:
        value = float(value)
    if type(value) is not wanted:
        raise ConfigError(
            f"surrogate option {kind}.{name} is {value!r}, of type {type(value).__name__}; "
            f"expected {wanted.__name__}."
        )
    if (name in _POSITIVE and value < 1) or (wanted in (int, float) and not value >= 0):
        raise ConfigError(f"surrogate option {kind}.{name} is {value}; expected a larger number.")
    if name == "device" and value not in ("cpu", "cuda"):
        raise ConfigError(f"surrogate option mlp.device is '{value}'; expected cpu or cuda.")
    if name == "holdout" and float(value) > 0.5:
        raise ConfigError(f"surrogate option {kind}.holdout is {value}; expected at most 0.5.")
    return value
