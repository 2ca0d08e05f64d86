"""The sweep's files: manifest, ledger and one Parquet file per shard.

``manifest.json`` says what the sweep is, ``shards/<first sample>.parquet`` hold the rows, and
``ledger.jsonl`` has one line per finished shard, appended after its file is in place. A shard
counts as done when the ledger names it and its file has the size written there; everything
else may be computed again, so a sweep can be cut off at any moment.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from twinml.errors import ArgumentError, DataError, IntegrityError
from twinml.sweep.folder import AbstractFolder, LocalFolder, normal, open_folder
from twinml.sweep.plan import Shard

if TYPE_CHECKING:
    from twinml.data.table import Table

SCHEMA = "sweep/2"
READABLE = (SCHEMA, "sweep/1")
MANIFEST, LEDGER, SHARDS = "manifest.json", "ledger.jsonl", "shards"


@final
@dataclass(frozen=True)
class ShardReport:
    """A finished shard: its rows, what became of them, and its file's fingerprint.

    Args:
        failed: Rows with a failure that no rung of the ladder could mend.
        size, sha256: Of the file.
        seconds: What it took to compute and write.
        mended: Rows that a rung of the ladder saved, by the rung's name.
    """

    start: int
    stop: int
    failed: int
    size: int
    sha256: str
    seconds: float = 0.0
    mended: Mapping[str, int] = field(default_factory=dict)

    @property
    def shard(self) -> Shard:
        return Shard(self.start, self.stop)

    def to_mapping(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, content: Mapping[str, Any]) -> ShardReport:
        """From plain data; what a later version adds is left out."""
        known = {item.name for item in fields(cls)}
        return cls(**{name: value for name, value in content.items() if name in known})


@final
@dataclass(frozen=True)
class Store:
    """A sweep's folder: a local path, or an address such as ``s3://bucket/sweep``."""

    out: str | os.PathLike[str]

    def __post_init__(self) -> None:
        object.__setattr__(self, "out", normal(self.out))

    @cached_property
    def folder(self) -> AbstractFolder:
        return open_folder(self.out)

    @property
    def path(self) -> Any:
        """A ``Path`` where it is local, else the address as text."""
        folder = self.folder
        return folder.path if isinstance(folder, LocalFolder) else folder.location

    @property
    def exists(self) -> bool:
        """Whether a sweep was begun here."""
        return self.folder.exists(MANIFEST)

    def shard_path(self, shard: Shard) -> Any:
        """Where a shard's file lies: a ``Path``, or an address as text."""
        return self._full(f"{SHARDS}/{shard.name}")

    def open_shard(self, shard: Shard) -> Any:
        """A shard's file, open for reading at any place."""
        return self.folder.open(f"{SHARDS}/{shard.name}")

    def read_manifest(self) -> dict[str, Any]:
        """The manifest.

        Raises:
            DataError: There is none, it is damaged, or another version wrote it.
        """
        if not self.exists:
            raise DataError(
                f"There is no sweep at {self.out}: it has no manifest.json. "
                "Check the path; 'twinml sweep ... out=<path>' makes one."
            )
        try:
            manifest = json.loads(self.folder.read(MANIFEST))
            schema = manifest["schema"]
        except (ValueError, KeyError, TypeError):
            raise DataError(
                f"{self._full(MANIFEST)} is not a sweep's manifest: it was cut or changed. Restore "
                "it, or sweep again into another folder."
            ) from None
        if schema not in READABLE:
            raise DataError(
                f"{self.out} has schema '{schema}'; this version reads "
                f"{' and '.join(repr(name) for name in READABLE)}. "
                "Read it with the version that wrote it."
            )
        return manifest

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        """Replace the manifest in one step; it keeps the schema it names."""
        self.write_json(MANIFEST, {"schema": SCHEMA, **manifest})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write one JSON file that is either whole or absent."""
        self.folder.write(name, (json.dumps(content, indent=2, allow_nan=False) + "\n").encode())

    def record(self, report: ShardReport) -> None:
        """Append a finished shard to the ledger, through to the disk."""
        self.folder.append(LEDGER, json.dumps(report.to_mapping()).encode())

    def done(self, *, verify: bool = False) -> tuple[ShardReport, ...]:
        """Finished shards in sample order, without overlap, that are still in place.

        Args:
            verify: Compare every byte by its sha256, not only the size; what differs counts as
                not done.
        """
        return self.sorted_out(verify=verify)[0]

    def sorted_out(
        self, *, verify: bool = False
    ) -> tuple[tuple[ShardReport, ...], tuple[ShardReport, ...]]:
        """What ``done`` gives, and the shards that were finished but are cut or gone."""
        found = {report.start: report for report in self._ledger()}
        kept: list[ShardReport] = []
        damaged: list[ShardReport] = []
        for _, report in sorted(found.items()):
            name = f"{SHARDS}/{report.shard.name}"
            if kept and report.start < kept[-1].stop:
                continue
            whole = self.folder.size(name) == report.size and not (
                verify and self._sha256(name) != report.sha256
            )
            (kept if whole else damaged).append(report)
        return tuple(kept), tuple(damaged)

    def damage(self, damaged: Sequence[ShardReport]) -> str:
        """Cut or missing shards in words, "" where there are none."""
        if not damaged:
            return ""
        first = damaged[0]
        size = self.folder.size(f"{SHARDS}/{first.shard.name}")
        what = "is gone" if size is None else f"has {size:,} of its {first.size:,} bytes"
        if size == first.size:
            what = "is not what was written"
        more = f" and {len(damaged) - 1:,} more" if len(damaged) > 1 else ""
        rows = sum(len(report.shard) for report in damaged)
        return (
            f"{SHARDS}/{first.shard.name} {what}{more}: {rows:,} finished rows are lost, which "
            "resume computes again"
        )

    def read_shard(self, report: ShardReport) -> Table:
        """A shard, checked against the fingerprint in the ledger.

        Raises:
            IntegrityError: The file is not what was written.
        """
        import pyarrow.parquet as pq

        from twinml.data.table import Table

        name = f"{SHARDS}/{report.shard.name}"
        if self._sha256(name) != report.sha256:
            raise IntegrityError(
                f"{self._full(name)} is not what the sweep wrote (its sha256 differs from the "
                "ledger's). Resume the sweep: only its rows are computed again."
            )
        with self.folder.open(name) as file:
            return Table.from_arrow(pq.read_table(file), origin=str(self._full(name)))

    def check_identity(self, manifest: Mapping[str, Any], identity: Mapping[str, Any]) -> None:
        """Refuse to go on with a sweep that is not the one asked for.

        Raises:
            ArgumentError: Names the first thing that differs, with both values.
        """
        before = manifest["identity"]
        # the first schema knew less of a sweep: what it lacks cannot be compared
        names = before if manifest["schema"] == "sweep/1" else [*before, *identity]
        for name in dict.fromkeys(names):
            if before.get(name) != identity.get(name):
                raise ArgumentError(
                    f"{self.out} cannot be resumed: {name} differs ({_short(before.get(name))} "
                    f"when it was begun, {_short(identity.get(name))} now), and the rows would "
                    "not belong together. Restore what it was, or begin a new sweep in another "
                    "out=."
                )

    def check_growth(self, manifest: Mapping[str, Any], samples: int) -> None:
        """Refuse to go on with fewer samples than a sweep has.

        Raises:
            ArgumentError: with both numbers.
        """
        if samples < manifest["samples"]:
            raise ArgumentError(
                f"{self.out} was begun with samples={manifest['samples']:,}; it cannot shrink to "
                f"{samples:,}. Ask for at least as many; any prefix can be read at any time."
            )

    def _full(self, name: str) -> Any:
        return self.path / name if isinstance(self.path, Path) else f"{self.path}/{name}"

    def _ledger(self) -> Iterator[ShardReport]:
        if not self.folder.exists(LEDGER):
            return
        for line in self.folder.read(LEDGER).splitlines():
            try:
                yield ShardReport.from_mapping(json.loads(line))
            except (ValueError, TypeError, AttributeError):
                continue  # cut off while it was written: its shard counts as not done

    def _sha256(self, name: str) -> str:
        with self.folder.open(name) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()  # pyright: ignore


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) < 40 else f"digest {text[:12]}"
