"""How an artifact answers to damage: single flipped bits, tried on copies."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twinml.errors import IntegrityError
from twinml.export.artifact import read_artifact


def flipped_bits(folder: Path, positions: int = 24) -> tuple[int, int]:
    """Flip single bits of copies of an artifact; how many were tried and how many accepted.

    Positions spread over every file of the folder, and over the bare model file.
    """
    tried = accepted = 0
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place) / "artifact"
        shutil.copytree(folder, copy)
        for file in sorted(path for path in copy.iterdir() if path.is_file()):
            content = file.read_bytes()
            # The model is also tried as a bare file, as it may travel alone.
            targets = (copy, file) if file.suffix == ".pt" else (copy,)
            for number in range(positions):
                at = number * (len(content) - 1) // max(positions - 1, 1)
                flipped = bytearray(content)
                flipped[at] ^= 1 << (number % 8)
                file.write_bytes(flipped)
                for target in targets:
                    tried += 1
                    try:
                        read_artifact(target)
                        accepted += 1
                    except IntegrityError:
                        pass
            file.write_bytes(content)
    return tried, accepted
