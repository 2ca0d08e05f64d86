"""The extras of the package: which are whole, and what for."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass

from twinml.cli.diagnosis.finding import Finding, tried_in_python


@dataclass(frozen=True)
class Extra:
    """One extra: its packages as (module, distribution), and what it is for."""

    name: str
    packages: tuple[tuple[str, str], ...]
    purpose: str


EXTRAS = (
    Extra(
        "train", (("lightning", "lightning"), ("torchdiffeq", "torchdiffeq")), "network surrogates"
    ),
    Extra("gp", (("gpytorch", "gpytorch"),), "Gaussian-process surrogates"),
    Extra("native", (("ziglang", "ziglang"),), "a C++ compiler, where the machine has none"),
    Extra("ray", (("ray", "ray"),), "sweeps on a Ray cluster"),
    Extra("polars", (("polars", "polars"),), "a sweep's table as a lazy frame"),
    Extra(
        "cuda13",
        (
            ("cupy", "cupy-cuda13x"),
            ("cuda.bindings", "cuda-bindings"),
            ("nvidia", "nvidia-cuda-nvrtc"),
        ),
        "kernels on a GPU with CUDA 13",
    ),
    Extra(
        "cuda12",
        (("cupy", "cupy-cuda12x"), ("nvidia", "nvidia-cuda-nvrtc-cu12")),
        "kernels on a GPU with CUDA 12",
    ),
    Extra(
        "serve",
        (
            ("fastapi", "fastapi"),
            ("uvicorn", "uvicorn"),
            ("prometheus_client", "prometheus-client"),
        ),
        "an HTTP service (no task of this version uses it)",
    ),
    Extra(
        "export",
        (("onnx", "onnx"), ("onnxscript", "onnxscript"), ("onnxruntime", "onnxruntime")),
        "ONNX artifacts (no task of this version writes them)",
    ),
)


def extras(deep: bool) -> Iterator[Finding]:
    """Each extra; with ``deep`` its packages are imported, in a process of their own."""
    for extra in EXTRAS:
        found, missing = [], []
        for module, distribution in extra.packages:
            try:
                version = importlib.metadata.version(distribution)
            except importlib.metadata.PackageNotFoundError:
                missing.append(f"{distribution} is not installed")
                continue
            if not installed(module):
                missing.append(f"{distribution} {version} is there, its module {module} is not")
                continue
            works, why = tried_in_python(f"import {module}") if deep else (True, "")
            words = f"{distribution} {version}"
            (found if works else missing).append(words if works else f"{words} fails: {why}")
        detail = "; ".join([*found, *missing])
        advice = f"for {extra.purpose}: pip install 'twinml[{extra.name}]'"
        yield Finding(f"extra {extra.name}", not missing, detail, advice)


def installed(module: str) -> bool:
    """Whether a module can be found; nothing of it is run, save the packages around it."""
    try:
        return importlib.util.find_spec(module) is not None
    except Exception:  # the package around it is missing or broken
        return False
