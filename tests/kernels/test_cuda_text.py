"""The headers compile for CUDA without a device, and float32 stays float32."""

from __future__ import annotations

import re

import pytest

from tests.kernels.compiled import HERE, KERNELS
from tests.kernels.cuda_units import ARCHITECTURES, need_nvrtc
from twinml.engines.cuda.compiler import compiled


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
    return f'#include "math.h"\n#include "step_log.h"\nnamespace tw {{\n{kernels}\n}}\n'


def ptx(architecture: str, bits: int) -> str:
    need_nvrtc()
    options = ("--std=c++17", "-fmad=false", f"-DTW_BITS={bits}")
    found = compiled(source(), (f"--gpu-architecture={architecture}", *options), KERNELS)
    assert found.binary, found.log
    return found.assembly


@pytest.mark.parametrize(
    "architecture", [ARCHITECTURES[1], pytest.param(ARCHITECTURES[0], marks=pytest.mark.slow)]
)
def test_float32_kernels_hold_no_float64(architecture):
    text = ptx(architecture, 32)
    assert ".f32" in text
    assert ".f64" not in text
    assert re.search(r"\bdiv\.rn\.f32", text)
    assert not re.search(r"\.(approx|ftz)\b", text)


@pytest.mark.parametrize(
    "architecture", [ARCHITECTURES[1], pytest.param(ARCHITECTURES[0], marks=pytest.mark.slow)]
)
def test_float64_kernels_compile_with_rounded_operations_only(architecture):
    text = ptx(architecture, 64)
    assert re.search(r"\bdiv\.rn\.f64", text)
    assert not re.search(r"\.(approx|ftz)\b", text)
