"""What decides the last bits of an engine's results, for whoever must repeat them."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch

from twinml.errors import ArgumentError

# Raised by every change of kernels/ that changes the bits of a result.
KERNEL_MATH = 1


def arithmetic(engine: str) -> dict[str, str]:
    """Instruction set and mathematical functions behind the results of an engine, by name.

    Whatever the engine, draws and outputs are torch's.
    """
    if engine == "native":
        from twinml.engines.native.targets import default_target

        return {
            "target": default_target(),
            "math": f"kernels {KERNEL_MATH}, torch {torch.__version__}",
        }
    if engine == "cuda":
        from twinml.engines.cuda.device import current, describe
        from twinml.engines.cuda.packages import nvrtc_version

        compiler = ".".join(map(str, nvrtc_version()))
        return {
            "target": describe(current()).architecture,
            "math": f"kernels {KERNEL_MATH}, NVRTC {compiler}, torch {torch.__version__}",
        }
    return {
        "target": torch.backends.cpu.get_cpu_capability(),
        "math": f"torch {torch.__version__}",
    }


def repeatable(engine: str) -> AbstractContextManager[None]:
    """Within it an engine computes with what ``arithmetic`` says, not with the best there is."""
    if engine == "eager":
        return nullcontext()
    from twinml.engines.native.targets import default_target, held

    try:
        return held(default_target())
    except ArgumentError:
        return nullcontext()  # no kernels for this machine: "auto" takes another engine
