"""TorchScript: the only file that touches ``torch.jit``, which torch marks as deprecated.

When torch drops it, this file and its line in ``targets.py`` go; the modules it exports are plain
tensor code that other targets take as well.
"""

from __future__ import annotations

import copy
import io
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from twinml.errors import ExportError, IntegrityError
from twinml.export.canonical import rewrite
from twinml.export.seal import check_seal, seal

Outputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


@contextmanager
def _deprecation_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit", category=DeprecationWarning)
        yield


def pack(module: torch.nn.Module, extra_files: Mapping[str, bytes]) -> bytes:
    """Script a module into the bytes of a sealed file.

    Args:
        module: Plain tensor code; a copy is moved to the CPU and to evaluation mode.
        extra_files: Stored beside the program, by name.

    Returns:
        The same bytes for the same module and extra files, in any process.

    Raises:
        ExportError: TorchScript cannot express the module.
    """
    module = copy.deepcopy(module).cpu().eval().requires_grad_(False)
    buffer = io.BytesIO()
    try:
        with _deprecation_allowed():
            torch.jit.save(torch.jit.script(module), buffer)
    except Exception as error:  # torch raises RuntimeError, OSError, TypeError and its own kinds
        raise ExportError(
            f"TorchScript cannot compile {type(module).__name__}.forward: {error}\n"
            "Write it as typed tensor operations, without Python objects or data-dependent types."
        ) from error
    return seal(rewrite(buffer.getvalue(), extra_files))


def check(data: bytes, name: str) -> None:
    """Refuse a file that is not bit for bit what ``pack`` returned (IntegrityError)."""
    check_seal(data, name)


def unpack(data: bytes, name: str) -> dict[str, bytes]:
    """The extra files of a checked file; nothing in it is run or unpickled."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {
                entry.partition("/extra/")[2]: archive.read(entry)
                for entry in archive.namelist()
                if "/extra/" in entry
            }
    except zipfile.BadZipFile as error:
        raise IntegrityError(f"{name} is sealed but no readable zip file: {error}.") from error


def load(data: bytes) -> torch.jit.ScriptModule:
    """The program of a checked file, on the CPU. Only ever call it after ``check``."""
    with _deprecation_allowed():
        return torch.jit.load(io.BytesIO(data), map_location="cpu")
