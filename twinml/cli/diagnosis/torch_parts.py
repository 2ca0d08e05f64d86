"""Python, torch and the engines."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator

from twinml import resources
from twinml.cli.diagnosis.finding import Finding, tried_in_python

SUPPORTED = ((3, 11), (3, 14))
TRIAL = (
    "import torch, twinml as tw\n"
    "t = torch.linspace(0, 1, 3, dtype=torch.float64)\n"
    "s = tw.simulate(tw.library.Pendulum(), t, engine={engine!r})\n"
    "assert s.ok.all(); print(f'a trial simulation with {{s.method}}')"
)
USABLE = (
    "from twinml.engines.cuda.engine import unavailable\n"
    "reason = unavailable()\n"
    "assert reason is None, reason\n"
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
    for name, advice in (
        ("eager", "every task needs it: install twinml again"),
        ("native", "kernels compiled on the CPU; without them engine=auto takes eager"),
    ):
        works, detail = tried_in_python(here + TRIAL.format(engine=name))
        yield Finding(f"engine {name}", works, detail, advice)
    works, detail = tried_in_python(here + USABLE + TRIAL.format(engine="cuda"))
    detail = detail.removeprefix("AssertionError: ")
    yield Finding("engine cuda", works, detail, "only for kernels on a GPU")
