"""Bad calls that need processes of their own: streams, workers, signals; and the traceback."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.bad_input.case import Bad, call
from tests.cli.bad_input.models import RETURNED
from tests.cli.bad_input.plant import kiln

ROOT = Path(__file__).resolve().parents[3]
# Few rows are tried before the work; many fail in the worker.
MANY = f'assert wall.shape[0] < 100, "too many rows"\n        {RETURNED}'
SWEEP = "sweep twin=kiln scenario=soak samples=40_000 workers=2 out=a"
# Slow enough to be stopped: every evaluation takes a moment.
SLOW = f"import time\n        time.sleep(0.01)\n        {RETURNED}"


def start(words: str, folder: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TWINML_DEBUG": "",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "twinml", *words.split()],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def status(folder: Path) -> str:
    return json.loads((folder / "provenance.json").read_text())["status"]


def test_a_worker_shows_the_users_own_line(tmp_path):
    Bad("", (), kiln(RETURNED, MANY)).lay(tmp_path, tmp_path)
    process = start(SWEEP, tmp_path)
    out, err = process.communicate(timeout=120)
    *_, last = err.splitlines()
    assert process.returncode == 2 and out == "" and "Traceback" not in err
    assert last.startswith("twinml: Kiln.rhs failed: kiln.py, line 15: assert wall.shape[0] < 100")
    assert not (tmp_path / "a").exists()  # the pilot of the plan met it


def test_ctrl_c_says_how_to_go_on_and_leaves_no_finished_run(tmp_path):
    Bad("", (), kiln(RETURNED, SLOW)).lay(tmp_path, tmp_path)
    process = start(SWEEP, tmp_path)
    deadline = time.monotonic() + 120
    while not (tmp_path / "a" / "manifest.json").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130 and out == "" and "Traceback" not in err
    assert "twinml sweep resume=a goes on." in err and err.endswith("twinml: interrupted.\n")
    assert status(tmp_path / "a") == "failed"


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("tw.State", "tx.State", "NameError: name 'tx' is not defined"),
        (RETURNED, 'return {"wall": 1 / 0}', "ZeroDivisionError: division by zero"),
    ],
)
def test_the_traceback_is_there_when_asked_for(tmp_path, old, new, line):
    Bad("", (), kiln(old, new)).lay(tmp_path, tmp_path)
    ended = call("simulate twin=kiln horizon.stop=60", tmp_path, {"TWINML_DEBUG": "1"})
    assert ended.code == 2 and "Traceback" in ended.err
    assert f'File "{tmp_path / "kiln.py"}"' in ended.err and line in ended.err
    assert ended.message(tmp_path).startswith("twinml: ")
