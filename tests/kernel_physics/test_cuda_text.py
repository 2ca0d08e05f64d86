"""A user's header compiles for GPUs as it stands, without a device."""

from __future__ import annotations

import importlib.util

import pytest

from tests.kernel_physics import models
from tests.kernels.compiled import KERNELS
from twinml.lowering import lower

MISSING = [
    name
    for name in ("cuda.bindings", "nvidia")
    if importlib.util.find_spec(name.partition(".")[0]) is None
]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

ENTRY = """
extern "C" __global__ void over(const real* y, const real* p, const real* u, real* out) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x;
  model_rhs(real(row), y, p, u, out);
}
"""


@pytest.mark.parametrize("bits", [64, 32])
@pytest.mark.parametrize("model", [models.Tanks, models.Lorenz, models.Ring, models.Robertson])
def test_a_header_is_taken_by_nvrtc(model, bits):
    from cuda.bindings import nvrtc

    text = '#include "math.h"\nnamespace tw {\n' + lower(model()).header + ENTRY + "}\n"
    headers = sorted(KERNELS.glob("*.h"))
    _, program = nvrtc.nvrtcCreateProgram(
        text.encode(), b"header.cu", len(headers), [header.read_bytes() for header in headers],
        [header.name.encode() for header in headers],
    )  # fmt: skip
    options = [b"--gpu-architecture=sm_90", b"--std=c++17", b"-fmad=false"]
    options.append(f"-DTW_BITS={bits}".encode())
    (error,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, length = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * length
    nvrtc.nvrtcGetProgramLog(program, log)
    assert error == nvrtc.nvrtcResult.NVRTC_SUCCESS, log.decode(errors="replace")
    _, length = nvrtc.nvrtcGetPTXSize(program)
    ptx = b" " * length
    nvrtc.nvrtcGetPTX(program, ptx)
    assert bits == 64 or b".f64" not in ptx
