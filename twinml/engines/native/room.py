"""Whether results find room in memory, asked before a kernel would write to them.

Linux promises more memory than there is and ends the process that takes it at its word, so the
question is put to the system's own figures.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from twinml.errors import OutOfMemoryError

# Below this it is not worth a look: reading the figures takes longer than a short run.
_SMALL = 2**28
CPU = torch.device("cpu")
MEMINFO = Path("/proc/meminfo")
# Limit and use of a container, as control groups of version 2 and 1 tell them.
GROUPS = (
    (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")),
    (
        Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
        Path("/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ),
)


def trajectory(
    shape: tuple[int, int, int],
    outputs: int,
    dtype: torch.dtype,
    device: torch.device = CPU,
) -> Tensor:
    """Memory for states (n, B, T), not set to anything.

    Args:
        shape: States, rows, save points.
        outputs: How many outputs of the model will be computed for the same points.
        dtype: Of the numbers.
        device: Where they are to lie; another than the CPU has counted its memory before.

    Raises:
        OutOfMemoryError: there is less memory than that.
    """
    if device.type != "cpu":
        return torch.empty(shape, dtype=dtype, device=device)
    states, rows, points = shape
    wanted = (states + outputs) * rows * points * dtype.itemsize
    free = available() if wanted > _SMALL else None
    if free is None or wanted <= free:
        try:
            return torch.empty(shape, dtype=dtype)
        except RuntimeError as error:  # what torch says when the system refuses
            if "memory" not in str(error).lower():
                raise
    told = "" if free is None else f" and {_gib(free)} are free"
    raise OutOfMemoryError(
        f"Trajectories of {rows} rows at {points} save points take {_gib(wanted)} of memory{told}. "
        "Keep quantities or keep='final', ask for fewer save points, or run fewer rows at once."
    )


def available() -> int | None:
    """Bytes that this process may still take; None where the system does not tell."""
    found = []
    for line in _read(MEMINFO).splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            found.append(1024 * int(value.split()[0]))
    for limit, use in GROUPS:
        most, taken = _read(limit).strip(), _read(use).strip()
        if most.isdecimal() and taken.isdecimal():
            found.append(max(0, int(most) - int(taken)))
    return min(found, default=None)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _gib(size: int) -> str:
    return f"{size / 2**30:.3g} GiB"
