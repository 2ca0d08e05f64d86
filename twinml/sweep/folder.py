"""Where a sweep's files lie: a folder of this machine, or an address that fsspec reaches.

Everything written through here is either whole or absent. Local files are renamed into place;
elsewhere a file appears when its last byte has arrived, as object stores have it.
"""

from __future__ import annotations

import io
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, final

from twinml.errors import ArgumentError, MissingDependencyError

LOCAL = ("file://", "local://")


class AbstractFolder(ABC):
    """A place for files; names are relative, with ``/`` between their parts.

    ``shared`` says whether other processes of this machine see what is written.
    """

    location: str
    shared: bool = True

    @abstractmethod
    def size(self, name: str) -> int | None:
        """Bytes of a file; None where there is none."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The whole file.

        Raises:
            OSError: There is none, or it cannot be read.
        """

    @abstractmethod
    def open(self, name: str) -> BinaryIO:
        """The file, open for reading at any place."""

    @abstractmethod
    def writing(self, name: str) -> Any:
        """A context that gives a binary file; it becomes ``name`` when the block ends well."""

    @abstractmethod
    def append(self, name: str, line: bytes, durable: bool = True) -> None:
        """Add one line, through to the disk where ``durable``; a line cut off before is closed."""

    @abstractmethod
    def names(self, below: str) -> list[str]:
        """Names of the files directly below a subfolder, sorted; none where it is absent."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    def exists(self, name: str) -> bool:
        return self.size(name) is not None

    def write(self, name: str, content: bytes) -> None:
        """Put a whole file in place."""
        with self.writing(name) as file:
            file.write(content)


@final
class LocalFolder(AbstractFolder):
    """A folder of this machine's file system."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.location = str(path)

    def size(self, name: str) -> int | None:
        path = self.path / name
        return path.stat().st_size if path.is_file() else None

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def open(self, name: str) -> BinaryIO:
        return open(self.path / name, "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        from twinml.data.atomic import replacing

        with replacing(self.path / name) as temporary, open(temporary, "wb") as file:
            yield file

    def append(self, name: str, line: bytes, durable: bool = True) -> None:
        with open(self.path / name, "a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # the last writer died inside a line
                    line = b"\n" + line
            file.write(line + b"\n")
            file.flush()
            if durable:
                os.fsync(file.fileno())

    def names(self, below: str) -> list[str]:
        place = self.path / below
        return sorted(entry.name for entry in place.iterdir()) if place.is_dir() else []

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError):
            (self.path / name).unlink()


@final
class RemoteFolder(AbstractFolder):
    """A folder that fsspec reaches: ``memory://``, ``s3://``, ``gs://`` ..."""

    def __init__(self, url: str) -> None:
        self.location = url.rstrip("/")
        try:
            import fsspec

            self.system, root = fsspec.core.url_to_fs(self.location)
        except ImportError as error:
            raise MissingDependencyError(
                f"{url} needs a package that is not installed ({error}). Install it, or name "
                "a local folder."
            ) from None
        except ValueError as error:
            raise ArgumentError(
                f"{url} cannot be used: {error}. Name a local folder, or an address whose "
                "protocol fsspec knows, such as s3://bucket/folder."
            ) from None
        self.root = str(root).rstrip("/")
        self.shared = url.partition("://")[0] != "memory"
        self._appended: dict[str, bytearray] = {}

    def _full(self, name: str) -> str:
        return f"{self.root}/{name}"

    def size(self, name: str) -> int | None:
        self.system.invalidate_cache()
        try:
            found = self.system.info(self._full(name))
        except (FileNotFoundError, NotADirectoryError):
            return None
        return found["size"] if found["type"] == "file" else None

    def read(self, name: str) -> bytes:
        return self.system.cat_file(self._full(name))

    def open(self, name: str) -> BinaryIO:
        return self.system.open(self._full(name), "rb")

    @contextmanager
    def writing(self, name: str) -> Iterator[BinaryIO]:
        content = io.BytesIO()
        yield content
        self._put(name, content.getvalue())

    def append(self, name: str, line: bytes, durable: bool = True) -> None:
        # Object stores append nothing: the file, which has one writer, is put there again whole.
        if name not in self._appended:
            before = self.read(name) if self.exists(name) else b""
            self._appended[name] = bytearray(before)
        content = self._appended[name]
        if content and not content.endswith(b"\n"):
            content += b"\n"
        content += line + b"\n"
        self._put(name, bytes(content))

    def names(self, below: str) -> list[str]:
        self.system.invalidate_cache()
        try:
            found = self.system.ls(self._full(below), detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(str(name).rstrip("/").rpartition("/")[2] for name in found)

    def remove(self, name: str) -> None:
        self._appended.pop(name, None)
        with suppress(FileNotFoundError):
            self.system.rm_file(self._full(name))

    def _put(self, name: str, content: bytes) -> None:
        full = self._full(name)
        self.system.makedirs(full.rpartition("/")[0], exist_ok=True)
        self.system.pipe_file(full, content)


def is_url(out: object) -> bool:
    """Whether it names an address rather than a local path."""
    return isinstance(out, str) and "://" in out and not out.startswith(LOCAL)


def normal(out: str | os.PathLike[str]) -> str:
    """One spelling of a place: a local path without its protocol, or an address."""
    text = os.fspath(out)
    for protocol in LOCAL:
        text = text.removeprefix(protocol)
    return text.rstrip("/") if is_url(text) else str(Path(text))


def open_folder(out: str | os.PathLike[str]) -> AbstractFolder:
    """The folder of a local path or an fsspec address.

    Raises:
        ArgumentError, MissingDependencyError: The address cannot be reached from here.
    """
    text = normal(out)
    return RemoteFolder(text) if is_url(text) else LocalFolder(Path(text))
