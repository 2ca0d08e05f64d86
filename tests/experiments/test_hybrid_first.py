"""The first hybrid twin runs as its README says, on the real record."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TWINML_DATA", ROOT.parent / "shared" / "data"))
RECORD = DATA / "cascaded_tanks" / "dataBenchmark.csv"


@pytest.mark.skipif(not RECORD.is_file(), reason=f"the cascaded-tanks record is not in {DATA}")
def test_the_hybrid_beats_the_physics_on_the_samples_that_were_held_out(tmp_path):
    folder = ROOT / "experiments" / "hybrid_first"
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, str(folder / "run.py"), "quick=true", f"out={tmp_path}"],
        env={**os.environ, "PYTHONPATH": paths, "TWINML_DATA": str(DATA)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["hybrid.validation.rmse"] < 0.97 * metrics["physics.validation.rmse"]
    assert metrics["hybrid.train.rmse"] < 0.97 * metrics["physics.train.rmse"]
    # What the start adds dies out: the twin forgets its first levels.
    assert metrics["start.later.std"] < 0.5 * metrics["start.start.std"]
    assert metrics["start.failed"] == 0
    assert all(math.isfinite(value) for value in metrics.values())
    for name in ("free_run.png", "calibration.json", "hybrid_0.pt"):
        assert (tmp_path / name).stat().st_size > 0, name
