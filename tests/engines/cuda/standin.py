"""A GPU's stand-in: the engine's own code runs, its kernels do on the CPU, warp by warp.

What stands in: NVRTC (g++ compiles the same text against ``emulation.h``), cupy (loads that and
runs a grid), and torch's view of the device. All else is the engine as it is: text, cache,
arguments, tables, grids, lists of rows, parts.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import tempfile
import types
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy
import pytest
import torch

from twinml.engines import choice
from twinml.engines.cuda import compiler, device, library, packages, plan
from twinml.engines.cuda.compiler import Compiled
from twinml.engines.cuda.device import Gpu
from twinml.engines.native.memory import Args
from twinml.engines.native.targets import default_target

HERE = Path(__file__).resolve().parent
NAME = "a stand-in for a GPU"
LOG = (
    "ptxas info    : Function properties for tw_run\n"
    "ptxas         .     280 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
    "ptxas info    : Used 90 registers, used 0 barriers, 280 bytes cumulative stack size\n"
)
_FLAGS = ("-O1", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math",
          "-fno-exceptions", "-fno-rtti", "-fPIC", "-shared", "-fvisibility=hidden",
          "-w")  # fmt: skip


@dataclass
class Standin:
    """The device, and what was asked of it.

    Attributes:
        warp: Lanes of a warp.
        processors: Multiprocessors; resident: blocks that each holds.
        free: Bytes of its memory.
        launches: Entry, blocks and threads of a block of each.
        fail: Raised by the next launch.
        loading: Raised when a module is loaded.
        compiled: How many units were compiled.
    """

    warp: int = 32
    processors: int = 2
    resident: int = 2
    free: int = 2**40
    driver: int = 13000
    runtime: int = 13000
    launches: list[tuple[str, int, int]] = field(default_factory=list)
    fail: list[Exception] = field(default_factory=list)
    loading: list[Exception] = field(default_factory=list)
    compiled: int = 0

    def compile(self, text: str, command: tuple[str, ...], headers: Path) -> Compiled:
        """As ``compiler.compiled``, by g++."""
        self.compiled += 1
        whole = (
            f"#define TW_WARP {self.warp}\n#define TW_ARGS_BYTES {ctypes.sizeof(Args)}\n"
            f'#include "{HERE}/emulation.h"\n{text}\n#include "{HERE}/emulation_launch.h"\n'
        )
        with tempfile.TemporaryDirectory() as name:
            unit, made = Path(name, "unit.cpp"), Path(name, "unit.so")
            unit.write_text(whole)
            march = f"-march={default_target()}"
            # Not -I: the C library's math.h is meant as well.
            words = ["g++", *_FLAGS, march, "-iquote", str(headers), str(unit), "-o", str(made)]
            done = subprocess.run([*words, "-lm"], capture_output=True, text=True)
            if done.returncode:
                return Compiled(b"", "", done.stderr, 0.1)
            return Compiled(made.read_bytes(), "", LOG, 0.1)


class CUDADriverError(RuntimeError):
    """Named as cupy's."""


class CUDARuntimeError(RuntimeError):
    """Named as cupy's."""


def _cupy(standin: Standin) -> types.ModuleType:
    module: Any = types.ModuleType("cupy")

    class RawKernel:
        max_threads_per_block = 1024
        kernel = types.SimpleNamespace(ptr=1)

        def __init__(self, handle: ctypes.CDLL, name: str) -> None:
            self.entry, self.name = getattr(handle, f"launch_{name}"), name
            self.entry.restype = None

        def __call__(self, grid: tuple[int], block: tuple[int], args: tuple[Any, ...]) -> None:
            assert Stream.current == [7], "not on torch's stream"
            if standin.fail:
                raise standin.fail.pop(0)
            (value,) = args
            assert isinstance(value, numpy.ndarray) and value.size == 1
            assert value.dtype.itemsize == ctypes.sizeof(Args)
            standin.launches.append((self.name, *grid, *block))
            self.entry(ctypes.c_void_p(value.ctypes.data), grid[0], block[0])

    class RawModule:
        def __init__(self, *, path: str) -> None:
            self.path, self.handle = path, None

        def get_function(self, name: str) -> RawKernel:
            if standin.loading:
                raise standin.loading.pop(0)
            if self.handle is None:
                self.handle = ctypes.CDLL(self.path)
            return RawKernel(self.handle, name)

    class Stream:
        current: ClassVar[list[int]] = []

        @classmethod
        def from_external(cls, given: Any) -> Stream:
            version, pointer = given.__cuda_stream__()
            assert version == 0
            found = cls()
            found.pointer = pointer
            return found

        def __enter__(self) -> None:
            Stream.current.append(self.pointer)

        def __exit__(self, *_: object) -> None:
            Stream.current.pop()

    module.RawModule = RawModule
    module.cuda = types.SimpleNamespace(
        Stream=Stream,
        runtime=types.SimpleNamespace(
            runtimeGetVersion=lambda: standin.runtime,
            driverGetVersion=lambda: standin.driver,
            CUDARuntimeError=CUDARuntimeError,
        ),
        driver=types.SimpleNamespace(
            occupancyMaxActiveBlocksPerMultiprocessor=lambda pointer, block, shared: (
                standin.resident if block == 64 else 1
            ),
            CUDADriverError=CUDADriverError,
        ),
    )
    return module


class Clock:
    """As ``device.Clock``; nothing is measured."""

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def seconds(self) -> float:
        return 0.5


@contextmanager
def standing_in(given: pytest.MonkeyPatch | None = None, **settings: Any) -> Iterator[Standin]:
    """A stand-in in the place of a GPU, for a block; skips where there is no g++.

    Args:
        given: What takes the patches back, where a test patches the same things with it: two of
            them would restore each other's.
        settings: Of the stand-in.
    """
    if shutil.which("g++") is None:
        pytest.skip("needs g++")
    standin = Standin(**settings)
    place = torch.device("cpu")
    gpu = Gpu(place, NAME, "sm_90", standin.processors, 2048)
    with nullcontext(given) if given else pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "cupy", _cupy(standin))
        for module in (packages, library):
            patch.setattr(module, "nvrtc_version", lambda: (13, 0))
        patch.setattr(compiler, "compiled", standin.compile)
        patch.setattr(library, "_loaded", {})
        patch.setattr(library, "_failed", {})
        # Which text belongs to a unit stays the same, what is loaded for it does not.
        patch.setattr(plan, "_kernel", plan._kernel.__wrapped__)
        patch.setattr(library, "SCHEMA", f"emulated/{standin.warp}")
        for name, value in {
            "unusable": lambda: None,
            "is_gpu": lambda where: where.type == "cpu",
            "current": lambda: place,
            "describe": lambda where: gpu,
            "guard": lambda gpu: nullcontext(),
            "stream": lambda gpu: 7,
            "free_memory": lambda gpu: standin.free,
            "release": lambda: None,
            "sent": lambda values, gpu: torch.frombuffer(bytearray(values), dtype=torch.uint8),
        }.items():
            patch.setattr(device, name, value)
        patch.setattr("twinml.engines.cuda.launch.Clock", Clock)
        choice.engine_named.cache_clear()
        yield standin
