"""``twinml.json``: what a model file takes and gives, in words and units, stored inside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch

from twinml import __version__
from twinml.errors import ArgumentError, IntegrityError

SCHEMA = "model/1"
OUTPUTS: tuple[str, ...] = ("mean", "lower", "upper", "in_domain", "std")
NUMERIC_OUTPUTS = tuple(name for name in OUTPUTS if name != "in_domain")
MEANING = {
    "mean": "expected value",
    "lower": "lower end of the interval",
    "upper": "upper end of the interval",
    "in_domain": "true where the input resembles the training data",
    "std": "standard deviation; nan where the kind has none",
}


@dataclass(frozen=True)
class Description:
    """What a model file takes and gives.

    Attributes:
        inputs: Column names of the input (B, k), in order.
        targets: Column names of mean, lower, upper and std (B, m), in order.
        input_units, target_units: Unit by name.
        level: Share of outcomes that lower..upper is meant to hold.
        guard: Lowest and highest value of each input in training, by name.
        kind: Kind of surrogate, for instance ``gp``.
        seeds: Seeds by what they were used for.
        dtype: Element type of the input.
        output_dtypes: Element type of each output.
        versions: Packages that wrote the file.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    input_units: Mapping[str, str]
    target_units: Mapping[str, str]
    level: float
    guard: Mapping[str, tuple[float, float]]
    kind: str
    seeds: Mapping[str, int]
    dtype: str
    output_dtypes: Mapping[str, str]
    versions: Mapping[str, str]

    @property
    def torch_dtype(self) -> torch.dtype:
        return getattr(torch, self.dtype)

    def to_json(self) -> bytes:
        return canonical_json({"schema": SCHEMA, **asdict(self)})

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Description:
        """Read ``twinml.json`` of the model file called ``name`` in messages."""
        values = read_json(data, f"twinml.json in {name}")
        check_schema(values, SCHEMA, f"twinml.json in {name}")
        try:
            chosen = {field.name: values[field.name] for field in fields(cls)}
            chosen["inputs"] = tuple(chosen["inputs"])
            chosen["targets"] = tuple(chosen["targets"])
            chosen["guard"] = {key: (low, high) for key, (low, high) in chosen["guard"].items()}
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"twinml.json in {name} lacks an entry: {error!r}. Export it again."
            ) from error
        return cls(**chosen)


def versions() -> dict[str, str]:
    """The packages whose version decides what is written."""
    return {"torch": torch.__version__, "twinml": __version__}


def canonical_json(values: Mapping[str, Any]) -> bytes:
    """The one text that stands for these values: sorted keys, two spaces, a final newline."""
    text = json.dumps(values, sort_keys=True, indent=2, ensure_ascii=True, allow_nan=False)
    return text.encode("ascii") + b"\n"


def read_json(data: bytes, name: str) -> dict[str, Any]:
    """Parse a JSON object, or IntegrityError naming the file."""
    try:
        values = json.loads(data)
    except ValueError as error:
        raise IntegrityError(f"{name} is no JSON text: {error}. Export it again.") from error
    if not isinstance(values, dict):
        raise IntegrityError(f"{name} holds no JSON object. Export it again.")
    return values


def check_schema(values: Mapping[str, Any], schema: str, name: str) -> None:
    """Refuse a file that another version wrote in another form (ArgumentError)."""
    found = values.get("schema")
    if found != schema:
        written = values.get("versions")
        by = written.get("twinml", "unknown") if isinstance(written, Mapping) else "unknown"
        raise ArgumentError(
            f"{name} has schema {found!r}, written by twinml {by}; twinml {__version__} "
            f"reads {schema!r}. Use the version that wrote it, or export again."
        )
