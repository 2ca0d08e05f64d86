"""Of the workers of a node that need a kernel at once, one compiles it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.sweep.counting import count_by_workers, needs_compiler
from tests.sweep.test_sweep import bits, swept
from twinml.engines.kernel_lock import only_process
from twinml.sweep import processes


@needs_compiler
def test_the_processes_of_a_node_compile_a_kernel_once(tmp_path, monkeypatch):
    compiled = count_by_workers(tmp_path, monkeypatch, processes)
    alone = swept(tmp_path / "a", engine="native")
    together = swept(tmp_path / "b", engine="native", workers=3, shard_size=32)
    assert compiled() == 1
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
