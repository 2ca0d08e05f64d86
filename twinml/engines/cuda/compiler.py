"""NVRTC: from the text of a unit to a binary for one architecture, without a device."""

from __future__ import annotations

import ctypes
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import final

from twinml.engines.cuda.packages import nvrtc
from twinml.engines.native.memory import Args

UNIT = "unit.cu"
# No contraction: fma stands where it is meant. The last one has registers and spills told.
OPTIONS = (
    "--std=c++17",
    "-fmad=false",
    "-diag-suppress=161,177,550,1097",
    f"-DTW_ARGS_BYTES={ctypes.sizeof(Args)}",
    "--ptxas-options=-v",
)


@final
@dataclass(frozen=True)
class Compiled:
    """What NVRTC gave.

    Args:
        binary: The cubin; empty where it refused.
        assembly: The text in PTX that the binary is made from.
        log: What it said.
        seconds: How long it took.
    """

    binary: bytes
    assembly: str
    log: str
    seconds: float


@final
@dataclass(frozen=True)
class Usage:
    """What a compiled kernel takes of a thread, as the assembler told.

    Args:
        registers: The most of its entries.
        stack: Bytes of local memory, functions that it calls included.
        spills: Bytes written to and read from memory for want of registers.
    """

    registers: int
    stack: int
    spills: int


def command_line(architecture: str) -> tuple[str, ...]:
    """The options of one architecture, such as "sm_90"."""
    return (f"--gpu-architecture={architecture}", *OPTIONS)


def compiled(text: str, command: tuple[str, ...], headers: Path) -> Compiled:
    """Compile a unit; headers are found by name in a folder.

    Raises:
        MissingDependencyError: there is no NVRTC.
    """
    module = nvrtc()
    files = sorted(headers.glob("*.h"))
    start = time.perf_counter()
    _, program = module.nvrtcCreateProgram(
        text.encode(), UNIT.encode(), len(files),
        [file.read_bytes() for file in files], [file.name.encode() for file in files],
    )  # fmt: skip
    try:
        options = [word.encode() for word in command]
        (error,) = module.nvrtcCompileProgram(program, len(options), options)
        log = _read(program, module.nvrtcGetProgramLogSize, module.nvrtcGetProgramLog)
        if int(error) != 0:
            name = module.nvrtcGetErrorString(error)[1].decode(errors="replace")
            return Compiled(b"", "", _text(log) or name, time.perf_counter() - start)
        binary = _read(program, module.nvrtcGetCUBINSize, module.nvrtcGetCUBIN)
        assembly = _read(program, module.nvrtcGetPTXSize, module.nvrtcGetPTX)
        return Compiled(binary, _text(assembly), _text(log), time.perf_counter() - start)
    finally:
        module.nvrtcDestroyProgram(program)


def usage(log: str) -> Usage:
    """Registers, stack and spills of a log."""
    registers = [int(found) for found in re.findall(r"Used (\d+) registers", log)]
    stack = [int(found) for found in re.findall(r"(\d+) bytes cumulative stack size", log)]
    stack += [int(found) for found in re.findall(r"(\d+) bytes stack frame", log)]
    spilled = re.findall(r"(\d+) bytes spill stores, (\d+) bytes spill loads", log)
    return Usage(
        max(registers, default=0), max(stack, default=0),
        sum(int(stores) + int(loads) for stores, loads in spilled),
    )  # fmt: skip


def _read(program: object, size_of, read) -> bytes:
    _, size = size_of(program)
    held = bytearray(size)
    read(program, held)
    return bytes(held)


def _text(held: bytes) -> str:
    return held.rstrip(b"\0").decode(errors="replace").strip()
