"""``twinml doctor``: what works on this machine, and for the rest why not and what to do."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from twinml import __version__, resources
from twinml.cli.console import Console
from twinml.cli.tools.arguments import Parser, parse

# Extra -> its packages as (module, distribution), and what it is for.
EXTRAS: dict[str, tuple[tuple[tuple[str, str], ...], str]] = {
    "train": ((("lightning", "lightning"), ("torchdiffeq", "torchdiffeq")), "network surrogates"),
    "gp": ((("gpytorch", "gpytorch"),), "Gaussian-process surrogates"),
    "ray": ((("ray", "ray"),), "Ray (no task of this version uses it)"),
    "cuda13": ((("cupy", "cupy-cuda13x"),), "CUDA 13 kernels (no task of this version uses them)"),
    "cuda12": ((("cupy", "cupy-cuda12x"),), "CUDA 12 kernels (no task of this version uses them)"),
    "serve": (
        (("fastapi", "fastapi"), ("uvicorn", "uvicorn")),
        "an HTTP service (no task of this version uses it)",
    ),
    "export": (
        (("onnx", "onnx"), ("onnxruntime", "onnxruntime")),
        "ONNX artifacts (no task of this version writes them)",
    ),
}


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis."""

    what: str
    works: bool
    detail: str
    needed: bool = False
    advice: str = ""


def run(words: Sequence[str]) -> int:
    """Prints the diagnosis; exit 1 when something needed by every task does not work."""
    parser = Parser(
        "twinml doctor",
        description="Says what works on this machine, why the rest does not, and what to do.",
        add_help=False,
    )
    parser.add_argument(
        "--import",
        dest="deep",
        action="store_true",
        help="import each optional package instead of only finding it (slower, surer)",
    )
    asked = parse(parser, words)
    if asked is None:
        return 0
    findings = list(diagnose(asked.deep))
    rows = [[f.what, "works" if f.works else "no", f.detail] for f in findings]
    Console().table(("what", "", "detail"), rows, f"twinml {__version__} on {platform.platform()}")
    for finding in findings:
        if finding.advice and not finding.works:
            print(f"{finding.what}: {finding.advice}")
    return 0 if all(f.works for f in findings if f.needed) else 1


def diagnose(deep: bool = False) -> Iterator[Finding]:
    """Every finding, needed ones first."""
    yield Finding("python", True, platform.python_version(), needed=True)
    yield from _torch()
    yield from _files()
    yield from _engines()
    yield _compiler()
    for name, (packages, purpose) in EXTRAS.items():
        yield _extra(name, packages, purpose, deep)
    yield _records()
    yield _writable()


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except Exception as error:
        advice = "install it: pip install torch"
        yield Finding("torch", False, f"{type(error).__name__}: {error}", True, advice)
        return
    detail = f"{torch.__version__}, {torch.get_num_threads()} threads"
    yield Finding("torch", True, detail, needed=True)
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        yield Finding("CUDA", True, f"{', '.join(names)}; torch built for {torch.version.cuda}")
    elif torch.version.cuda is None:
        advice = "only needed for a GPU: install a CUDA build of torch (make TORCH_INDEX=...)"
        yield Finding("CUDA", False, "this torch is a CPU build", advice=advice)
    else:
        advice = "only needed for a GPU: check the driver with nvidia-smi"
        detail = f"torch built for {torch.version.cuda} sees no GPU"
        yield Finding("CUDA", False, detail, advice=advice)


def _files() -> Iterator[Finding]:
    for name, folder in (("configs", resources.configs()), ("kernels", resources.kernels())):
        advice = "the installation is incomplete: install twinml again"
        yield Finding(name, folder.is_dir(), str(folder), True, advice)


def _engines() -> Iterator[Finding]:
    try:
        importlib.import_module("twinml.engines")
        yield Finding("engine eager", True, "torch; the reference", needed=True)
    except ImportError as error:
        yield Finding("engine eager", False, str(error), True, "install twinml again")


def _compiler() -> Finding:
    name = os.environ.get("CXX", "g++")
    path = shutil.which(name)
    if path is None:
        advice = "only needed for generated kernels: apt-get install g++, or dnf install gcc-c++"
        return Finding("C++ compiler", False, f"no {name} on PATH", advice=advice)
    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("C++ compiler", False, f"{path}: {error}", advice="repair it or set CXX")
    return Finding("C++ compiler", True, done.stdout.partition("\n")[0])


def _extra(name: str, packages: tuple[tuple[str, str], ...], purpose: str, deep: bool) -> Finding:
    found, missing = [], []
    for module, distribution in packages:
        try:
            version = importlib.metadata.version(distribution)
            if importlib.util.find_spec(module) is None:
                raise importlib.metadata.PackageNotFoundError(distribution)
            if deep:
                importlib.import_module(module)
            found.append(f"{distribution} {version}")
        except importlib.metadata.PackageNotFoundError:
            missing.append(f"{distribution} is not installed")
        except Exception as error:
            missing.append(f"{distribution} fails to import: {type(error).__name__}: {error}")
    advice = f"for {purpose}: pip install 'twinml[{name}]'"
    return Finding(f"extra {name}", not missing, "; ".join([*found, *missing]), advice=advice)


def _records() -> Finding:
    folder = os.environ.get("TWINML_DATA")
    if folder is None:
        advice = "only needed by twins whose record is not shipped: export TWINML_DATA=<folder>"
        return Finding("TWINML_DATA", False, "not set", advice=advice)
    advice = "name an existing folder"
    return Finding("TWINML_DATA", Path(folder).is_dir(), folder, advice=advice)


def _writable() -> Finding:
    here = Path.cwd()
    advice = "runs/ is made here; change the directory or give out=<folder>"
    return Finding("working directory", os.access(here, os.W_OK), str(here), False, advice)
