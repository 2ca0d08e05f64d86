"""What compilers said of themselves, kept on disk, so that a warm start runs no program."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import final

from twinml.engines.kernel_cache import Cache, write_whole

_FILE = "compilers.json"


@final
class Versions:
    """A table in the cache's folder, by command; an answer holds while the file is the same."""

    def __init__(self, cache: Cache) -> None:
        self._path = cache.folder / _FILE

    def get(self, command: tuple[str, ...], real: Path) -> tuple[str, str] | None:
        entry = self._read().get(shlex.join(command))
        if not isinstance(entry, dict) or entry.get("file") != asdict(_Stamp.of(real)):
            return None
        kind, version = entry.get("kind"), entry.get("version")
        if not (isinstance(kind, str) and isinstance(version, str)):
            return None
        return kind, version

    def put(self, command: tuple[str, ...], real: Path, told: tuple[str, str]) -> None:
        entry = {"file": asdict(_Stamp.of(real)), "kind": told[0], "version": told[1]}
        table = {**self._read(), shlex.join(command): entry}
        # Only a convenience: when it cannot be kept, the compiler is asked again next time.
        write_whole(self._path, json.dumps(table, indent=1).encode(), must=False)

    def _read(self) -> dict[str, object]:
        try:
            table = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return table if isinstance(table, dict) else {}


@final
@dataclass(frozen=True)
class _Stamp:
    path: str
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> _Stamp:
        told = path.stat()
        return cls(str(path), told.st_size, told.st_mtime_ns)
