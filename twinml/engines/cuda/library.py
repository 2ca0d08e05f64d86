"""From the text of a unit to functions on a device: known, out of the cache, or compiled."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from twinml import resources
from twinml.engines.cuda import compiler
from twinml.engines.cuda.compiler import UNIT, Usage, command_line, usage
from twinml.engines.cuda.device import Gpu
from twinml.engines.cuda.packages import DRIVERS, cupy, nvrtc_version
from twinml.engines.kernel_cache import SCHEMA, Cache, Entry
from twinml.engines.kernel_store import alone, headers_digest, stored
from twinml.errors import CompileError, DeviceError

_HEAD = 24
_BINARY = "unit.cubin"
# What a driver says of a binary that it does not know.
_FOREIGN = ("INVALID_IMAGE", "NO_BINARY_FOR_GPU", "UNSUPPORTED_PTX_VERSION", "INVALID_SOURCE",
            "UNSUPPORTED_DEVSIDE_SYNC", "INVALID_PTX", "insufficient")  # fmt: skip
# Sizes of blocks that are tried, smaller ones first: they end sooner where rows differ.
_BLOCKS = (128, 64, 256, 32)


@final
@dataclass(frozen=True, eq=False)
class CudaLibrary:
    """A compiled unit, loaded.

    Args:
        module: Cupy's module, which loads it once for each device.
        target: Architecture it was compiled for.
        command: The compiler's options.
        usage: Registers, stack and spills.
        compile_seconds: What that took, now or when the cache's entry was made.
        cached: Whether it came out of the cache.
        path: The binary; source_path: the unit's text.
        key: Digest of text, headers, options, compiler and target.
        blocks: By name of an entry and number of a device, its size of block and how many of them
            a multiprocessor holds.
    """

    module: Any
    target: str
    command: tuple[str, ...]
    usage: Usage
    compile_seconds: float
    cached: bool
    path: Path
    source_path: Path
    key: str
    blocks: dict[tuple[str, int | None], tuple[int, int]]

    def function(self, name: str, gpu: Gpu) -> tuple[Any, int, int]:
        """An entry, its size of block, and how many blocks a multiprocessor holds.

        Raises:
            DeviceError: the device does not take the binary.
        """
        try:
            found = self.module.get_function(name)
            key = name, gpu.device.index
            if key not in self.blocks:
                self.blocks[key] = _block(found)
        except Exception as error:
            raise _not_taken(error, self, gpu) from error
        return (found, *self.blocks[key])


def _block(function: Any) -> tuple[int, int]:
    """The size of block with which most threads run at once, and how many blocks do."""
    driver, best = cupy().cuda.driver, (32, 1)
    most = function.max_threads_per_block
    for size in _BLOCKS:
        if size > most:
            continue
        count = driver.occupancyMaxActiveBlocksPerMultiprocessor(function.kernel.ptr, size, 0)
        if count * size > best[0] * best[1]:
            best = size, count
    return best


def _not_taken(error: Exception, library: CudaLibrary, gpu: Gpu) -> DeviceError:
    said = " ".join(str(error).split()) or type(error).__name__
    if any(word in said for word in _FOREIGN):
        major, minor = nvrtc_version()
        return DeviceError(
            f"{gpu.name} does not take the kernel {library.path}: {said}. It was compiled for "
            f"{library.target} with CUDA {major}.{minor}, which needs driver "
            f"{DRIVERS.get(major, 'of that time')} or newer: update the driver, or use "
            "engine='native'."
        )
    return DeviceError(
        f"The kernel {library.path} could not be made ready on {gpu.name}: {said}. Other programs "
        "may hold the device; after an error of its own it needs a new process. engine='native' "
        "runs on the CPU."
    )


_loaded: dict[str, CudaLibrary] = {}
_failed: dict[str, tuple[str, str]] = {}


def load(text: str, architecture: str, headers: Path | None = None) -> CudaLibrary:
    """The library of a unit, compiled when neither this process nor the cache has it.

    Args:
        text: A unit in the dialect of CUDA, which may include the headers.
        architecture: As NVRTC names it: "sm_90".
        headers: Folder of the reviewed headers; None for the ones shipped.

    Raises:
        MissingDependencyError: cupy or NVRTC is missing.
        CompileError: the compiler refused, or nothing can be stored.
    """
    headers = resources.kernels() if headers is None else headers
    command = command_line(architecture)
    key = _key(text, command, headers)
    known = _loaded.get(key)
    if known is not None:
        return known
    with alone(key):
        if key in _loaded:
            return _loaded[key]
        entry, cached = binary(text, command, headers, key)
        library = CudaLibrary(
            cupy().RawModule(path=str(entry.library)), architecture, entry.command,
            usage(entry.log), entry.seconds, cached, entry.library, entry.source, key, {},
        )  # fmt: skip
        _loaded[key] = library
        return library


def binary(
    text: str, command: tuple[str, ...], headers: Path, key: str
) -> tuple[Entry, bool]:  # fmt: skip
    """The checked entry of the cache, and whether it was there before."""
    if key in _failed:  # a compiler that said no says no again
        raise CompileError(*_failed[key])
    compile_in: Callable[[Cache], Entry] = lambda cache: _compiled(  # noqa: E731
        cache, text, command, headers, key
    )
    entry, cached, _ = stored(key, compile_in)
    return entry, cached


def _compiled(
    cache: Cache, text: str, command: tuple[str, ...], headers: Path, key: str
) -> Entry:  # fmt: skip
    with cache.building() as folder:
        unit, log, binary = folder / UNIT, folder / "unit.log", folder / _BINARY
        unit.write_text(text, encoding="utf-8")
        found = compiler.compiled(text, command, headers)
        if not found.binary:
            log.write_text(found.log, encoding="utf-8")
            kept = cache.keep_failure(key, unit, log)
            _failed[key] = _told(found.log, command, *kept), found.log
            raise CompileError(*_failed[key])
        binary.write_bytes(found.binary)
        # Another process may have been faster; one entry is then read by both.
        return cache.find(key) or cache.put(
            key, binary, unit, ("nvrtc", *command), found.seconds, found.log
        )


def _told(said: str, command: tuple[str, ...], source: Path, log: Path) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [i for i, line in enumerate(lines) if "error" in line.lower()]
    first = errors[0] if errors else 0
    head = "\n".join(f"  {line[:300]}" for line in lines[first : first + _HEAD])
    return (
        f"NVRTC refused the generated unit; expected a kernel.\n{head or '  (it said nothing)'}\n"
        f"  source: {source}\n  log: {log}\n  options: {' '.join(command)}\n"
        "Where the lines above name a file of your own, correct it there; else it is a fault of "
        "twinml: use engine='native' and please report it with these files."
    )


def _key(text: str, command: tuple[str, ...], headers: Path) -> str:
    """Digest of all that the binary follows from; of the headers what they say, not where."""
    parts = (
        SCHEMA,
        "cuda",
        hashlib.sha256(text.encode()).hexdigest(),
        headers_digest(headers),
        nvrtc_version(),
        command,
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
