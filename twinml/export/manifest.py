"""``manifest.json``: size and sha256 of every other file of an artifact, and of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twinml.errors import ArgumentError, IntegrityError
from twinml.export.description import canonical_json, check_schema, read_json, versions
from twinml.export.seal import digest

SCHEMA = "artifact/1"
FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """What an artifact's folder must hold.

    Attributes:
        target: Name of the format.
        model: Name of the model file.
        files: Size in bytes and sha256 by file name, the manifest itself left out.
        versions: Packages that wrote the artifact.
    """

    target: str
    model: str
    files: Mapping[str, tuple[int, str]]
    versions: Mapping[str, str]

    def to_json(self) -> bytes:
        return canonical_json(_with_digest(self._values()))

    def all_files(self) -> dict[str, tuple[int, str]]:
        """``files`` and the manifest itself."""
        data = self.to_json()
        return {**self.files, FILE: (len(data), digest(data))}

    def _values(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "target": self.target,
            "model": self.model,
            "files": {
                name: {"bytes": size, "sha256": sha} for name, (size, sha) in self.files.items()
            },
            "versions": dict(self.versions),
        }

    @classmethod
    def from_json(cls, data: bytes, name: str) -> Manifest:
        """Read a manifest and refuse any byte that ``to_json`` would not write.

        Raises:
            IntegrityError: A bit has changed.
            ArgumentError: Another version of twinml wrote it in another form.
        """
        values = read_json(data, name)
        family = SCHEMA.partition("/")[0]
        if str(values.get("schema", family)).partition("/")[0] != family:
            raise IntegrityError(
                f"{name} is not an artifact's: its schema is {values['schema']!r}, expected "
                f"{SCHEMA!r}. Give the folder that twinml export wrote, or its model file."
            )
        plain = {key: value for key, value in values.items() if key != "sha256"}
        try:
            written = canonical_json(_with_digest(plain))
        except ValueError:  # a changed number may read as nan, which canonical text refuses
            written = b""
        if written != data:
            raise IntegrityError(
                f"{name} does not match the sha256 written in it: at least one bit has changed. "
                "Copy or export the artifact again."
            )
        check_schema(values, SCHEMA, name)
        try:
            return cls(
                target=values["target"],
                model=values["model"],
                files={
                    file: (entry["bytes"], entry["sha256"])
                    for file, entry in values["files"].items()
                },
                versions=values["versions"],
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise IntegrityError(f"{name} lacks an entry: {error!r}. Export it again.") from error


def make_manifest(target: str, model: str, files: Mapping[str, bytes]) -> Manifest:
    """The manifest of these file contents."""
    sizes = {name: (len(data), digest(data)) for name, data in files.items()}
    return Manifest(target, model, sizes, versions())


def read_folder(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Read an artifact's folder, each file once, and refuse anything that is not as written.

    Returns:
        The manifest and the contents of all other files by name.

    Raises:
        IntegrityError: A file is missing, was added or has changed.
        ArgumentError: A file cannot be read, or another version wrote the artifact.
    """
    present = {entry.name for entry in folder.iterdir()}
    if FILE not in present:
        raise IntegrityError(
            f"{folder} has no {FILE}; expected the folder that twinml export wrote. "
            "Give that folder or its model file, or export again."
        )
    manifest = Manifest.from_json(read_bytes(folder / FILE), str(folder / FILE))
    expected = {FILE, *manifest.files}
    missing, extra = sorted(expected - present), sorted(present - expected)
    if missing:
        raise IntegrityError(
            f"{folder} lacks {', '.join(missing)}, which {FILE} lists. Copy the whole folder again."
        )
    if extra:
        raise IntegrityError(
            f"{folder} also holds {', '.join(extra)}, which {FILE} does not list. Move it out of "
            "the artifact: what was not exported is not verified."
        )
    contents = {name: read_bytes(folder / name) for name in manifest.files}
    for name, data in contents.items():
        size, sha = manifest.files[name]
        if len(data) != size or digest(data) != sha:
            raise IntegrityError(
                f"{folder / name} has {len(data)} bytes with sha256 {digest(data)[:12]}...; {FILE} "
                f"lists {size} bytes with sha256 {sha[:12]}...: it was changed or belongs to "
                "another artifact. Copy or export the artifact again."
            )
    return manifest, contents


def read_bytes(path: Path) -> bytes:
    """The whole file; IntegrityError if it is no file, ArgumentError if it cannot be read."""
    if not path.is_file():
        raise IntegrityError(f"{path} is no regular file. Copy or export the artifact again.")
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror}.") from error


def _with_digest(values: Mapping[str, Any]) -> dict[str, Any]:
    return {**values, "sha256": digest(canonical_json(values))}
