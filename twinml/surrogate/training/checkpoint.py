"""Where a training stands, on disk now and then: one that was killed can be gone on with."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, final

import torch
from torch import Tensor

from twinml.data.atomic import replacing

EVERY = 30.0  # seconds of training that a kill may cost
_OWN = "twinml"  # our part of lightning's checkpoint
_UNREADABLE = (
    OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError,
    pickle.UnpicklingError,
)  # fmt: skip


@final
class Checkpoint:
    """A file with all that the rest of one training follows from, to the bit.

    Args:
        path: The file; another training's is left alone until this one has something to keep.
        identity: What tells this training from any other: its options, seed and versions.
        data: Its rows; they are identified by their content.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any], *data: Tensor) -> None:
        total = hashlib.sha256(json.dumps(identity, sort_keys=True, default=str).encode())
        for tensor in data:
            total.update(repr(tuple(tensor.shape)).encode())
            total.update(tensor.contiguous().numpy().tobytes())
        self.path, self._key = path, total.hexdigest()
        self._kept = time.monotonic()

    def found(self) -> Path | None:
        """The file, where it is whole and of this training."""
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            return self.path if content[_OWN]["key"] == self._key else None
        except _UNREADABLE:
            return None

    def keep(self, trainer: Any) -> None:
        """Write the state after a pass, when the last one was written long enough ago."""
        if time.monotonic() - self._kept < EVERY:
            return
        with replacing(self.path) as temporary:
            trainer.save_checkpoint(temporary, weights_only=False)
        self._kept = time.monotonic()

    def write(self, content: dict[str, Any], state: Mapping[str, Any]) -> None:
        """Put our state beside lightning's."""
        content[_OWN] = {"key": self._key, **state}

    def read(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Our state."""
        return content[_OWN]

    def remove(self) -> None:
        """The training has ended."""
        self.path.unlink(missing_ok=True)
        for left in self.path.parent.glob(f".{self.path.name}.*.tmp"):  # killed while it wrote
            left.unlink(missing_ok=True)
