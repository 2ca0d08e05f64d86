"""Of the workers of a node that need a kernel at once, one compiles it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sweep.test_sweep import bits, swept
from twinml.engines.kernel_lock import only_process
from twinml.sweep import processes

COMPILER = shutil.which("g++")


@pytest.fixture
def compilations(tmp_path, monkeypatch):
    """How many units were compiled so far, by any process that inherits the environment."""
    log, script = tmp_path / "compiled", tmp_path / "bin" / "cxx"
    log.touch()
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\ncase "$*" in *unit.cpp*) echo "$$" >> {log};; esac\nexec {COMPILER} "$@"\n'
    )
    script.chmod(0o755)
    monkeypatch.setenv("TWINML_CXX", str(script))
    monkeypatch.setenv("TWINML_CACHE", str(tmp_path / "cache"))
    return lambda: len(log.read_text().splitlines())


def forget_kernels_before_workers(monkeypatch, module) -> None:
    """The workers find an empty cache, as on another node than the one that planned."""
    pickled = module.pickled

    def emptied(task):
        shutil.rmtree(os.environ["TWINML_CACHE"])
        return pickled(task)

    monkeypatch.setattr(module, "pickled", emptied)


@pytest.mark.skipif(COMPILER is None, reason="no g++")
def test_the_processes_of_a_node_compile_a_kernel_once(tmp_path, compilations, monkeypatch):
    alone = swept(tmp_path / "a", engine="native")
    assert compilations() == 1
    forget_kernels_before_workers(monkeypatch, processes)
    together = swept(tmp_path / "b", engine="native", workers=3, shard_size=32)
    assert compilations() == 2  # once for the planning process, once for the three workers
    assert bits(alone) == bits(together)


def test_who_waits_for_a_kernel_goes_on_when_its_maker_has_died(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from twinml.engines.kernel_lock import only_process\n"
        "with only_process(Path(sys.argv[1]), 'k'):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    root = str(Path(processes.__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    ) as maker:
        assert maker.stdout is not None and maker.stdout.readline() == b"held\n"
        maker.send_signal(signal.SIGKILL)
        maker.wait()
        with only_process(tmp_path, "k"):
            assert [file.name for file in tmp_path.iterdir()] == [".lock-k"]
    assert not list(tmp_path.iterdir())
