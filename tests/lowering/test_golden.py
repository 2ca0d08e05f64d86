"""Emitted text as reviewed: a change of it is a change of every user's numbers and cache."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.lowering.golden import FOLDER, MODELS, text

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", MODELS)
def test_the_emitted_text_is_the_reviewed_one(name):
    assert text(name) == (FOLDER / f"{name}.h").read_text(), (
        "after a review, write it anew by: python -m tests.lowering.golden"
    )


def test_the_text_is_the_same_in_another_process():
    script = "from tests.lowering.golden import text; print(text('hybrid'), end='')"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout == (FOLDER / "hybrid.h").read_text()
