"""Bad calls that need processes of their own: streams and workers; and the traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.bad_input.case import Bad, call
from tests.cli.bad_input.models import RETURNED
from tests.cli.bad_input.plant import kiln

ROOT = Path(__file__).resolve().parents[3]
# Few rows are tried before the work; many fail in the worker.
MANY = f'assert wall.shape[0] < 100, "too many rows"\n        {RETURNED}'
SWEEP = "sweep twin=kiln scenario=soak samples=40_000 workers=2 out=a"


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


def test_a_worker_shows_the_users_own_line(tmp_path):
    Bad("", (), kiln(RETURNED, MANY)).lay(tmp_path, tmp_path)
    process = start(SWEEP, tmp_path)
    out, err = process.communicate(timeout=120)
    *_, last = err.splitlines()
    assert process.returncode == 2 and out == "" and "Traceback" not in err
    assert last.startswith("twinml: Kiln.rhs failed: kiln.py, line 15: assert wall.shape[0] < 100")
    assert not (tmp_path / "a").exists()  # the pilot of the plan met it


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
