"""``verify``: is the artifact what was written, and does it compute what the surrogate did?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from twinml.export.artifact import Artifact, LoadedArtifact, read_artifact
from twinml.export.description import NUMERIC_OUTPUTS, versions
from twinml.export.parity import BATCH_SIZES, TOLERANCE, Difference, compare


@dataclass(frozen=True)
class Verification:
    """The figures of a passed verification.

    Attributes:
        path: What was verified.
        target: Name of the format.
        files: Names of the files whose bytes were checked.
        bytes: Their size together.
        rows: Golden rows computed again.
        batch_sizes: At each of these sizes.
        dtype: In this type.
        differences: The largest difference of each output of each target.
        written_by, checked_by: Package versions then and now.
    """

    path: Path
    target: str
    files: tuple[str, ...]
    bytes: int
    rows: int
    batch_sizes: tuple[int, ...]
    dtype: str
    differences: tuple[Difference, ...]
    written_by: dict[str, str]
    checked_by: dict[str, str]

    @property
    def largest(self) -> dict[str, float]:
        """Largest relative difference by output."""
        return {
            output: max(d.relative for d in self.differences if d.output == output)
            for output in NUMERIC_OUTPUTS
        }

    def table(self) -> list[dict[str, str]]:
        """One row for each output, keys are the column titles."""
        rows = []
        for output in NUMERIC_OUTPUTS:
            some = [d for d in self.differences if d.output == output]
            worst = max(some, key=lambda difference: difference.relative)
            rows.append(
                {
                    "output": output,
                    "relative difference": f"{worst.relative:.2g}",
                    "allowed": f"{TOLERANCE:g}",
                    "target": worst.target if worst.relative > 0 else "all",
                    "batch size": str(worst.batch) if worst.relative > 0 else "all",
                }
            )
        exact = {"relative difference": "none", "allowed": "none", "batch size": "all"}
        return [*rows, {"output": "in_domain", **exact, "target": "all"}]

    def __str__(self) -> str:
        """Plain lines to print: what was checked, then ``table()``."""
        rows = self.table()
        lines = [list(rows[0]), *([row[title] for title in rows[0]] for row in rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        sizes = ", ".join(map(str, self.batch_sizes))
        return "\n".join(
            [
                f"{self.path}: {', '.join(self.files)}; {self.bytes} bytes, every bit as written",
                f"{self.rows} golden rows in {self.dtype} at batch sizes {sizes}:",
                *("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines),
                f"written by {_pairs(self.written_by)}; checked by {_pairs(self.checked_by)}",
            ]
        )


def _pairs(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def verify(path: str | Path) -> Verification:
    """Check every bit of an artifact, then its numbers.

    The stored rows are computed again in batches of several sizes and compared with the answers
    of the surrogate itself, stored beside them. Nothing is loaded before all bits are checked.

    Args:
        path: The artifact's folder, or its bare model file.

    Returns:
        Figures; a return means that everything holds.

    Raises:
        ArgumentError: There is nothing at ``path``.
        IntegrityError: A file is missing, was added, cut, or has a changed bit.
        ParityError: An output differs from the surrogate's answer by more than 2e-6 of its
            largest magnitude, or ``in_domain`` differs.
    """
    return check_parity(read_artifact(path))[0]


def load_artifact(path: str | Path) -> LoadedArtifact:
    """Verify an artifact, then return it ready to be called; same errors as ``verify``."""
    artifact = read_artifact(path)
    return check_parity(artifact)[1]


def check_parity(artifact: Artifact) -> tuple[Verification, LoadedArtifact]:
    """Compute the golden rows of a checked artifact and compare (ParityError)."""
    program = artifact.load()
    differences = compare(program, artifact.golden, artifact.description, str(artifact.path))
    verification = Verification(
        path=artifact.path,
        target=artifact.target,
        files=tuple(artifact.files),
        bytes=sum(size for size, _ in artifact.files.values()),
        rows=len(artifact.golden),
        batch_sizes=(*BATCH_SIZES, len(artifact.golden)),
        dtype=artifact.description.dtype,
        differences=differences,
        written_by=dict(artifact.description.versions),
        checked_by=versions(),
    )
    return verification, LoadedArtifact(artifact, program)
