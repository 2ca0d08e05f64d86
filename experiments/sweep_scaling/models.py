"""The sweeps that are measured. Workers import their models from here."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import twinml as tw
from twinml.library import CascadedTanks

STEPS, HELD = 1024, 4.0  # steps of the pump, seconds each


class Cheap(tw.Physics):
    """x' = -rate x by few fixed steps: what a row costs beyond its kernel shows here."""

    x = tw.State("1", initial=1.0)
    rate = tw.Parameter("1/s", default=1.0)

    def rhs(self, x, rate):
        return {"x": -rate * x}


class Ishigami(tw.Physics):
    """Ishigami and Homma (1990) as the end of a path: f = sin a + 7 sin^2 b + 0.1 c^4 sin a."""

    f = tw.State("1", initial=0.0)
    a = tw.Parameter("1", default=0.0)
    b = tw.Parameter("1", default=0.0)
    c = tw.Parameter("1", default=0.0)

    def rhs(self, a, b, c):
        return {"f": torch.sin(a) + 7.0 * torch.sin(b) ** 2 + 0.1 * c**4 * torch.sin(a)}


def tanks(samples: int) -> dict[str, Any]:
    """Cascaded tanks with 1,024 held steps of the pump, every row integrated alike."""
    times = torch.arange(STEPS + 1, dtype=torch.float64) * HELD
    values = 2.0 + torch.as_tensor(np.random.default_rng(0).normal(0.0, 0.6, STEPS + 1))
    orifice = {"distribution": "uniform", "low": 0.04, "high": 0.06}
    scenario = {
        "horizon": {"start": 0, "stop": STEPS * HELD, "unit": "s"},
        "vary": {name: orifice for name in ("k1", "k2", "k3", "k4")},
        "quantities": {"highest": "max(level)", "spilling": "time_above(h1, rim1)"},
    }
    return {
        "model": CascadedTanks(),
        "scenario": tw.Scenario.from_mapping(scenario),
        "samples": samples,
        "inputs": {"u": tw.Signal(times, values, kind="hold")},
    }


def cheap(samples: int) -> dict[str, Any]:
    """Two varied numbers, one quantity, ten steps of Runge and Kutta."""
    scenario = {
        "horizon": {"start": 0, "stop": 1},
        "vary": {
            "rate": {"distribution": "uniform", "low": 0.5, "high": 2},
            "initial.x": {"distribution": "uniform", "low": 1, "high": 2},
        },
        "quantities": {"end": "final(x)"},
    }
    return {
        "model": Cheap(), "scenario": tw.Scenario.from_mapping(scenario), "samples": samples,
        "method": "rk4", "dt": 0.1,
    }  # fmt: skip


def ishigami(samples: int) -> dict[str, Any]:
    pi = {"distribution": "uniform", "low": -float(np.pi), "high": float(np.pi)}
    scenario = {
        "horizon": {"start": 0, "stop": 1},
        "vary": {"a": pi, "b": pi, "c": pi},
        "quantities": {"f": "final(f)"},
    }
    return {
        "model": Ishigami(), "scenario": tw.Scenario.from_mapping(scenario), "samples": samples,
        "method": "rk4", "dt": 1.0,
    }  # fmt: skip


def outbreak(samples: int) -> dict[str, Any]:
    """The scenario that ships: isolation from some day on, rates from the calibration."""
    import json
    from importlib.resources import files
    from pathlib import Path

    from twinml.library import Outbreak

    data = files("twinml.library") / "data/outbreak_calibration.json"
    path = Path(__file__).resolve().parents[2] / "configs/scenario/isolation.yaml"
    stored = json.loads(data.read_text())
    return {
        "model": Outbreak(), "scenario": tw.Scenario.from_yaml(path), "samples": samples,
        "calibration": stored.get("posterior", stored),
    }  # fmt: skip


SWEEPS = {"tanks": tanks, "cheap": cheap, "ishigami": ishigami, "outbreak": outbreak}
