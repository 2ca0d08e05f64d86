"""The reduction over rows compiles for GPUs, without a device."""

from __future__ import annotations

import importlib.util

import pytest

from tests.kernels.compiled import KERNELS
from twinml.engines.native.reduce import UNIT

MISSING = [
    name
    for name in ("cuda.bindings", "nvidia")
    if importlib.util.find_spec(name.partition(".")[0]) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_the_same_text_is_taken_by_nvrtc(architecture):
    from cuda.bindings import nvrtc

    headers = sorted(KERNELS.glob("*.h"))
    _, program = nvrtc.nvrtcCreateProgram(
        UNIT.encode(), b"reduce.cu", len(headers), [header.read_bytes() for header in headers],
        [header.name.encode() for header in headers],
    )  # fmt: skip
    options = [f"--gpu-architecture={architecture}".encode(), b"--std=c++17", b"-fmad=false"]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, length = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * length
    nvrtc.nvrtcGetProgramLog(program, log)
    assert error == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode(errors="replace")
    _, length = nvrtc.nvrtcGetPTXSize(program)
    text = b" " * length
    nvrtc.nvrtcGetPTX(program, text)
    assert b".entry tw_reduce" in text and b"fma." not in text
