"""The folder that shows a twin of one's own: its files are good, and its first steps run."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from twinml.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "experiments/own_twin"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A copy of the folder as the working directory."""
    data = Path(os.environ.get("TWINML_DATA", ROOT.parent / "shared/data"))
    if not (data / "nasa_battery").is_dir():
        pytest.skip("nasa_battery is not in TWINML_DATA")
    monkeypatch.setenv("TWINML_DATA", str(data.resolve()))
    for file in (p for p in FOLDER.rglob("*") if p.suffix in (".py", ".yaml")):
        copy = tmp_path / file.relative_to(FOLDER)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    sys.modules.pop("fade", None)


def test_a_cell_is_fitted_on_its_first_cycles_and_swept(here):
    fit = ["calibrate", "twin=fade", "starts=2", "out=cal"]
    assert main(fit) == 0
    found = json.loads((here / "cal/metrics.json").read_text())
    assert found["record.rows"] == 84
    assert found["calibration.loss.value"] == pytest.approx(3.534, abs=0.01)
    assert found["fit.rmse"] == pytest.approx(0.0319, abs=1e-4)
    assert main(["sweep", "twin=fade", "scenario=lighter_use", "calibration=cal", "samples=256",
                 "sensitivity=0", "workers=1", "out=swp"]) == 0  # fmt: skip
    assert json.loads((here / "swp/metrics.json").read_text())["sweep.failed"] == 0


def test_all_cells_share_a_loss_and_keep_their_own_first_capacity(here):
    assert main(["calibrate", "twin=fade", "data.experiment=null", "starts=2", "out=all"]) == 0
    names = {n.split(".value")[0] for n in json.loads((here / "all/metrics.json").read_text())}
    assert "calibration.loss" in names
    assert sum("initial.capacity" in name for name in names) >= 4
