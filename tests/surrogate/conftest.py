from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from twinml.data.table import Table
from twinml.surrogate import Surrogate, fit

INPUTS = ("load", "speed", "wear")
TARGETS = ("heat", "noise")
SMALL = {
    "gp": {"rows": 160, "coarse_rows": 80, "coarse_evaluations": 40, "evaluations": 8},
    "mlp": {"steps": 600, "width": 32, "depth": 2},
}


def bench(rows: int, seed: int = 0) -> Table:
    """A smooth target, and one whose scatter grows sevenfold from left to right."""
    rng = np.random.default_rng(seed)
    load, speed = rng.uniform(100, 300, rows), rng.uniform(-1, 1, rows)
    wear = 0.5 + 1e-3 * load + 0.02 * rng.standard_normal(rows)
    a = (load - 200) / 100
    return Table(
        {
            "sample": np.arange(rows) * 3 + 5,
            "status": np.zeros(rows, dtype=np.int64),
            "load": load,
            "speed": speed,
            "wear": wear,
            "heat": 40 + 5 * np.sin(2 * a) * np.cos(2 * speed),
            "noise": a + speed**2 + (0.4 + 0.3 * a) * rng.standard_normal(rows),
        },
        {"load": "N", "speed": "m/s", "heat": "K"},
    )


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The bits of a sum depend on the number of threads, and small matrices are no faster."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Case:
    kind: str
    table: Table
    surrogate: Surrogate


@pytest.fixture(scope="session", params=["gp", "mlp"])
def case(request, one_thread) -> Case:
    pytest.importorskip({"gp": "gpytorch", "mlp": "lightning"}[request.param])
    table = bench(4000)
    fitted = fit(table, INPUTS, TARGETS, request.param, seed=1, options=SMALL[request.param])
    return Case(request.param, table, fitted)
