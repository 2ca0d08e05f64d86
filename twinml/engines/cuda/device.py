"""The GPU as torch shows it: what it is, its memory, its stream, its clock."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor


@final
@dataclass(frozen=True)
class Gpu:
    """A device and what a launch has to know of it.

    Args:
        device: As torch names it, with its number.
        name: The maker's.
        architecture: As NVRTC names it: "sm_90".
        processors: Multiprocessors; threads: most that one of them holds.
    """

    device: torch.device
    name: str
    architecture: str
    processors: int
    threads: int


def unusable() -> str | None:
    """Why torch can compute on no GPU, or None."""
    if torch.version.cuda is None:
        return "this torch is a CPU build: install one for CUDA (https://pytorch.org)"
    if not torch.cuda.is_available():
        return "torch sees no GPU: see nvidia-smi, and CUDA_VISIBLE_DEVICES"
    return None


def is_gpu(device: torch.device) -> bool:
    """Whether tensors there are a GPU's."""
    return device.type == "cuda"


def current() -> torch.device:
    """The device that torch would take."""
    return torch.device("cuda", torch.cuda.current_device())


def describe(device: torch.device) -> Gpu:
    """Facts of a device."""
    number = torch.cuda.current_device() if device.index is None else device.index
    found = torch.cuda.get_device_properties(number)
    return Gpu(
        torch.device("cuda", number), found.name, f"sm_{found.major}{found.minor}",
        found.multi_processor_count, found.max_threads_per_multi_processor,
    )  # fmt: skip


def share_of(worker: int) -> dict[str, str]:
    """Environment in which a process sees one GPU alone; workers go round among those seen here."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    seen = [name.strip() for name in named.split(",") if name.strip()]
    seen = seen or [str(number) for number in range(torch.cuda.device_count())]
    return {"CUDA_VISIBLE_DEVICES": seen[worker % len(seen)]} if seen else {}


def guard(gpu: Gpu) -> AbstractContextManager[Any]:
    """Makes it the current device of a block, for torch and for CUDA itself."""
    return torch.cuda.device(gpu.device)


def stream(gpu: Gpu) -> int:
    """Torch's current stream there, as a number."""
    return torch.cuda.current_stream(gpu.device).cuda_stream


def free_memory(gpu: Gpu) -> int:
    """Bytes that new tensors may take: the device's own, and what torch holds unused."""
    free, _ = torch.cuda.mem_get_info(gpu.device)
    unused = torch.cuda.memory_reserved(gpu.device) - torch.cuda.memory_allocated(gpu.device)
    return free + unused


def release() -> None:
    """Give memory that torch holds unused back to the device."""
    torch.cuda.empty_cache()


def sent(values: bytes, gpu: Gpu) -> Tensor:
    """Bytes on the device; the copy takes its turn on the stream, nobody waits for it."""
    held = torch.empty(len(values), dtype=torch.uint8, pin_memory=True)
    held.copy_(torch.frombuffer(bytearray(values), dtype=torch.uint8))
    return held.to(gpu.device, non_blocking=True)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the device's memory is used up."""
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in str(error).lower()


@final
class Clock:
    """Seconds that the device's stream spends between two marks."""

    def __init__(self) -> None:
        self._marks = [torch.cuda.Event(enable_timing=True) for _ in range(2)]

    def start(self) -> None:
        self._marks[0].record()

    def stop(self) -> None:
        self._marks[1].record()

    def seconds(self) -> float:
        """Waits for the second mark."""
        self._marks[1].synchronize()
        return self._marks[0].elapsed_time(self._marks[1]) / 1000.0
