"""Counts the kernels that are compiled, by whatever process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

COMPILER = shutil.which("g++")
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no g++")


def count_by_workers(
    folder: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> Callable[[], int]:
    """How many units the workers of the next sweep compiled, who find an empty cache.

    So do those of another node than the one that planned. ``module`` is where the task is pickled
    for them.
    """
    log, script, cache = folder / "compiled", folder / "bin" / "cxx", folder / "cache"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *unit.cpp*) echo "$$" >> {log};; esac\nexec {COMPILER} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("TWINML_CXX", str(script))
    monkeypatch.setenv("TWINML_CACHE", str(cache))
    pickled = module.pickled

    def emptied(task: Any) -> bytes:
        shutil.rmtree(cache, ignore_errors=True)
        log.write_text("")
        return pickled(task)

    monkeypatch.setattr(module, "pickled", emptied)
    return lambda: len(log.read_text().splitlines())
