"""What happens to a folder before a bad call: files cut, changed or removed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def writing(path: str, content: str | bytes) -> Callable[[Path], object]:
    """Puts a file in place."""

    def write(folder: Path) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content if isinstance(content, bytes) else content.encode())

    return write


def cutting(path: str) -> Callable[[Path], object]:
    """Cuts a file in half."""

    def cut(folder: Path) -> None:
        whole = (folder / path).read_bytes()
        (folder / path).write_bytes(whole[: len(whole) // 2])

    return cut


def flipping(path: str) -> Callable[[Path], object]:
    """Flips one bit in the middle of a file."""

    def flip(folder: Path) -> None:
        whole = bytearray((folder / path).read_bytes())
        whole[len(whole) // 2] ^= 1
        (folder / path).write_bytes(bytes(whole))

    return flip


def removing(path: str) -> Callable[[Path], object]:
    """Removes a file."""
    return lambda folder: (folder / path).unlink()


def changing(path: str, **values: object) -> Callable[[Path], object]:
    """Changes keys of a JSON file; None removes one."""

    def change(folder: Path) -> None:
        content = json.loads((folder / path).read_text())
        content.update(values)
        kept = {key: value for key, value in content.items() if value is not None}
        (folder / path).write_text(json.dumps(kept))

    return change
