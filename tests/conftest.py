"""Settings of the whole test run."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest
import torch

# The arrays of tests are small: a second thread would wait longer than it works.
torch.set_num_threads(1)

_OWN_CACHE = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """One kernel cache for the run and all its processes, which take it from the environment."""
    # A run in the background of a shell inherits that Ctrl-C is ignored, and so would its children.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "TWINML_CACHE" not in os.environ:
        folder = Path(tempfile.mkdtemp(prefix="twinml-test-kernels-"))
        config.stash[_OWN_CACHE] = folder
        os.environ["TWINML_CACHE"] = str(folder)


def pytest_unconfigure(config: pytest.Config) -> None:
    folder = config.stash.get(_OWN_CACHE, None)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
        del os.environ["TWINML_CACHE"]
