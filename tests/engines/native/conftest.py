"""A cache and a memory of their own for every test."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from twinml.engines import kernel_folder as place
from twinml.engines.native import compiler, library

ROOT = Path(__file__).resolve().parents[3]
UNIT = (
    'extern "C" __attribute__((visibility("default"))) double twice(double x) { return 2 * x; }\n'
)


def twice(loaded: library.Library, x: float) -> float:
    function = loaded.handle.twice
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return function(x)


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a process that has just started."""
    monkeypatch.setattr(library, "_loaded", {})
    monkeypatch.setattr(library, "_failed", {})
    monkeypatch.setattr(compiler, "_found", {})
    monkeypatch.setattr(place, "_open", {})
    monkeypatch.setattr(place, "_private", None)
    monkeypatch.setattr(place, "_told", set())


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """The folder named by TWINML_CACHE, not made yet; nothing known in memory."""
    forget(monkeypatch)
    for name in ("TWINML_CXX", "CXX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TWINML_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def gxx() -> str:
    path = shutil.which("g++")
    if path is None:
        pytest.skip("needs g++")
    return path


@pytest.fixture
def no_program(monkeypatch):
    """From the call on, starting any program fails the test."""

    def forbid() -> None:
        def refuse(*words, **_):
            raise AssertionError(f"a program was started: {words}")

        monkeypatch.setattr(subprocess, "Popen", refuse)

    return forbid


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Puts an executable script before all others on PATH."""

    def make(name: str, body: str, tells: str = "g++ (of a test) 99.0, Free Software Foundation"):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        tell = f'case "$*" in *--version) echo "{tells}"; exit 0;; esac'
        path.write_text(f"#!/bin/sh\n{tell}\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{path.parent}:/usr/bin:/bin")
        return path

    return make


# The engines' own module imports torch, a second of start that building kernels does not need.
LIGHT = f"""
import sys, types
sys.modules["twinml.engines"] = module = types.ModuleType("twinml.engines")
module.__path__ = [{str(ROOT / "twinml" / "engines")!r}]
"""


def python(code: str, **options) -> subprocess.Popen[str]:
    """Another interpreter with this package, in this environment."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", LIGHT + code],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
