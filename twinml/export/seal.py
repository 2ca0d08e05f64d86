"""The seal of a zip file: the sha256 of all bytes before it, as the zip comment.

A zip ends with a record of 22 bytes whose last two give the length of the comment that follows.
The seal is 64 lower-case hexadecimal digits there, so any zip reader still accepts the file and
anybody can check it with ``sha256sum``. It finds accidents and careless edits; it is no signature:
whoever can rewrite the file can seal it again.
"""

from __future__ import annotations

import hashlib
import struct

from twinml.errors import IntegrityError

_END = b"PK\x05\x06"
_END_SIZE = 22
_SEAL_SIZE = 64


def digest(data: bytes | memoryview) -> str:
    """sha256 in lower-case hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def seal(data: bytes) -> bytes:
    """Append the seal to a zip file without a comment."""
    if data[-_END_SIZE : -_END_SIZE + 4] != _END or data[-2:] != b"\0\0":
        raise ValueError("seal expects a zip file without a comment")
    body = data[:-2] + struct.pack("<H", _SEAL_SIZE)
    return body + digest(body).encode("ascii")


def check_seal(data: bytes, name: str) -> None:
    """Refuse bytes that are not exactly what ``seal`` returned.

    Args:
        data: The whole file.
        name: What to call it in a message.

    Raises:
        IntegrityError: The file is empty, no zip file, cut, extended, without a seal, or changed.
    """
    advice = "Copy or export it again."
    if not data:
        raise IntegrityError(f"{name} is empty; expected a sealed zip file. {advice}")
    if data[:4] != b"PK\x03\x04":
        raise IntegrityError(
            f"{name} does not begin as a zip file does; expected a model file written by "
            f"twinml export. Give the artifact's folder or its model file, or export it again."
        )
    body = memoryview(data)[:-_SEAL_SIZE]
    if bytes(data[-_SEAL_SIZE:]) == digest(body).encode("ascii"):
        return
    end = bytes(body[-_END_SIZE:])
    if end == _END + end[4:20] + struct.pack("<H", _SEAL_SIZE):
        raise IntegrityError(
            f"{name} has {len(data)} bytes that do not match the sha256 at its end: at least one "
            f"bit has changed since it was written. {advice}"
        )
    raise IntegrityError(
        f"{name} has {len(data)} bytes and does not end with the seal (sha256 of everything "
        f"before it) that every exported file carries: it was cut, extended, changed, or written "
        f"by another program. {advice}"
    )
