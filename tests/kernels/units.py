"""Small units around single headers, compiled as the native engine compiles its own."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np
import pytest

from twinml.engines.native.library import load
from twinml.engines.native.targets import default_target
from twinml.errors import NoCompilerError

REAL = {64: np.float64, 32: np.float32}
ENTRY = 'extern "C" __attribute__((visibility("default"))) void entry'

# What the headers of a method ask of a unit.
PLAIN = {
    "TW_N": 1, "TW_REGS": 1, "TW_ADAPTIVE": 1, "TW_STIFF_METHOD": 0, "TW_USES_LINEAR": 0,
    "TW_USES_TABLE": 0,
}  # fmt: skip


def compiled(bits: int, body: str, target: str | None = None, **macros: int) -> ctypes.CDLL:
    """The library of a body that follows the prelude and ends with ``entry``; skips without g++."""
    defines: Mapping[str, int] = {"TW_BITS": bits, **PLAIN, **macros}
    lines = [f"#define {name} {value}" for name, value in defines.items()]
    text = "\n".join([*lines, '#include "prelude.h"', body]) + "\n"
    try:
        return load(text, target or default_target()).handle
    except NoCompilerError as error:
        pytest.skip(str(error))


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    assert array.flags.c_contiguous
    return ctypes.c_void_p(array.ctypes.data)
