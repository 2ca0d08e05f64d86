"""The benchmark's mode for GPUs runs (on a stand-in, at tiny sizes), and refuses without one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from tests.engines.cuda.standin import NAME, standing_in
from twinml.engines.cuda.engine import unavailable

FILE = Path(__file__).resolve().parents[2] / "experiments" / "ensemble_benchmark" / "gpu.py"


@pytest.fixture
def benchmark(monkeypatch) -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpu_benchmark", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_benchmark", module)
    spec.loader.exec_module(module)
    return module


def test_every_problem_is_measured_and_written_down(benchmark, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(benchmark, "wait", lambda: None)
    monkeypatch.setattr(benchmark, "clock_rate", lambda gpu: 1e9)
    torch.manual_seed(0)
    out = tmp_path / "out.json"
    with standing_in():
        monkeypatch.setattr(benchmark, "nvrtc_version", lambda: (13, 0))
        benchmark.main(["--rows", "40", "--rounds", "2", "--json", str(out)])
    found = json.loads(out.read_text())
    assert found["machine"]["device"] == NAME
    assert set(found["problems"]) == set(benchmark.CASES)
    for name, case in benchmark.CASES.items():
        problem = found["problems"][name]
        assert problem["failed"] == 0 and problem["rows"] == 40, name
        assert len(problem["kernel_seconds"]) == len(problem["wall_seconds"]) == 2
        assert problem["registers"] == 90 and problem["spilled"] == 0
        assert ("share_of_peak" in problem) == bool(case.work)
    assert found["problems"]["lorenz_fixed"]["steps"] == 1000
    assert "of peak" in capsys.readouterr().out


def test_without_a_gpu_nothing_is_measured_and_the_reason_is_said(benchmark, tmp_path):
    if unavailable() is None:
        pytest.skip("there is a GPU")
    out = tmp_path / "out.json"
    with pytest.raises(SystemExit) as ended:
        benchmark.main(["--json", str(out)])
    assert "nothing was measured: " in str(ended.value)
    assert not out.exists()
