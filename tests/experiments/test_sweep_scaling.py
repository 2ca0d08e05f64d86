"""The measures of a sweep's cost run, with sizes that say nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "experiments/sweep_scaling"


def job(**asked):
    command = [sys.executable, str(FOLDER / "job.py"), json.dumps(asked)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1].removeprefix("RESULT "))


def test_a_sweep_is_timed_by_its_parts_and_told_by_its_table(tmp_path):
    found = job(job="swept", sweep="cheap", samples=5000, out=str(tmp_path / "a"))
    parts = [found[name] for name in ("planning", "starting", "computing", "summing")]
    assert all(part >= -0.01 for part in parts) and sum(parts) < found["wall"] + 0.01
    assert len(found["sha256"]) == 64 and found["planned"]["workers"] == 1


def test_the_closed_form_of_ishigami_is_what_the_indices_come_to(tmp_path):
    found = job(job="indices", samples=1024, out=str(tmp_path / "a"))
    assert found["largest_gap"] < 0.02
