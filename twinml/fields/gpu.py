"""A field kernel on a GPU: compiled and loaded as the cuda engine's kernels are."""

from __future__ import annotations

import ctypes

import numpy
import torch

from twinml.errors import CompileError
from twinml.fields.declaration import FieldSpec
from twinml.fields.kernel import worded
from twinml.fields.layout import Layout
from twinml.fields.text import Kind, unit_text

THREADS = 256  # of a block: FD_THREADS of kernels/field_run.h
_MOST_BLOCKS = 1 << 20  # threads go on in strides


def grid(spec: FieldSpec, entry: str, at: Layout) -> int:
    """Blocks of a launch."""
    summed = entry == "tw_field_adjoint" and spec.coefficients
    if not summed:
        work = -(-at.rows * at.cells // THREADS)
    elif at.along_rows:  # a thread for each tile of each row
        work = -(-at.rows * at.tiles // THREADS)
    else:  # a block
        work = at.rows * at.tiles
    return max(1, min(work, _MOST_BLOCKS))


def on_gpu(
    spec: FieldSpec,
    kind: Kind,
    entry: str,
    bits: int,
    args: ctypes.Structure,
    at: Layout,
    device: torch.device,
) -> None:
    """Launch on torch's current stream; nothing waits.

    Raises:
        MissingDependencyError: cupy or NVRTC is missing.
        CompileError: the user's text does not compile; the message has its file and line.
        DeviceError: the device does not take the kernel.
    """
    from twinml.engines.cuda import device as devices
    from twinml.engines.cuda.library import load
    from twinml.engines.cuda.packages import cupy

    gpu = devices.describe(device)
    try:
        library = load(unit_text(spec, kind, bits), gpu.architecture)
    except CompileError as error:
        raise CompileError(worded(spec, kind, str(error))) from error
    # A numpy array of one element goes by value, into the kernel's own constant memory.
    value = numpy.frombuffer(bytes(args), dtype=f"V{ctypes.sizeof(args)}")
    with devices.guard(gpu), cupy().cuda.ExternalStream(devices.stream(gpu)):
        function, _, _ = library.function(entry, gpu)
        function((grid(spec, entry, at),), (THREADS,), (value,))
