"""Python, torch and the engines."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Iterator

from twinml import resources
from twinml.cli.diagnosis.finding import Finding, tried_in_python

SUPPORTED = ((3, 11), (3, 14))
TRIAL = (
    "import torch, twinml as tw\n"
    "s = tw.simulate(tw.library.Pendulum(), torch.linspace(0, 1, 3, dtype=torch.float64))\n"
    "assert s.ok.all(); print(f'a trial simulation with {s.method}')"
)


def interpreter() -> Iterator[Finding]:
    low, high = SUPPORTED
    good = low <= sys.version_info[:2] < high
    detail = f"{platform.python_version()}, {sys.executable}"
    yield Finding("python", good, detail, "use Python 3.11, 3.12 or 3.13")


def torch_build() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        advice = "every task needs it: pip install torch"
        yield Finding("torch", False, f"{type(error).__name__}: {error}", advice)
        return
    yield Finding("torch", True, f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.version.cuda is None:
        advice = "only for a GPU: install a CUDA build of torch"
        yield Finding("torch on CUDA", False, "this torch is a CPU build", advice)
    elif torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("torch on CUDA", True, f"{', '.join(names)}; CUDA {torch.version.cuda}")
    else:
        detail = f"built for CUDA {torch.version.cuda}, sees no GPU"
        yield Finding("torch on CUDA", False, detail, "only for a GPU: check nvidia-smi")


def engines() -> Iterator[Finding]:
    here = f"import sys; sys.path.append({str(resources.PACKAGE.parent)!r})\n"
    works, detail = tried_in_python(here + TRIAL)
    yield Finding("engine eager", works, detail, "every task needs it: install twinml again")
    for name, where in (("native", "compiled on the CPU"), ("cuda", "compiled on a GPU")):
        if importlib.util.find_spec(f"twinml.engines.{name}") is None:
            detail = f"{where}; not part of this version, engine=auto takes eager"
            yield Finding(f"engine {name}", False, detail)
        else:
            yield Finding(f"engine {name}", True, f"{where}; needs what is listed below")
