"""An empty working directory, importable as the program makes it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.small import TASK
from twinml.cli import runner


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, importable as the program makes it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delenv("TWINML_DATA", raising=False)
    monkeypatch.delenv("TWINML_DEBUG", raising=False)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(tmp_path) in str(
            sys.modules[name].__file__
        ):
            del sys.modules[name]


@pytest.fixture
def small(folder: Path) -> Callable[..., int]:
    """Runs the small task with words, in the empty folder, through the real dispatcher's steps."""

    def call(*words: str) -> int:
        return runner.run(TASK, list(words))

    return call
