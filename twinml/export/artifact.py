"""An exported artifact: read, described, loaded. Nothing is run before every bit is checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from twinml.errors import ArgumentError, IntegrityError, nearest
from twinml.export.description import NUMERIC_OUTPUTS, OUTPUTS, Description
from twinml.export.golden import Golden
from twinml.export.manifest import FILE, read_bytes, read_folder
from twinml.export.seal import digest
from twinml.export.targets import TARGETS, Target, find_target
from twinml.surrogate.surrogate import Prediction

DESCRIPTION_FILE = "twinml.json"
GOLDEN_FILE = "golden.json"


@dataclass(frozen=True)
class Artifact:
    """An artifact whose every bit has been checked; its numbers are checked by ``verify``.

    Attributes:
        path: The folder, or the bare model file.
        target: Name of the format.
        description: What the model takes and gives.
        golden: Rows with the surrogate's own answers.
        files: Size in bytes and sha256 of each file checked.
        model: Contents of the model file.
    """

    path: Path
    target: str
    description: Description
    golden: Golden = field(repr=False)
    files: Mapping[str, tuple[int, str]] = field(repr=False)
    model: bytes = field(repr=False)

    def load(self) -> Callable[[torch.Tensor], Any]:
        """The program: from x (B, k) to mean, lower, upper, in_domain, std."""
        return find_target(self.target).load(self.model)

    def describe(self) -> list[tuple[str, str]]:
        """Rows of (what, value) to print."""
        about = self.description
        rows = [
            ("artifact", str(self.path)),
            ("target", f"{self.target} ({find_target(self.target).runs_on})"),
            ("kind", about.kind),
            ("level", f"{about.level:g}"),
            ("input type", about.dtype),
            ("seeds", _pairs(about.seeds)),
            ("versions", _pairs(about.versions)),
            ("golden rows", str(len(self.golden))),
        ]
        for name in about.inputs:
            low, high = about.guard[name]
            rows.append((f"input {name}", f"{low:.6g} to {high:.6g} {about.input_units[name]}"))
        rows += [(f"target {name}", about.target_units[name]) for name in about.targets]
        rows += [
            (f"file {name}", f"{size} bytes, sha256 {sha[:12]}...")
            for name, (size, sha) in self.files.items()
        ]
        return rows


@dataclass(frozen=True)
class LoadedArtifact:
    """A verified artifact, ready to be called with a tensor or with values by name."""

    artifact: Artifact
    program: Callable[[torch.Tensor], Any] = field(repr=False)

    @property
    def description(self) -> Description:
        return self.artifact.description

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """From x (B, k), physical values in declared order, to the five outputs."""
        with torch.inference_mode():
            return tuple(self.program(x.to(self.description.torch_dtype)))

    def predict(self, values: Mapping[str, Any]) -> Prediction:
        """Answer for values by input name, each a number or an array (B,).

        Raises:
            ArgumentError: A name is missing or unknown, or lengths differ.
        """
        outputs = dict(zip(OUTPUTS, self(self._stack(values)), strict=True))
        by_target = {
            output: {
                target: outputs[output][:, column].numpy()
                for column, target in enumerate(self.description.targets)
            }
            for output in NUMERIC_OUTPUTS
        }
        return Prediction(**by_target, in_domain=outputs["in_domain"][:, 0].numpy())

    def _stack(self, values: Mapping[str, Any]) -> torch.Tensor:
        names = self.description.inputs
        unknown = [name for name in values if name not in names]
        if unknown:
            raise ArgumentError(
                f"'{unknown[0]}' is no input of {self.artifact.path}; expected "
                f"{', '.join(names)}.{nearest(unknown[0], names)}"
            )
        missing = [name for name in names if name not in values]
        if missing:
            raise ArgumentError(
                f"{', '.join(missing)} not given; {self.artifact.path} takes "
                f"{', '.join(names)}. Give a number or an array for each."
            )
        try:
            columns = [np.asarray(values[name], dtype=np.float64).reshape(-1) for name in names]
            rows = np.stack(np.broadcast_arrays(*columns), axis=1)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                f"Values cannot be arranged as rows: {error}. Give numbers or arrays of one length."
            ) from error
        return torch.from_numpy(rows)


def read_artifact(path: str | Path) -> Artifact:
    """Read a folder or a bare model file and check every bit, without running anything.

    Raises:
        ArgumentError: There is nothing at ``path``, or another version wrote it.
        IntegrityError: Something is not as it was written; the file is named.
    """
    path = Path(path)
    if path.is_dir():
        manifest, contents = read_folder(path)
        target, name = find_target(manifest.target), str(path / manifest.model)
        if manifest.model not in contents:
            raise IntegrityError(f"{path / FILE} lists no {manifest.model}. Export again.")
        model, files = contents[manifest.model], manifest.all_files()
    elif path.exists():
        model, name, target = read_bytes(path), str(path), _target_of(path)
        files = {path.name: (len(model), digest(model))}
    else:
        raise ArgumentError(
            f"There is nothing at {path}; expected an artifact's folder or its model file. "
            "Check the path, or export first."
        )
    target.check(model, name)
    extra = target.unpack(model, name)
    for needed in (DESCRIPTION_FILE, GOLDEN_FILE):
        if needed not in extra:
            raise IntegrityError(f"{name} holds no {needed}; expected a file of twinml export.")
    return Artifact(
        path=path,
        target=target.name,
        description=Description.from_json(extra[DESCRIPTION_FILE], name),
        golden=Golden.from_json(extra[GOLDEN_FILE], name),
        files=files,
        model=model,
    )


def _target_of(path: Path) -> Target:
    """The target whose files end like this one, else the first: its check words the refusal."""
    alike = [target for target in TARGETS.values() if Path(target.file).suffix == path.suffix]
    return (alike or list(TARGETS.values()))[0]


def _pairs(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items()) or "none"
