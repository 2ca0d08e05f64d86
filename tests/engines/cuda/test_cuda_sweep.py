"""Sweeps on GPUs: what is written down of them, and which worker sees which device."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

import twinml as tw
from twinml import library
from twinml.engines.arithmetic import arithmetic
from twinml.engines.cuda.device import share_of
from twinml.sweep.processes import _device

pytestmark = [pytest.mark.usefixtures("compiler"), pytest.mark.real_auto]


@pytest.mark.parametrize(
    ("visible", "count", "want"),
    [
        ("", 2, ["0", "1", "0"]),
        ("3, 5", 2, ["3", "5", "3"]),
        ("GPU-a", 1, ["GPU-a"] * 3),
        ("", 0, []),
    ],
)
def test_workers_go_round_among_the_devices(monkeypatch, visible, count, want):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    found = [share_of(worker).get("CUDA_VISIBLE_DEVICES") for worker in range(3)]
    assert [name for name in found if name is not None] == want
    task = SimpleNamespace(settings=SimpleNamespace(engine="cuda"))
    assert _device(task, 0) == share_of(0)
    task.settings.engine = "native"
    assert _device(task, 0) == {}


@pytest.mark.slow
def test_a_sweep_has_the_numbers_of_the_native_one(standin, tmp_path):
    scenario = tw.Scenario(
        horizon={"start": 0, "stop": 2, "unit": "1"},
        vary={"rho": {"distribution": "uniform", "low": 1.0, "high": 25.0}},
        quantities={"top": "max(x)"},
    )
    tables = {}
    for engine in ("cuda", "native"):
        sweep = tw.sweep(
            library.Lorenz(), scenario, samples=40, seed=3, engine=engine, method="tsit5",
            out=tmp_path / engine,
        )  # fmt: skip
        tables[engine] = sweep.table()
    same = tables["cuda"]["top"] == tables["native"]["top"]
    assert bool(same.all() if hasattr(same, "all") else same)
    assert arithmetic("cuda")["target"] == "sm_90" and "NVRTC 13.0" in arithmetic("cuda")["math"]
