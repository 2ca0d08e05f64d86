"""The headers compile for CUDA without a device, and float32 stays float32."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.kernels.compiled import HERE, KERNELS

MISSING = [
    name
    for name in ("cuda.bindings", "nvidia")
    if importlib.util.find_spec(name.partition(".")[0]) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")


def functions() -> list[tuple[str, str]]:
    """Name and expression of every function in the driver."""
    text = (HERE / "driver.cpp").read_text()
    return re.findall(r"^TW_OVER\((\w+), (.*)\)$", text, flags=re.MULTILINE)


def source() -> str:
    kernels = "\n".join(
        f'extern "C" __global__ void over_{name}(const real* a, const real* b, real* out) {{\n'
        "  const int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
        "  const Real x = a[i], y = b[i];\n"
        f"  (void)y;\n  out[i] = {expression};\n}}"
        for name, expression in functions()
    )
    return f'#include "math.h"\nnamespace tw {{\n{kernels}\n}}\n'


def ptx(architecture: str, bits: int) -> str:
    from cuda.bindings import nvrtc

    headers = sorted(KERNELS.glob("*.h"))
    _, program = nvrtc.nvrtcCreateProgram(
        source().encode(),
        b"math.cu",
        len(headers),
        [header.read_bytes() for header in headers],
        [header.name.encode() for header in headers],
    )
    options = [
        f"--gpu-architecture={architecture}".encode(),
        b"--std=c++17",
        b"-fmad=false",
        f"-DTW_BITS={bits}".encode(),
    ]
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, length = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * length
    nvrtc.nvrtcGetProgramLog(program, log)
    assert error == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode(errors="replace")
    _, length = nvrtc.nvrtcGetPTXSize(program)
    text = b" " * length
    nvrtc.nvrtcGetPTX(program, text)
    return text.decode(errors="replace")


@pytest.mark.parametrize("architecture", ["compute_80", "compute_90"])
def test_float32_kernels_hold_no_float64(architecture):
    text = ptx(architecture, 32)
    assert ".f32" in text
    assert ".f64" not in text
    assert re.search(r"\bdiv\.rn\.f32", text)
    assert not re.search(r"\.(approx|ftz)\b", text)


@pytest.mark.parametrize("architecture", ["compute_80", "compute_90"])
def test_float64_kernels_compile_with_rounded_operations_only(architecture):
    text = ptx(architecture, 64)
    assert re.search(r"\bdiv\.rn\.f64", text)
    assert not re.search(r"\.(approx|ftz)\b", text)
