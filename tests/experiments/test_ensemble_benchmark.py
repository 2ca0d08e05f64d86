"""The ensemble benchmark runs as its README says, and its kernels by hand are right."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments" / "ensemble_benchmark"


def run(tmp_path: Path, *arguments: str) -> tuple[dict, str]:
    """What ``run.py --quick`` wrote, and what it printed."""
    out = tmp_path / "out.json"
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(FOLDER / "run.py"), "--quick", "--json", str(out), *arguments],
        env={**os.environ, "PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(out.read_text()), done.stdout


@pytest.mark.skipif(shutil.which("g++") is None, reason="the reference needs g++")
def test_the_reference_by_hand_is_exact_and_takes_the_steps_of_twinml(tmp_path):
    chosen = [("lorenz", 1e-5), ("robertson", 1e-5)]
    found, printed = run(
        tmp_path, *(f"--only={name}" for name, _ in chosen), "--against", "reference (C",
        "--against", "eager",
    )  # fmt: skip
    for name, bound in chosen:
        by_hand, eager = found["problems"][name]["entries"]
        assert 0 < by_hand["error_median"] <= by_hand["error_largest"] < bound, name
        assert by_hand["counters"]["steps"] == pytest.approx(eager["counters"]["steps"], rel=0.01)
        assert by_hand["error_median"] == pytest.approx(eager["error_median"], rel=0.1)
        assert len(by_hand["cpu_seconds"]) == 2
    assert printed.count("| reference (C++) |") == len(chosen)


def test_a_peer_that_cannot_take_part_is_named_with_its_reason(tmp_path):
    found, printed = run(tmp_path, "--only", "robertson", "--against", "torchdiffeq")
    assert found["problems"]["robertson"]["entries"] == []
    (reason,) = found["problems"]["robertson"]["skipped"].values()
    assert "no method for stiff problems" in reason or "not installed" in reason
    assert reason in printed
    assert os.uname().nodename not in json.dumps(found["machine"])
    assert found["machine"]["cores used"] == 1
