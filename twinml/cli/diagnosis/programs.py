"""The compiler, CUDA and clusters: programs and drivers outside Python."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from twinml import resources
from twinml.cli.diagnosis.finding import Finding, tried, tried_in_python
from twinml.cli.diagnosis.packages import installed
from twinml.errors import TwinmlError

TRIAL = (
    'extern "C" __attribute__((visibility("default"))) double trial(double x) { return 2.0 * x; }\n'
)
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
    """Found, which version, and does what it makes load, for the target that kernels take."""
    from twinml.engines.native import building, targets
    from twinml.engines.native.compiler import find_compiler

    what = "C++ compiler"
    advice = "only for generated kernels: repair it, or name another by TWINML_CXX"
    try:
        found, target = find_compiler(), targets.default_target()
    except TwinmlError as error:
        yield Finding(what, False, str(error), "only for generated kernels")
        return
    told = f"{found.version}, {found.path}, for {target}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / building.UNIT).write_text(TRIAL)
        command = building.command_line(found, target, resources.kernels())
        built = building.build(command, folder)
        if built.reason:
            lines = [line for line in built.log.splitlines() if line.strip()]
            why = f"it {built.reason}: {lines[-1].strip()[:200] if lines else 'no word'}"
            yield Finding(what, False, f"{told}; a trial does not compile: {why}", advice)
            return
        works, why = tried_in_python(LOAD.format(path=str(folder / building.LIBRARY)))
    detail = f"{told}, a trial runs" if works else f"{told}; its library does not load: {why}"
    yield Finding(what, works, detail, advice)


def kernel_cache() -> Iterator[Finding]:
    """Where compiled kernels are kept, and why not there."""
    from twinml.engines.kernel_folder import prepared, wanted_folder

    advice = "kernels are compiled anew by each process: correct that, or name a folder of your "
    advice += "own by TWINML_CACHE"
    try:
        folder, reason = prepared(wanted_folder())
    except OSError as error:
        yield Finding("kernel cache", False, str(error), advice)
        return
    yield Finding(
        "kernel cache", not reason, f"{folder}: {reason}" if reason else str(folder), advice
    )


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
    """Ray and Slurm."""
    ray = "only for executor=ray: pip install 'twinml[ray]'"
    if installed("ray"):
        works, detail = tried_in_python("import ray; print('ray ' + ray.__version__)")
        yield Finding("Ray", works, detail, ray)
    else:
        yield Finding("Ray", False, "ray is not installed", ray)
    slurm = "only for launcher=slurm"
    if shutil.which("sbatch") is None:
        yield Finding("Slurm", False, "no sbatch on PATH", f"{slurm}: log in to a Slurm machine")
    else:
        works, detail = tried(["sinfo", "--noheader", "--format=%P %T %D"])
        yield Finding("Slurm", works, detail or "no partition is up", f"{slurm}: see sinfo")
