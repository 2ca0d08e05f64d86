"""The compiler, CUDA and clusters: programs and drivers outside Python."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twinml.cli.diagnosis.finding import Finding, tried, tried_in_python
from twinml.cli.diagnosis.packages import installed

TRIAL = 'extern "C" double trial(double x) { return 2.0 * x; }\n'
LOAD = (
    "import ctypes\n"
    "f = ctypes.CDLL({path!r}).trial; f.restype = ctypes.c_double\n"
    "assert f(ctypes.c_double(21.0)) == 42.0"
)
NVRTC = (
    (
        "from cuda.bindings import nvrtc as n\n"
        "e, p = n.nvrtcCreateProgram(b'__global__ void k(float* x) { *x = 1; }', b'k', 0, [], [])\n"
        "e, = n.nvrtcCompileProgram(p, 1, [b'--gpu-architecture=sm_90'])\n"
        "assert int(e) == 0, e\n"
        "print('.'.join(map(str, n.nvrtcVersion()[1:])))"
    )
    .replace("{{", "{")
    .replace("}}", "}")
)
CUPY = (
    "import cupy\n"
    "assert cupy.cuda.is_available(), 'cupy sees no GPU'\n"
    "assert float(cupy.arange(4.0).sum()) == 6.0\n"
    "print(f'cupy {cupy.__version__}, driver {cupy.cuda.runtime.driverGetVersion()}')"
)


def compiler() -> Iterator[Finding]:
    """Found, which version, and does what it makes load."""
    words = shlex.split(os.environ.get("CXX", "")) or ["g++"]
    only = "only for generated kernels"
    if shutil.which(words[0]) is None:
        advice = f"{only}: apt-get install g++, or dnf install gcc-c++; CXX names another"
        yield Finding("C++ compiler", False, f"no {words[0]} on PATH", advice)
        return
    found, version = tried([*words, "--version"])
    advice = f"{only}: repair it, or name another by CXX"
    if not found:
        yield Finding("C++ compiler", False, version, advice)
        return
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "trial.cpp"), Path(folder, "trial.so")
        source.write_text(TRIAL)
        made, why = tried([*words, "-O2", "-shared", "-fPIC", "-o", str(library), str(source)])
        if not made:
            detail = f"{version}; a trial does not compile: {why}"
            yield Finding("C++ compiler", False, detail, advice)
            return
        loaded, why = tried_in_python(LOAD.format(path=str(library)))
    detail = version if loaded else f"{version}; its library does not load: {why}"
    yield Finding("C++ compiler", loaded, f"{detail}{', a trial runs' if loaded else ''}", advice)


def cuda() -> Iterator[Finding]:
    """Driver, cupy with a device, NVRTC."""
    only = "only for kernels on a GPU"
    if shutil.which("nvidia-smi") is None:
        yield Finding("CUDA driver", False, "no nvidia-smi on PATH", f"{only}: install the driver")
    else:
        query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
        works, detail = tried(query)
        yield Finding("CUDA driver", works, detail, f"{only}: see nvidia-smi")
    advice = f"{only}: pip install 'twinml[cuda13]'"
    for what, module, code in (("cupy", "cupy", CUPY), ("NVRTC", "cuda.bindings", NVRTC)):
        if not installed(module):
            yield Finding(what, False, f"{module} is not installed", advice)
        else:
            yield Finding(what, *tried_in_python(code), advice)


def cluster() -> Iterator[Finding]:
    """Ray and Slurm; no task of this version uses them."""
    later = "no task of this version uses it"
    if installed("ray"):
        works, detail = tried_in_python("import ray; print('ray ' + ray.__version__)")
        yield Finding("Ray", works, detail, f"{later}: pip install 'twinml[ray]'")
    else:
        yield Finding("Ray", False, "ray is not installed", f"{later}: pip install 'twinml[ray]'")
    if shutil.which("sbatch") is None:
        yield Finding("Slurm", False, "no sbatch on PATH", f"{later}: log in to a Slurm machine")
    else:
        works, detail = tried(["sinfo", "--noheader", "--format=%P %T %D"])
        yield Finding("Slurm", works, detail or "no partition is up", f"{later}: see sinfo")
