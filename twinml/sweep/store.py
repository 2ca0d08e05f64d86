"""The sweep on disk: manifest, ledger and one Parquet file per shard.

``manifest.json`` says what the sweep is, ``shards/<first sample>.parquet`` hold the rows, and
``ledger.jsonl`` has one line per finished shard, appended after its file is in place. A shard
counts as done when the ledger names it and its file has the size written there; everything
else may be computed again, so a sweep can be cut off at any moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ArgumentError, DataError, IntegrityError
from twinml.sweep.plan import Shard

if TYPE_CHECKING:
    from twinml.data.table import Table

SCHEMA = "sweep/1"


@final
@dataclass(frozen=True)
class ShardReport:
    """A finished shard: its rows, what became of them, and its file's fingerprint."""

    start: int
    stop: int
    failed: int
    size: int
    sha256: str
    seconds: float = 0.0

    @property
    def shard(self) -> Shard:
        return Shard(self.start, self.stop)


@final
@dataclass(frozen=True)
class Store:
    """A sweep's directory."""

    path: Path

    @property
    def manifest_path(self) -> Path:
        return self.path / "manifest.json"

    @property
    def ledger_path(self) -> Path:
        return self.path / "ledger.jsonl"

    @property
    def exists(self) -> bool:
        """Whether a sweep was begun here."""
        return self.manifest_path.is_file()

    def shard_path(self, shard: Shard) -> Path:
        return self.path / "shards" / shard.name

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            DataError: There is none, it is damaged, or another version wrote it.
        """
        if not self.exists:
            raise DataError(
                f"There is no sweep at {self.path}: it has no manifest.json. "
                "Check the path; 'twinml sweep ... out=<path>' makes one."
            )
        try:
            manifest = json.loads(self.manifest_path.read_text())
            schema = manifest["schema"]
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{self.manifest_path} is not a sweep's manifest: it was cut or changed. Restore "
                "it, or sweep again into another folder."
            ) from None
        if schema != SCHEMA:
            raise DataError(
                f"{self.path} has schema '{schema}'; this version reads '{SCHEMA}'. "
                "Read it with the version that wrote it."
            )
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest in one step."""
        self.write_json(self.manifest_path.name, {"schema": SCHEMA, **manifest})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file that is either whole or absent."""
        from twinml.data.atomic import replacing

        with replacing(self.path / name) as temporary:
            temporary.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_shard(self, shard: Shard, table: Table, failed: int, seconds: float) -> ShardReport:
        """Put a shard's file in place; the ledger is the caller's."""
        path = self.shard_path(shard)
        table.write_parquet(path)
        digest = _sha256(path)
        return ShardReport(
            shard.start, shard.stop, failed, path.stat().st_size, digest, round(seconds, 3)
        )

    def record(self, report: ShardReport) -> None:
        """Append a finished shard to the ledger, through to the disk."""
        with open(self.ledger_path, "a+b") as ledger:
            if ledger.tell() and not _ends_line(ledger):
                ledger.write(b"\n")  # the last writer died inside a line
            ledger.write(json.dumps(vars(report)).encode() + b"\n")
            ledger.flush()
            os.fsync(ledger.fileno())

    def done(self) -> tuple[ShardReport, ...]:
        """Finished shards in sample order, without overlap, that are still in place."""
        found: dict[int, ShardReport] = {}
        for report in self._ledger():
            path = self.shard_path(report.shard)
            if path.is_file() and path.stat().st_size == report.size:
                found[report.start] = report
        kept: list[ShardReport] = []
        for _, report in sorted(found.items()):
            if not kept or report.start >= kept[-1].stop:
                kept.append(report)
        return tuple(kept)

    def read_shard(self, report: ShardReport) -> Table:
        """A shard, checked against the fingerprint in the ledger.

        Raises:
            IntegrityError: The file is not what was written.
        """
        from twinml.data.table import Table

        path = self.shard_path(report.shard)
        if _sha256(path) != report.sha256:
            raise IntegrityError(
                f"{path} is not what the sweep wrote (its sha256 differs from the ledger's). "
                "Delete it and resume the sweep; only its rows are computed again."
            )
        return Table.read_parquet(path)

    def check_identity(self, manifest: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Refuse to go on with a sweep that is not the one asked for.

        Raises:
            ArgumentError: Names the first thing that differs, with both values.
        """
        before = manifest["identity"]
        for name in dict.fromkeys([*before, *identity]):
            if before.get(name) != identity.get(name):
                raise ArgumentError(
                    f"{self.path} cannot be resumed: {name} differs ({_short(before.get(name))} "
                    f"when it was begun, {_short(identity.get(name))} now), and the rows would "
                    "not belong together. Restore what it was, or begin a new sweep in another "
                    "out=."
                )

    def _ledger(self) -> Iterator[ShardReport]:
        if not self.ledger_path.is_file():
            return
        for line in self.ledger_path.read_bytes().splitlines():
            try:
                yield ShardReport(**json.loads(line))
            except (ValueError, TypeError):
                continue  # cut off while it was written: its shard counts as not done


def _ends_line(file: Any) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else f"digest {text[:12]}"


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
